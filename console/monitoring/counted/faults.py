"""What went wrong with a column's values, named: a pair swapped, another unit, a sensor that stands still.

Told from counts alone, and only of columns that are far from their reference. The reference's rows are spread over
their cells, put through what might have happened to them (converted, or taken from another column), and counted again
in the column's own cells: where that is what the window looks like, that is what happened. Plain Python.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from backends.entities import ColumnScore, MonitorState
from console.monitoring.counted.distances import jensen_shannon
from console.monitoring.counted.profile import CategoricalColumn, NumericColumn, Profile, ReferenceColumn

FAR = 0.15
"""Jensen-Shannon distance from the reference above which an explanation is looked for."""
NEAR = 0.06
"""Distance within which a guess explains the window, beside what chance makes of it."""
BETTER = 0.6
"""A guess must come this much nearer than the reference as it is."""
FEWEST = 50
"""Rows of which a distance is judged at all."""
STUCK = 0.4
"""Share of rows in one cell, above the reference's, at which a column stands still."""
BEYOND = 0.9
"""Share of rows outside the range on one side at which nobody can tell the factor any more."""
MOST_BEYOND = 0.6
"""Share of rows outside the range on one side at which the nearest guess will do."""
CROWDED = 0.5
"""Share of the reference in one cell above which that cell alone explains nothing."""
MISSING, NEW, OUTSIDE, GONE = "missing", "new level", "outside", "gone"
STOPPED, SWAPPED, UNIT = "stuck", "swapped", "unit change"

_SCALES = {
    "milli": 1000.0, "hundredths": 100.0, "tenths": 10.0, "minutes or seconds": 60.0, "hours and seconds": 3600.0,
    "days and hours": 24.0, "km and miles": 1.609344, "metres and feet": 0.3048, "inches and cm": 2.54,
    "kg and pounds": 0.45359237, "m/s and km/h": 3.6, "knots and km/h": 1.852, "radians and degrees": 57.29577951,
}  # fmt: skip
CONVERSIONS: tuple[tuple[str, float, float], ...] = (
    *((f"×{factor:g} ({name})", factor, 0.0) for name, factor in _SCALES.items()),
    *((f"÷{factor:g} ({name})", 1 / factor, 0.0) for name, factor in _SCALES.items()),
    ("°F to °C", 5 / 9, -160 / 9),
    ("°C to °F", 1.8, 32.0),
    ("°C to K", 1.0, 273.15),
    ("K to °C", 1.0, -273.15),
    ("the sign turned", -1.0, 0.0),
)
"""What may have been done to the values: in words, factor, offset."""

Part = tuple[float, float, float]
"""Rows spread evenly from one value to another (the same for a single value)."""


def named(
    profile: Profile,
    counts: Mapping[str, Sequence[int]],
    new: Mapping[str, Mapping[str, int]],
    found: Sequence[ColumnScore],
) -> tuple[ColumnScore, ...]:
    """The scores with faults that one column alone, or two together, explain. counts: by column name, in its cells."""
    columns = {column.name: column for column in profile.columns}
    far = [
        score.column
        for score in found
        if score.state in (MonitorState.WARN, MonitorState.FIRING)
        and sum(counts[score.column]) >= FEWEST
        and _distance(columns[score.column], counts) >= FAR
    ]
    swapped = _swapped(far, columns, counts, new)
    told = []
    for score in found:
        column = columns[score.column]
        if score.column not in far or score.fault == GONE:
            told.append(score)
        elif twin := swapped.get(score.column):
            told.append(_with(score, SWAPPED, f"looks like {twin}: are the two swapped?"))
        elif (at := _stuck(column, counts[score.column])) is not None:
            told.append(_with(score, STOPPED, f"stands still at {at}"))
        elif isinstance(column, NumericColumn) and (unit := _converted(column, counts[score.column])):
            told.append(_with(score, UNIT, f"looks like {unit}"))
        else:
            told.append(score)
    return tuple(told)


def _with(score: ColumnScore, fault: str, said: str) -> ColumnScore:
    return msgspec.structs.replace(
        score, fault=fault, state=MonitorState.FIRING, reason=f"{said}; {score.reason}" if score.reason else said
    )


def _values(column: ReferenceColumn, counts: Sequence[int]) -> list[int]:
    """Cells of values: below, the cells, above; or levels, other and new."""
    if isinstance(column, NumericColumn):
        return [counts[-4], *counts[: column.cells], counts[-3]]
    return list(counts[:-1])


def _distance(column: ReferenceColumn, counts: Mapping[str, Sequence[int]]) -> float:
    return _apart(_values(column, column.counts), _values(column, counts[column.name]))


def _apart(first: Sequence[float], second: Sequence[float]) -> float:
    # Guesses are shares of rows; thousandths of a row keep them whole.
    return jensen_shannon([round(value * 1000) for value in first], [round(value * 1000) for value in second])


def _chance(rows: int, cells: int) -> float:
    """The Jensen-Shannon distance that a sample of a distribution has from it: 8 n times its square is about a
    chi-square with cells - 1 degrees of freedom."""
    return math.sqrt(cells / (8 * max(1, rows)))


