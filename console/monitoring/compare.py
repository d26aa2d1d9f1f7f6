"""Two files held against each other, column by column, without a model: what drifted, how far, and how surely.

Started as `python -m console.monitoring.compare REFERENCE CURRENT [COLUMN …]`; the screen and the command line call
`compare_offloaded` of `comparing`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from backends.contract import Invalid
from backends.entities import Column, ColumnScore, ColumnType, MonitorState
from console.monitoring import exact, faults
from console.monitoring.batch import fit_columns, read_batch
from console.monitoring.comparing import Comparison
from console.monitoring.counting import as_text, count_categorical, count_numeric, numeric_values
from console.monitoring.drift import benjamini_hochberg
from console.monitoring.profile import (
    CategoricalColumn,
    Profile,
    ReferenceColumn,
    ScoreCells,
    categorical_column,
    numeric_column,
)
from console.monitoring.windows import FALSE_DISCOVERIES, MIN_ROWS, score_column

NUMBERS = 0.99
"""Share of a text column's values that must read as numbers before it is compared as numbers."""
MIN_PSI, STRONG_PSI = 0.1, 0.25


def compare_files(reference: Path, current: Path, wanted: Sequence[str] = ()) -> Comparison:
    """Every column that both have, or the wanted ones. Raises Invalid naming the file or the column."""
    old, new = read_batch(reference), read_batch(current)
    return compare(old, new, wanted, (reference.name, current.name))


def compare(
    old: pd.DataFrame, new: pd.DataFrame, wanted: Sequence[str] = (), names: tuple[str, str] = ("reference", "current")
) -> Comparison:
    """The columns worst first. old, new: rows of any two tables; columns that only one has are told."""
    for name in wanted:
        for frame, of in ((old, names[0]), (new, names[1])):
            if name not in frame.columns:
                raise Invalid(
                    f"{of} has no column {name!r}; it has {', '.join(map(str, frame.columns[:8]))}", "columns"
                )
    shared = [str(name) for name in old.columns if name in new.columns and (not wanted or name in wanted)]
    if not shared:
        raise Invalid(f"{names[0]} and {names[1]} have no column in common", "columns")
    typed, _ = fit_columns(old[shared], kinds := _kinds(old[shared]), names[0])
    fitted, events = fit_columns(new[shared], kinds, names[1])
    odd = {event.column: event.text.split(" Rows were")[0].split(" These count")[0] for event in events}
    columns, counts, levels, found = [], {}, {}, []
    for name in shared:
        column, now, fresh = _counted(name, typed[name], fitted[name])
        score = score_column(_bare([column], len(old)), column, now, fresh)
        columns.append(column)
        counts[name], levels[name] = now, fresh
        found.append(_exactly(score, typed[name], fitted[name], column, odd.get(name, "")))
    told = faults.named(_bare(columns, len(old)), counts, levels, _judged(found, len(new)))
    rank = {MonitorState.FIRING: 0, MonitorState.WARN: 1, MonitorState.OK: 2, MonitorState.NO_DATA: 3}
    return Comparison(
        reference=names[0],
        current=names[1],
        reference_rows=len(old),
        current_rows=len(new),
        columns=tuple(sorted(told, key=lambda each: (rank[each.state], -(each.psi or 0.0), each.column))),
        gone=() if wanted else tuple(str(name) for name in old.columns if name not in new.columns),
        added=() if wanted else tuple(str(name) for name in new.columns if name not in old.columns),
    )


def _kinds(frame: pd.DataFrame) -> list[Column]:
    """What each column of the reference holds; a CSV's fields are all text until somebody looks."""
    kinds = []
    for name in frame.columns:
        values = frame[name]
        kind = ColumnType.STRING
        if pd.api.types.is_bool_dtype(values):
            kind = ColumnType.BOOL
        elif pd.api.types.is_datetime64_any_dtype(values):
            kind = ColumnType.DATETIME
        elif pd.api.types.is_numeric_dtype(values):
            kind = ColumnType.FLOAT
        else:
            known = values.dropna()
            known = known[known.astype("str").str.strip() != ""]
            if len(known) and pd.to_numeric(known, errors="coerce").notna().mean() >= NUMBERS:
                kind = ColumnType.FLOAT
        kinds.append(Column(name=str(name), type=kind))
    return kinds


