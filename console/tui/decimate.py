"""Fewer points that draw the same picture: the lowest and the highest of each column of the screen."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

Point = tuple[float, float]

MOST = 1e150
"""Beyond it differences overflow; a loss that large has left the chart."""


def segments(points: Iterable[Point]) -> list[list[Point]]:
    """The points in unbroken stretches: what is not a finite number, or beyond `MOST`, is a gap and never a line."""
    points = list(points)
    ys = [y for _, y in points]
    total = sum(ys)  # as that of the xs not a number where one of them is none
    # Nearly always there is no gap, and then no point is looked at by itself.
    if ys and total == total and min(ys) >= -MOST and max(ys) <= MOST and math.isfinite(sum(x for x, _ in points)):
        return [points]
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


def within(points: Sequence[Point], low: float, high: float) -> list[Point]:
    """The points in [low, high], and where the line from or to the nearest one outside crosses its edge."""
    first, last = bisect_left(points, (low, -math.inf)), bisect_right(points, (high, math.inf))
    found = list(points[first:last])
    if 0 < first < len(points) and (not found or found[0][0] > low):
        found.insert(0, _crossing(points[first - 1], points[first], low))
    if 0 < last < len(points) and found[-1:] and found[-1][0] < high:
        found.append(_crossing(points[last - 1], points[last], high))
    return found


def _crossing(one: Point, other: Point, x: float) -> Point:
    share = (x - one[0]) / (other[0] - one[0])
    return x, one[1] + share * (other[1] - one[1])