def _stuck(column: ReferenceColumn, counts: Sequence[int]) -> str | None:
    """The value that a column repeats, or None."""
    values = list(counts[: column.cells])
    now, before = max(1, sum(_values(column, counts))), max(1, sum(_values(column, column.counts)))
    spot = max(range(len(values)), key=values.__getitem__, default=None)
    if spot is None or values[spot] / now - column.counts[spot] / before < STUCK:
        return None
    if isinstance(column, CategoricalColumn):
        return repr(column.levels[spot]) if values[spot] == now else None
    if column.counts[spot] / before > 0.5 or column.cells < 3:
        return None
    whole = _values(column, counts)  # with what lies below and above: who moved out of the range passed by here
    neighbours = sum(whole[max(0, spot - 1) : spot + 4]) - values[spot]
    # A distribution that only became narrow has rows beside its peak. The outermost cells are wide: who is on the way
    # out of the range fills one, and leaves some beyond it.
    most = 0.02 if spot in (0, len(values) - 1) else 0.25
    return f"about {column.edges[spot]:.4g}" if neighbours <= values[spot] * most else None


def _converted(column: NumericColumn, counts: Sequence[int]) -> str:
    """What was done to the values, in words; empty where nothing that is known explains them."""
    now = _values(column, counts)
    total = max(1, sum(now))
    shares = [count / max(1, sum(column.counts)) for count in _values(column, column.counts)]
    crowd = max(range(len(shares)), key=shares.__getitem__)
    before = parts_of(column)
    chance = 1.5 * _chance(total, len(now))
    beyond = max(now[0], now[-1]) / total
    best, nearest = "", BETTER * _distance(column, {column.name: counts})
    if beyond < MOST_BEYOND:
        nearest = min(nearest, NEAR + chance)
    for words, factor, offset in CONVERSIONS:
        moved = [_span(low * factor + offset, high * factor + offset, mass) for low, high, mass in before]
        guess = _counted_again(moved, column, total)
        if shares[crowd] > CROWDED and 1 - guess[crowd] / total < (1 - shares[crowd]) / 2:
            continue  # where most values are one, such as no rain, a dry week looks like any smaller unit
        distance = _apart(guess, now)
        if distance < nearest:
            best, nearest = words, distance
    if beyond >= BEYOND:
        # By which factor, nobody can tell from there, nor whether it is one at all: summer is beyond a winter's range.
        return "another unit, or like what training never saw: all but a few are beyond the range"
    return best and f"another unit: {best}"


def _swapped(
    far: Sequence[str],
    columns: Mapping[str, ReferenceColumn],
    counts: Mapping[str, Sequence[int]],
    new: Mapping[str, Mapping[str, int]],
) -> dict[str, str]:
    """column → the one whose values it seems to hold, both ways round."""
    found: dict[str, str] = {}
    for at, first in enumerate(far):
        for second in far[at + 1 :]:
            if first in found or second in found:
                continue
            one, other = columns[first], columns[second]
            if isinstance(one, NumericColumn) and isinstance(other, NumericColumn):
                fits = _holds(one, counts[first], other) and _holds(other, counts[second], one)
            elif isinstance(one, CategoricalColumn) and isinstance(other, CategoricalColumn):
                fits = _names(new.get(first, {}), other) and _names(new.get(second, {}), one)
            else:
                fits = False
            if fits:
                found[first], found[second] = second, first
    return found


def _holds(column: NumericColumn, counts: Sequence[int], other: NumericColumn) -> bool:
    """Whether the column's window looks like the other's reference."""
    now = _values(column, counts)
    guess = _counted_again(parts_of(other), column, sum(now))
    near = NEAR + 1.5 * _chance(sum(now), len(now))
    return _apart(guess, now) < min(near, BETTER * _distance(column, {column.name: counts}))


def _names(new: Mapping[str, int], other: CategoricalColumn) -> bool:
    return bool(new) and all(level in other.levels for level in new)


def parts_of(column: NumericColumn) -> list[Part]:
    """The reference's rows as shares of them: spread within cells, or at single values where each has its cell."""
    counts = column.counts[: column.cells]
    total = max(1, sum(counts))
    points = _points(column.edges)
    if points:
        return [(value, value, count / total) for value, count in zip(points, counts, strict=True)]
    return [
        (left, right, count / total)
        for (left, right), count in zip(pairwise(column.edges), counts, strict=True)
        if count
    ]


def _points(edges: Sequence[float]) -> list[float]:
    """The values behind edges that were cut half-way between neighbours; empty where they were cut otherwise."""
    values = [edges[0]]
    for left, right in pairwise(edges[1:]):
        value = 2 * left - values[-1]
        if not left <= value <= right:
            return []
        values.append(value)
    width = (edges[-1] - edges[0]) or 1.0
    return values if abs(values[-1] - edges[-1]) <= 1e-6 * width else []


def _span(first: float, second: float, mass: float) -> Part:
    return (first, second, mass) if first <= second else (second, first, mass)


def _counted_again(parts: Sequence[Part], column: NumericColumn, rows: int) -> list[float]:
    """Rows per cell of the column (below, the cells, above), were `rows` of them spread like the parts."""
    edges = column.edges
    out = [0.0] * (len(edges) + 1)
    for low, high, mass in parts:
        share = mass * rows
        if high <= low:
            spot = bisect.bisect_right(edges, low)
            out[spot - 1 if low == edges[-1] and spot == len(edges) else spot] += share
            continue
        density = share / (high - low)
        out[0] += density * max(0.0, min(high, edges[0]) - low)
        out[-1] += density * max(0.0, high - max(low, edges[-1]))
        spot = max(0, bisect.bisect_right(edges, low) - 1)
        while spot < len(edges) - 1 and edges[spot] < high:
            out[spot + 1] += density * max(0.0, min(high, edges[spot + 1]) - max(low, edges[spot]))
            spot += 1
    return out
