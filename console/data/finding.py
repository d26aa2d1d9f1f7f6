"""Rows of a version that hold what is looked for: a word, a number, a day, or an expression."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.contract import Invalid
from backends.entities import Column, ColumnType, Progress, Record

MOST = 10_000
"""Hits that are given at once."""
BATCH = 1 << 15
MOMENT = re.compile(r"\d{4}(-\d{1,2}(-\d{1,2}([ T]\d{1,2}(:\d{1,2}(:\d{1,2})?)?)?)?)?")
MEANT = re.compile(r"[<>=!]|\b(and|or|not|in|is)\b", re.I)
"""Signs of an expression, in a text that is none."""


class Found(Record, frozen=True, kw_only=True):
    """Hits of the nearest row group that has any."""

    rows: tuple[int, ...]
    """Numbers of rows from 0, nearest first."""
    reached: int
    """All rows between the start and this one, itself included, were looked at; more of these is all there is."""
    end: bool
    """That was the last row, or the first one of a search upwards."""


@dataclass(frozen=True)
class Condition:
    """What a row must hold."""

    columns: tuple[str, ...]
    """Those that it reads."""
    mask: Callable[[Any], Any]
    """A RecordBatch of these columns → an array of booleans; missing is no hit."""


def condition_of(text: str, columns: Sequence[Column]) -> Condition:
    """An expression that reads a column, or else a word. Invalid, with the place, where one was meant and is faulty."""
    from console.data.expression import ExpressionError, parse_expression

    text = text.strip()
    if not text:
        raise Invalid("nothing to look for: write a word, a number or an expression such as dep_delay > 60.", "find")
    try:
        expression = parse_expression(text, columns)
    except ExpressionError:
        if MEANT.search(text) and any(_names(text, column.name) for column in columns):
            raise
        return _word(text, columns)
    if expression.type is not ColumnType.BOOL or not expression.columns or text in {c.name for c in columns}:
        return _word(text, columns)
    return Condition(tuple(expression.columns), expression.evaluate)


def _names(text: str, column: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", text) is not None


def _word(text: str, columns: Sequence[Column]) -> Condition:
    """Within texts, whatever their case unless it has capitals; numbers by value; days and times by their beginning."""
    number = _number(text)
    moment = MOMENT.fullmatch(text) is not None and len(text) >= 7
    flag = {"true": True, "false": False}.get(text.lower())
    looked: list[str] = []
    for column in columns:
        wanted = {
            ColumnType.INT: number is not None and number == int(number),
            ColumnType.FLOAT: number is not None,
            ColumnType.BOOL: flag is not None,
            ColumnType.DATE: moment,
            ColumnType.DATETIME: moment,
        }.get(column.type, True)
        if wanted:
            looked.append(column.name)
    if not looked:
        raise Invalid(f"no column of this version could hold {text}: it has no column of texts.", "find")
    kinds = {column.name: column.type for column in columns}

    def mask(batch: Any) -> Any:
        import numpy as np

        hit = np.zeros(batch.num_rows, bool)
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            found = _holds(array, kinds[name], text, number, flag)
            hit |= found.fill_null(False).to_numpy(zero_copy_only=False)
        return hit

    return Condition(tuple(looked), mask)


def _holds(array: Any, kind: ColumnType, text: str, number: float | None, flag: bool | None) -> Any:
    import pyarrow.compute as pc

    from console.data.profile_texts import as_text

    if kind in (ColumnType.INT, ColumnType.FLOAT):
        import pyarrow as pa

        value = int(number) if kind is ColumnType.INT and number is not None else number
        try:
            return pc.equal(array, pa.scalar(value, array.type))
        except (pa.ArrowInvalid, OverflowError):  # no number of this width
            return pa.nulls(len(array), pa.bool_())
    if kind is ColumnType.BOOL:
        return pc.equal(array, flag)
    if kind in (ColumnType.DATE, ColumnType.DATETIME):
        form = "%Y-%m-%d" if kind is ColumnType.DATE else "%Y-%m-%d %H:%M:%S"
        return pc.starts_with(pc.strftime(array, form), text.replace("T", " "))
    array = as_text(array)
    if text == text.lower():
        array = pc.ascii_lower(array) if text.isascii() else pc.utf8_lower(array)
    return pc.match_substring(array, text)


def _number(text: str) -> float | None:
    try:
        value = float(text.replace("\u2009", "").replace("_", ""))
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None


def find_rows(
    file: Any,
    condition: Condition,
    start: int,
    *,
    backwards: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Found:
    """The nearest hits from row `start` on (itself included), down the file or up.

    Reads row group by row group and stops at the first that has a hit: memory is bounded by one row group of the
    columns that are looked at.
    """
    import numpy as np

    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    ends = np.cumsum(sizes).tolist()
    total = ends[-1] if ends else 0
    start = min(start, total - 1)
    groups = [g for g, end in enumerate(ends) if (end - sizes[g] <= start if backwards else end > start)]
    began = time.monotonic()
    reached = start
    for done, group in enumerate(groups[::-1] if backwards else groups):
        if progress is not None:
            looked = abs(reached - start)
            rate = looked / max(time.monotonic() - began, 1e-3)
            progress(
                Progress(
                    at=int(time.time() * 1000),
                    fraction=done / len(groups),
                    rate=f"{rate / 1e6:.1f} M rows/s" if done else "",
                )
            )
        first = ends[group] - sizes[group]
        hits = first + _hits(file, group, condition)
        hits = hits[hits <= start][::-1] if backwards else hits[hits >= start]
        reached = first if backwards else ends[group] - 1
        if len(hits):
            if len(hits) > MOST:
                hits = hits[:MOST]
                reached = int(hits[-1])
            return Found(rows=tuple(hits.tolist()), reached=reached, end=reached in (0 if backwards else total - 1,))
    return Found(rows=(), reached=reached, end=True)


def _hits(file: Any, group: int, condition: Condition) -> Any:
    import numpy as np

    table = file.read_row_group(group, columns=list(condition.columns))
    masks = []
    for batch in table.to_batches(max_chunksize=BATCH):
        mask = condition.mask(batch)
        if not isinstance(mask, np.ndarray):
            mask = mask.fill_null(False).to_numpy(zero_copy_only=False)
        masks.append(mask)
    return np.flatnonzero(np.concatenate(masks)) if masks else np.empty(0, np.int64)
