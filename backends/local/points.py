"""Metric points in blobs, and the min/max pyramid over them.

A chunk holds `CHUNK` points of one metric of one run, in order of step, as three arrays one after another: steps
(int64), times (int64, milliseconds), values (float64), little-endian. Over each stretch of `STRETCH` points stands one
`Cell`, and over the chunk one more: a chart reads cells, not points. NaN is counted apart: a gap stays a gap.
"""

from __future__ import annotations

import math
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from operator import le
from typing import Final, NamedTuple

from backends.entities import MetricBucket

CHUNK: Final = 2048
STRETCH: Final = 64
_CELL: Final = struct.Struct("<qqdddqqqqq")


class Cell(NamedTuple):
    """What a stretch of points holds. With `filled` 0 all are NaN, with `gaps` 0 none is."""

    first: int
    last: int
    low: float
    high: float
    value: float
    """The last value that is a number."""
    filled: int
    """How many points are numbers."""
    at: int
    gaps: int
    first_gap: int
    last_gap: int


class Columns(NamedTuple):
    """Cells, a column for each field: a minimum over many is one call."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    value: tuple[float, ...]
    filled: tuple[int, ...]
    at: tuple[int, ...]
    gaps: tuple[int, ...]
    first_gap: tuple[int, ...]
    last_gap: tuple[int, ...]


NO_CELLS: Final = Columns(*((),) * 10)


class Points(NamedTuple):
    """Points in order of step; equal steps in order of arrival."""

    steps: array[int]
    times: array[int]
    values: array[float]

    @property
    def size(self) -> int:
        return len(self.steps)

    def part(self, start: int, end: int) -> Points:
        return Points(self.steps[start:end], self.times[start:end], self.values[start:end])

    def between(self, first: int | None, last: int | None) -> Points:
        """Those with a step from `first` to `last`, both included."""
        start = 0 if first is None else bisect_left(self.steps, first)
        end = len(self.steps) if last is None else bisect_left(self.steps, last + 1)
        return self.part(start, end)


def in_order(steps: Iterable[int], times: Iterable[int], values: Iterable[float]) -> Points:
    """Sort by step, keeping arrival order where steps are equal."""
    found = array("q", steps)
    at, value = array("q", times), array("d", values)
    if rising(found):
        return Points(found, at, value)
    order = sorted(range(len(found)), key=found.__getitem__)
    return Points(
        array("q", map(found.__getitem__, order)),
        array("q", map(at.__getitem__, order)),
        array("d", map(value.__getitem__, order)),
    )


def rising(steps: Sequence[int]) -> bool:
    """None is lower than the one before it."""
    return all(map(le, steps, islice(steps, 1, None)))


def join(parts: Sequence[Points]) -> Points:
    """Several stretches as one, in order again."""
    steps, times, values = array("q"), array("q"), array("d")
    for part in parts:
        steps += part.steps
        times += part.times
        values += part.values
    return in_order(steps, times, values)


def pack(points: Points) -> bytes:
    return points.steps.tobytes() + points.times.tobytes() + points.values.tobytes()


def unpack(blob: bytes) -> Points:
    size = len(blob) // 3
    steps, times, values = array("q"), array("q"), array("d")
    steps.frombytes(blob[:size])
    times.frombytes(blob[size : 2 * size])
    values.frombytes(blob[2 * size :])
    return Points(steps, times, values)


def cells(points: Points, width: int = STRETCH) -> list[Cell]:
    """One cell for each stretch of `width` points."""
    return [_cell(points.part(start, start + width)) for start in range(0, points.size, width)]


def _cell(points: Points) -> Cell:
    steps, times, values = points
    total = sum(values)
    # A sum that is a number has no NaN in it, which most have not; one of both infinities is looked at closely.
    gaps = [] if total == total else [step for step, value in zip(steps, values, strict=True) if value != value]
    first_gap, last_gap = (gaps[0], gaps[-1]) if gaps else (0, 0)
    if gaps:
        kept = [row for row, value in enumerate(values) if value == value]
        if not kept:
            nan = math.nan
            return Cell(steps[0], steps[-1], nan, nan, nan, 0, times[-1], len(gaps), first_gap, last_gap)
        steps = array("q", map(steps.__getitem__, kept))
        times = array("q", map(times.__getitem__, kept))
        values = array("d", map(values.__getitem__, kept))
    return Cell(
        steps[0],
        steps[-1],
        min(values),
        max(values),
        values[-1],
        len(values),
        times[-1],
        len(gaps),
        first_gap,
        last_gap,
    )


def over(found: Sequence[Cell]) -> Cell:
    """One cell over several that follow each other."""
    if len(found) == 1:
        return found[0]
    full = [cell for cell in found if cell.filled]
    gaps = [cell for cell in found if cell.gaps]
    some = full or found
    firsts, lasts, lows, highs, _, filled, *_ = zip(*some, strict=True)
    return Cell(
        first=firsts[0],
        last=max(lasts),
        low=min(lows) if full else math.nan,
        high=max(highs) if full else math.nan,
        value=full[-1].value if full else math.nan,
        filled=sum(filled) if full else 0,
        at=some[-1].at,
        gaps=sum(cell.gaps for cell in gaps),
        first_gap=min((cell.first_gap for cell in gaps), default=0),
        last_gap=max((cell.last_gap for cell in gaps), default=0),
    )


def pack_cells(found: Iterable[Cell]) -> bytes:
    return b"".join(_CELL.pack(*cell) for cell in found)


def unpack_columns(blob: bytes) -> Columns:
    """The cells of a blob, each of their fields as one column."""
    return Columns._make(zip(*_CELL.iter_unpack(blob), strict=True)) if blob else NO_CELLS


def columns(found: Sequence[Cell]) -> Columns:
    return Columns._make(zip(*found, strict=True)) if found else NO_CELLS


def put_together(parts: Sequence[Columns]) -> Columns:
    """Several stretches as one, in order of their first steps."""
    whole = Columns._make(tuple(chain.from_iterable(fields)) for fields in zip(NO_CELLS, *parts, strict=True))
    if rising(whole.first):
        return whole
    return columns(sorted(map(Cell._make, zip(*whole, strict=True)), key=lambda cell: cell.first))


def buckets(found: Columns, most: int) -> tuple[MetricBucket, ...]:
    """At most `most` buckets over cells in order of step: equal shares of the steps, gaps in buckets of their own."""
    size = len(found.first)
    if not size:
        return ()
    with_gaps = any(found.gaps)
    parts = size if not with_gaps else sum(map(bool, found.filled)) + sum(map(bool, found.gaps))
    made: list[MetricBucket] = []
    if parts <= most:
        for cell in map(Cell._make, zip(*found, strict=True)):
            made += _made(cell)
        return tuple(made)
    starts, ends = (_starts(found), _ends(found)) if with_gaps else (found.first, found.last)
    first = min(starts)
    span = max(ends) - first + 1
    # A share that holds numbers and gaps takes two buckets.
    shares = max(1, most // 2 if with_gaps else most)
    here = 0
    while here < size:
        share = max(0, (found.first[here] - first) * shares // span)
        # The first step of the next share, rounded up.
        until = bisect_left(found.first, first - (-(share + 1) * span // shares), here)
        part = slice(here, until)
        if with_gaps and any(found.gaps[part]):
            made += _made(over([Cell._make(fields) for fields in zip(*(field[part] for field in found), strict=True)]))
        else:
            made.append(_plain(found, part))
        here = until
    return tuple(made[-most:] if len(made) > most else made)


def _plain(found: Columns, part: slice) -> MetricBucket:
    """Over cells without gaps."""
    return MetricBucket(
        first_step=found.first[part.start],
        last_step=max(found.last[part]),
        low=min(found.low[part]),
        high=max(found.high[part]),
        last=found.value[part.stop - 1],
        count=sum(found.filled[part]),
        at=found.at[part.stop - 1],
    )


def _starts(found: Columns) -> list[int]:
    of_each = zip(found.first, found.first_gap, found.filled, found.gaps, strict=True)
    return [min(first if filled else gap, gap if gaps else first) for first, gap, filled, gaps in of_each]


def _ends(found: Columns) -> list[int]:
    return [
        max(last, gap if gaps else last) for last, gap, gaps in zip(found.last, found.last_gap, found.gaps, strict=True)
    ]


def _made(cell: Cell) -> list[MetricBucket]:
    made = []
    if cell.filled:
        made.append(
            MetricBucket(
                first_step=cell.first,
                last_step=cell.last,
                low=cell.low,
                high=cell.high,
                last=cell.value,
                count=cell.filled,
                at=cell.at,
            )
        )
    if cell.gaps:
        nan = math.nan
        made.append(
            MetricBucket(
                first_step=cell.first_gap,
                last_step=cell.last_gap,
                low=nan,
                high=nan,
                last=nan,
                count=cell.gaps,
                at=cell.at,
            )
        )
    return sorted(made, key=lambda bucket: bucket.first_step)
