"""The course of a metric, as a chart takes it: points by step or by time, smoothed, and what was read where."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.axes import Across

if TYPE_CHECKING:
    from backends.entities import MetricBucket, MetricSeries, Run
    from console.tui.chart_view import Extent

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """One line: points in order of x. NaN is a gap."""

    name: str
    points: tuple[Point, ...]
    id: str = ""
    """What its colour belongs to: a run's id. The name, where there is none."""
    smooth: tuple[Point, ...] = ()
    """What is drawn in the place of the points; they stay behind it, faint, where they are the only line."""
    readings: tuple[Point, ...] = ()
    """Last measurement of each bucket, NaN among them: what the crosshair reads."""

    def at(self, x: float) -> float | None:
        """What was measured last at or before x. None before the first measurement and behind the last."""
        place = bisect_right(self.readings, (x, math.inf)) - 1
        if place < 0 or x > self.readings[-1][0]:
            return None
        return self.readings[place][1]


def course(
    series: MetricSeries, run: Run, *, name: str = "", across: Across = Across.STEP, smoothing: float = 0.0
) -> Series:
    """The line of a run. Over time x is seconds since the run began, or since its first point where nobody knows."""
    spots = _spots(series.buckets, _origin(series, run), across)
    points: list[Point] = []
    for (first, last), bucket in zip(spots, series.buckets, strict=True):
        if bucket.count <= 1 or bucket.low == bucket.high or not math.isfinite(bucket.last):
            points.append((last, bucket.last))
            continue
        # Its lowest and its highest, the one nearer to its last measurement last.
        rising = bucket.high - bucket.last <= bucket.last - bucket.low
        one, other = (bucket.low, bucket.high) if rising else (bucket.high, bucket.low)
        points += [(first, one), (last, other)]
    readings = [(last, bucket.last) for (_, last), bucket in zip(spots, series.buckets, strict=True)]
    if across is not Across.STEP:
        points.sort(key=lambda point: point[0])  # a clock may have been set back between two steps
        readings.sort(key=lambda point: point[0])
    smooth = smoothed(readings, smoothing) if smoothing else ()
    return Series(name or run.name or run.id[:8], tuple(points), run.id, tuple(smooth), tuple(readings))


def smoothed(points: Sequence[Point], weight: float) -> list[Point]:
    """Exponential moving average, freed of the bias of its start: y_t = Σ w^(t-i) x_i / Σ w^(t-i).

    `weight` is that of what came before, 0 ≤ weight < 1. It counts the points given, which on a long course are buckets
    of several measurements. What is not finite stays as it is, a gap, and changes no average.
    Source: pandas `ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean()`.
    """
    found: list[Point] = []
    total = share = 0.0
    for x, y in points:
        if not math.isfinite(y):
            found.append((x, y))
            continue
        total = total * weight + y
        share = share * weight + 1
        found.append((x, total / share))
    return found


def steps_of(series: MetricSeries, run: Run, window: Extent, across: Across) -> tuple[int, int]:
    """First and last step of a stretch of x, one bucket wider on each side so that lines go on to the edge."""
    spots = _spots(series.buckets, _origin(series, run), across)
    inside = [at for at, (first, last) in enumerate(spots) if last >= window[0] and first <= window[1]]
    if not inside:
        return (int(window[0]), math.ceil(window[1])) if across is Across.STEP else (0, 0)
    low, high = max(0, min(inside) - 1), min(len(spots) - 1, max(inside) + 1)
    return series.buckets[low].first_step, series.buckets[high].last_step


def _origin(series: MetricSeries, run: Run) -> int:
    times = [bucket.at for bucket in series.buckets[:1]]
    return min([*times, run.started_at]) if times and run.started_at else (times or [0])[0]


def _spots(buckets: Sequence[MetricBucket], origin: int, across: Across) -> list[tuple[float, float]]:
    """First and last x of each bucket. Of times the last is known; the first lies between it and the one before."""
    if across is Across.STEP:
        return [(float(bucket.first_step), float(bucket.last_step)) for bucket in buckets]
    found = []
    before = buckets[0].at if buckets else 0
    for bucket in buckets:
        middle = (before + bucket.at) / 2 if bucket.count > 1 else bucket.at
        found.append(((middle - origin) / 1000, (bucket.at - origin) / 1000))
        before = bucket.at
    return found
