"""Fewer points that draw the same picture: the lowest and the highest of each column of the screen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from backends.entities import MetricSeries

Point = tuple[float, float]

MOST = 1e150
"""Beyond it differences overflow; a loss that large has left the chart."""


def segments(points: Iterable[Point]) -> list[list[Point]]:
    """The points in unbroken stretches: what is not a finite number, or beyond `MOST`, is a gap and never a line."""
    found: list[list[Point]] = []
    current: list[Point] = []
    for x, y in points:
        if math.isfinite(x) and -MOST <= y <= MOST:
            current.append((x, y))
        elif current:
            found.append(current)
            current = []
    if current:
        found.append(current)
    return found


def extremes(points: Sequence[Point], low: float, high: float, columns: int) -> list[Point]:
    """At most two points in each of `columns` equal stretches of [low, high]: the lowest and the highest, in the
    order in which they came. Points are in order of x. A series that is short enough comes back as it is."""
    if len(points) <= 2 * columns or columns < 1 or high <= low:
        return list(points)
    scale = columns / (high - low)
    found: list[Point] = []
    column = -1
    least = most = points[0]
    least_at = most_at = 0
    for at, point in enumerate(points):
        here = min(columns - 1, max(0, int((point[0] - low) * scale)))
        if here != column:
            if column >= 0:
                found.extend(_pair(least, least_at, most, most_at))
            column, least, most, least_at, most_at = here, point, point, at, at
        elif point[1] < least[1]:
            least, least_at = point, at
        elif point[1] > most[1]:
            most, most_at = point, at
    found.extend(_pair(least, least_at, most, most_at))
    return found


def _pair(least: Point, least_at: int, most: Point, most_at: int) -> tuple[Point, ...]:
    if least_at == most_at:
        return (least,)
    return (least, most) if least_at < most_at else (most, least)


def series_points(series: MetricSeries) -> list[Point]:
    """The course of a metric as points: a bucket of several measurements is its lowest and its highest, the one
    nearer to its last measurement last."""
    found: list[Point] = []
    for bucket in series.buckets:
        if bucket.count <= 1 or bucket.low == bucket.high or not math.isfinite(bucket.last):
            found.append((float(bucket.last_step), bucket.last))
            continue
        rising = bucket.high - bucket.last <= bucket.last - bucket.low
        first, last = (bucket.low, bucket.high) if rising else (bucket.high, bucket.low)
        found.append((float(bucket.first_step), first))
        found.append((float(bucket.last_step), last))
    return found
