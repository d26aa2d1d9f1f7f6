"""Two files held against each other, column by column, without a model: what drifted, how far, and how surely.

Started as `python -m console.monitoring.drift.compare REFERENCE CURRENT [COLUMN …]`; the screen and the command line
call `compare_offloaded` of `comparing`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from backends.contract import Invalid
from backends.entities import Column, ColumnScore, ColumnType, MonitorState
from console.monitoring.counted import faults
from console.monitoring.counted.counting import (
    Vector,
    as_text,
    count_in_order,
    count_tallied,
    numeric_values,
    tally,
)
from console.monitoring.counted.counts import most_frequent
from console.monitoring.counted.profile import (
    Profile,
    ReferenceColumn,
    ScoreCells,
    finite_part,
    numeric_column_in_order,
    tallied_column,
)
from console.monitoring.counted.windows import FALSE_DISCOVERIES, MIN_ROWS, score_column
from console.monitoring.drift import exact
from console.monitoring.drift.comparing import Comparison
from console.monitoring.drift.distances import benjamini_hochberg, two_sample_p
from console.monitoring.feeds.batch import MISSING, fit_columns, read_batch

if TYPE_CHECKING:
    import pyarrow as pa

PROBED = 500
"""Rows that are looked at before a whole column is read as numbers."""
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
    columns, counts, levels, found = [], {}, {}, []
    for name in shared:
        pair = _paired(name, old[name], new[name], names)
        score = score_column(_bare([pair.column], len(old)), pair.column, pair.now, pair.fresh)
        columns.append(pair.column)
        counts[name], levels[name] = pair.now, pair.fresh
        found.append(_exactly(score, pair))
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


class _Pair(NamedTuple):
    """One column of both tables, counted in the reference's cells."""

    column: ReferenceColumn
    now: tuple[int, ...]
    fresh: dict[str, int]
    """New levels, with their rows."""
    distances: tuple[float, float | None] | None
    """Exact KS and Wasserstein; None of categories."""
    p_value: float | None
    """Over all levels; None of numbers, whose test is over cells."""
    odd: str
    """What did not fit the reference's type."""


def _paired(name: str, old: pd.Series[Any], new: pd.Series[Any], names: tuple[str, str]) -> _Pair:
    kind, odd = _kind(old), ""
    if kind is ColumnType.FLOAT and all(map(pd.api.types.is_numeric_dtype, (old, new))):
        return _numbers(name, np.sort(numeric_values(old)), np.sort(numeric_values(new)), odd)
    if kind is not ColumnType.STRING:
        wanted = [Column(name=name, type=kind)]
        old = fit_columns(old.to_frame(name), wanted, names[0])[0][name]
        fitted, events = fit_columns(new.to_frame(name), wanted, names[1])
        new = fitted[name]
        odd = "; ".join(event.text.split(" Rows were")[0].split(" These count")[0] for event in events)
    if kind in (ColumnType.FLOAT, ColumnType.DATETIME):
        return _numbers(name, np.sort(numeric_values(old)), np.sort(numeric_values(new)), odd)
    return _levels(name, as_text(old), as_text(new), odd)


def _kind(values: pd.Series[Any]) -> ColumnType:
    """What a column of the reference holds; a CSV's fields are all text until somebody looks."""
    if pd.api.types.is_bool_dtype(values):
        return ColumnType.BOOL
    if pd.api.types.is_datetime64_any_dtype(values):
        return ColumnType.DATETIME
    if pd.api.types.is_numeric_dtype(values):
        return ColumnType.FLOAT
    # Some rows from all over the column tell plain text apart without reading it all.
    few = values.iloc[:: max(1, len(values) // PROBED)]
    return ColumnType.FLOAT if _are_numbers(few, 0.9) and _are_numbers(values, NUMBERS) else ColumnType.STRING


def _are_numbers(values: pd.Series[Any], share: float) -> bool:
    found = {level: rows for level, rows in tally(as_text(values)).items() if level.strip() not in MISSING}
    total = sum(found.values())
    read = pd.to_numeric(pd.Series(list(found), dtype="str"), errors="coerce").notna().to_numpy()
    # Nothing but missing values says nothing, and of few rows the whole column may still.
    return total > 0 and float(np.array(list(found.values()))[read].sum()) / total >= share


def _numbers(name: str, old: Vector, new: Vector, odd: str) -> _Pair:
    """old, new: in the order of `np.sort`, which is all that edges, cells and exact distances are read from."""
    column = numeric_column_in_order(name, old)
    now = tuple(count_in_order(new, column.edges).tolist())
    before, after = finite_part(old), finite_part(new)
    found = None
    if len(before) and len(after):
        gap, moved = exact.distances_in_order(before, after)
        unit = exact.spread(before)
        found = (gap, moved / unit if unit else None)
    return _Pair(column, now, {}, found, None, odd)


def _levels(name: str, old: pa.Array, new: pa.Array, odd: str) -> _Pair:
    before, after = tally(old), tally(new)
    column = tallied_column(name, before, old.null_count)
    now, fresh = count_tallied(after, new.null_count, column)
    first, second = exact.level_counts(before, after)
    p_value = two_sample_p([*first, old.null_count], [*second, new.null_count])
    return _Pair(column, tuple(now.tolist()), most_frequent(fresh), None, p_value, odd)


def _exactly(score: ColumnScore, pair: _Pair) -> ColumnScore:
    """The score with what is exact in place of what was read from cells."""
    if pair.p_value is not None and score.p_value is not None:
        score = msgspec.structs.replace(score, p_value=pair.p_value)
    if pair.distances is not None:
        score = msgspec.structs.replace(score, ks=pair.distances[0], wasserstein=pair.distances[1])
    if pair.odd:
        reason = "; ".join(filter(None, (pair.odd, score.reason)))
        worst = MonitorState.FIRING if score.state is MonitorState.FIRING else MonitorState.WARN
        score = msgspec.structs.replace(score, reason=reason, state=worst)
    return score


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

    parser = argparse.ArgumentParser(prog="console.monitoring.drift.compare")
    parser.add_argument("reference", type=Path)
    parser.add_argument("current", type=Path)
    parser.add_argument("columns", nargs="*")
    asked = parser.parse_args(argv)
    return speak(lambda _: compare_files(asked.reference, asked.current, asked.columns))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
