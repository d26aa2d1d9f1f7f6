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
from itertools import pairwise
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
    if all(a <= b for a, b in pairwise(found)):
        return Points(found, at, value)
    order = sorted(range(len(found)), key=found.__getitem__)
    return Points(
        array("q", map(found.__getitem__, order)),
        array("q", map(at.__getitem__, order)),
        array("d", map(value.__getitem__, order)),
    )


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


def unpack_cells(blob: bytes) -> list[Cell]:
    return list(map(Cell._make, _CELL.iter_unpack(blob)))


def buckets(found: Sequence[Cell], most: int) -> tuple[MetricBucket, ...]:
    """At most `most` buckets over cells in order of step: equal shares of the steps, gaps in buckets of their own."""
    if not found:
        return ()
    parts = sum((cell.filled > 0) + (cell.gaps > 0) for cell in found)
    if parts > most:
        first = min(min(_starts(cell)) for cell in found)
        span = max(max(cell.last, cell.last_gap if cell.gaps else cell.last) for cell in found) - first + 1
        # A share that holds numbers and gaps takes two buckets.
        shares = max(1, most // 2 if any(cell.gaps for cell in found) else most)
        grouped: dict[int, list[Cell]] = {}
        for cell in found:
            grouped.setdefault((cell.first - first) * shares // span, []).append(cell)
        found = [over(group) for _, group in sorted(grouped.items())]
    made: list[MetricBucket] = []
    for cell in found:
        made += _made(cell)
    return tuple(made[-most:] if len(made) > most else made)


def _starts(cell: Cell) -> list[int]:
    return ([cell.first] if cell.filled else []) + ([cell.first_gap] if cell.gaps else [])


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
