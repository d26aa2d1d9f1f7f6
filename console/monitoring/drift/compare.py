"""Two files held against each other, column by column, without a model: what drifted, how far, and how surely.

Started as `python -m console.monitoring.drift.compare REFERENCE CURRENT [COLUMN …]`; the screen and the command line
call `compare_offloaded` of `comparing`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backends.contract import Invalid
from backends.entities import Column, ColumnScore, ColumnType, MonitorState
from console.monitoring.counted import faults
from console.monitoring.counted.columns import (
    Vector,
    as_text,
    count_in_order,
    count_tallied,
    floats_of,
    is_numeric,
    numeric_values,
    tally,
)
from console.monitoring.counted.counts import most_frequent
from console.monitoring.counted.distances import benjamini_hochberg, two_sample_p
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
from console.monitoring.drift.ordered import distances_in_order
from console.monitoring.feeds.table_file import MISSING, read_table

if TYPE_CHECKING:
    import pandas as pd

    from console.monitoring.counted.columns import Values

    Rows: TypeAlias = pd.DataFrame | pa.Table

PROBED = 500
"""Rows that are looked at before a whole column is read as numbers."""
NUMBERS = 0.99
"""Share of a text column's values that must read as numbers before it is compared as numbers."""
MIN_PSI, STRONG_PSI = 0.1, 0.25


def compare_files(reference: Path, current: Path, wanted: Sequence[str] = ()) -> Comparison:
    """Every column that both have, or the wanted ones. Raises Invalid naming the file or the column."""
    old, new = read_table(reference)[0], read_table(current)[0]
    return compare(old, new, wanted, (reference.name, current.name))


def compare(
    old: Rows, new: Rows, wanted: Sequence[str] = (), names: tuple[str, str] = ("reference", "current")
) -> Comparison:
    """The columns worst first. old, new: rows of any two tables, Arrow's or pandas'; columns that only one has are
    told."""
    before, after = _names(old), _names(new)
    for name in wanted:
        for known, of in ((before, names[0]), (after, names[1])):
            if name not in known:
                raise Invalid(f"{of} has no column {name!r}; it has {', '.join(known[:8])}", "columns")
    shared = [name for name in before if name in after and (not wanted or name in wanted)]
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
        gone=() if wanted else tuple(name for name in before if name not in after),
        added=() if wanted else tuple(name for name in after if name not in before),
    )


def _names(rows: Rows) -> list[str]:
    return rows.column_names if isinstance(rows, pa.Table) else [str(name) for name in rows.columns]


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


def _paired(name: str, old: Values, new: Values, names: tuple[str, str]) -> _Pair:
    before = _numbers_in(old)
    after = None if before is None else _numbers_in(new)
    if before is not None and after is not None:
        return _numbers(name, np.sort(before), np.sort(after), "")
    if _is_text(old) and _is_text(new) and not _are_numbers(_few(old), 0.9):
        return _levels(name, as_text(old), as_text(new), "")
    return _fitted(name, old, new, names)


def _is_text(values: Values) -> bool:
    if isinstance(values, pa.ChunkedArray):
        return bool(pa.types.is_string(values.type) or pa.types.is_large_string(values.type))
    return bool(values.dtype == "str")


def _few(values: Values) -> Values:
    """Some rows from all over the column: they tell plain text apart without reading it all."""
    step = max(1, len(values) // PROBED)
    if isinstance(values, pa.ChunkedArray):
        return values.take(_arrow_numbers(np.arange(0, len(values), step)))
    return values.iloc[::step]


def _numbers_in(values: Values) -> Vector | None:
    """Of numbers, or of text that reads as numbers throughout; a CSV's fields are all text until somebody looks. None
    of everything else, and where nothing tells."""
    if not _is_text(values):
        plain = is_numeric(values) and not _is_time(values)
        return numeric_values(values) if plain else None
    if not _are_numbers(_few(values), 0.9):
        return None
    text = pc.utf8_trim_whitespace(as_text(values))
    unknown = pc.is_in(text, value_set=_arrow_texts(MISSING).cast(text.type))
    try:
        read = pc.if_else(unknown, pa.nulls(len(text), text.type), text).cast(pa.float64())
    except pa.ArrowInvalid:
        return None  # some are no numbers, or spelled as only pandas reads them
    return floats_of(read)


def _arrow_numbers(numbers: Vector) -> pa.Array:
    """shape (n,), int64. `pa.array` would load pandas, only to ask it whether these are its own."""
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers.astype("<i8"))])


def _arrow_texts(texts: Sequence[str]) -> pa.Array:
    """As `_arrow_numbers`."""
    ends = np.cumsum([0, *(len(text.encode()) for text in texts)], dtype="<i4")
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer("".join(texts).encode()))


def _is_time(values: Values) -> bool:
    if isinstance(values, pa.ChunkedArray):
        return bool(pa.types.is_timestamp(values.type))
    return bool(values.dtype.kind == "M")


def _are_numbers(values: Values, share: float) -> bool:
    found = {level: rows for level, rows in tally(as_text(values)).items() if level.strip() not in MISSING}
    total = sum(found.values())
    # Nothing but missing values says nothing, and of few rows the whole column may still.
    return total > 0 and sum(rows for level, rows in found.items() if _reads(level)) / total >= share


def _reads(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _fitted(name: str, old: Values, new: Values, names: tuple[str, str]) -> _Pair:
    """What is neither plain numbers nor plain text: brought to the reference's type, and what did not fit is said."""
    import pandas as pd

    from console.monitoring.feeds.batch import fit_columns

    first, second = (values.to_pandas() if isinstance(values, pa.ChunkedArray) else values for values in (old, new))
    kind, odd = _kind(first), ""
    if kind is not ColumnType.STRING:
        wanted = [Column(name=name, type=kind)]
        first = fit_columns(pd.DataFrame({name: first}), wanted, names[0])[0][name]
        fitted, events = fit_columns(pd.DataFrame({name: second}), wanted, names[1])
        second = fitted[name]
        odd = "; ".join(event.text.split(" Rows were")[0].split(" These count")[0] for event in events)
    if kind in (ColumnType.FLOAT, ColumnType.DATETIME):
        return _numbers(name, np.sort(numeric_values(first)), np.sort(numeric_values(second)), odd)
    return _levels(name, as_text(first), as_text(second), odd)


def _kind(values: pd.Series[Any]) -> ColumnType:
    """What a column of the reference holds."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(values):
        return ColumnType.BOOL
    if pd.api.types.is_datetime64_any_dtype(values):
        return ColumnType.DATETIME
    if pd.api.types.is_numeric_dtype(values):
        return ColumnType.FLOAT
    return ColumnType.FLOAT if _are_numbers(_few(values), 0.9) and _are_numbers(values, NUMBERS) else ColumnType.STRING


def _numbers(name: str, old: Vector, new: Vector, odd: str) -> _Pair:
    """old, new: in the order of `np.sort`, which is all that edges, cells and exact distances are read from."""
    column = numeric_column_in_order(name, old)
    now = tuple(count_in_order(new, column.edges).tolist())
    before, after = finite_part(old), finite_part(new)
    found = None
    if len(before) and len(after):
        gap, moved = distances_in_order(before, after)
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