def _counted(
    name: str, old: pd.Series[Any], new: pd.Series[Any]
) -> tuple[ReferenceColumn, tuple[int, ...], dict[str, int]]:
    """The reference as a column, and the current rows in its cells."""
    if pd.api.types.is_numeric_dtype(old) and not pd.api.types.is_bool_dtype(old):
        column = numeric_column(name, numeric_values(old))
        return column, tuple(count_numeric(numeric_values(new), column.edges).tolist()), {}
    levels = categorical_column(name, old)
    found, fresh = count_categorical(as_text(new), levels)
    return levels, tuple(found.tolist()), fresh


def _exactly(
    score: ColumnScore, old: pd.Series[Any], new: pd.Series[Any], column: ReferenceColumn, odd: str
) -> ColumnScore:
    """The score with exact distances in place of those of cells."""
    if isinstance(column, CategoricalColumn):
        _, _, p_value = exact.chi_square_test(old.astype("object"), new.astype("object"))
        few = len(new) < MIN_ROWS or column.levels == ()
        score = msgspec.structs.replace(score, p_value=score.p_value if few or len(column.levels) > 60 else p_value)
    else:
        before, now = _finite(old), _finite(new)
        gap, moved = exact.distances(before, now)
        unit = exact.spread(before)
        score = msgspec.structs.replace(score, ks=gap, wasserstein=moved / unit if unit else None)
    if odd:
        score = msgspec.structs.replace(
            score, reason="; ".join(filter(None, (odd, score.reason))), state=MonitorState.WARN
        )
    return score


def _finite(values: pd.Series[Any]) -> np.ndarray[Any, Any]:
    numbers = numeric_values(values)
    found: np.ndarray[Any, Any] = numbers[np.isfinite(numbers)]
    return found


def _judged(scores: Sequence[ColumnScore], rows: int) -> list[ColumnScore]:
    """With p-values corrected over the columns: far is what is both surely and largely different."""
    known = [spot for spot, score in enumerate(scores) if score.p_value is not None]
    corrected = benjamini_hochberg([scores[spot].p_value or 0.0 for spot in known])
    found = list(scores)
    for spot, q_value in zip(known, corrected, strict=True):
        score = msgspec.structs.replace(found[spot], q_value=q_value)
        if rows >= MIN_ROWS and q_value <= FALSE_DISCOVERIES and (score.psi or 0.0) >= MIN_PSI:
            strong = (score.psi or 0.0) >= STRONG_PSI or score.state is MonitorState.FIRING
            said = f"PSI {score.psi:.2f}"
            score = msgspec.structs.replace(
                score,
                state=MonitorState.FIRING if strong else MonitorState.WARN,
                reason=f"{score.reason}; {said}" if score.reason and "PSI" not in score.reason else said,
            )
        found[spot] = score
    return found


def _bare(columns: Sequence[ReferenceColumn], rows: int) -> Profile:
    """A profile of columns alone."""
    return Profile(
        task="binary",
        rows=rows,
        score_rows=0,
        columns=tuple(columns),
        score=ScoreCells(low=0.0, high=1.0, counts=(), groups=()),
        metrics={},
    )


def main(argv: list[str]) -> int:
    from console.speaker import speak

    parser = argparse.ArgumentParser(prog="console.monitoring.compare")
    parser.add_argument("reference", type=Path)
    parser.add_argument("current", type=Path)
    parser.add_argument("columns", nargs="*")
    asked = parser.parse_args(argv)
    return speak(lambda _: compare_files(asked.reference, asked.current, asked.columns))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
