"""Axes: a range with air around it, labels with the digits that tell them apart."""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum

from console.wording import clock, number, thousands


class Across(StrEnum):
    """What x is."""

    STEP = "step"
    CLOCK = "clock"
    """Milliseconds of UTC."""
    ELAPSED = "elapsed"
    """Seconds since the run began."""


def padded(low: float, high: float) -> tuple[float, float]:
    """A range that is never empty and leaves a little air."""
    if high <= low:
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    pad = (high - low) * 0.03
    return low - pad, high + pad


def y_ticks(low: float, high: float, rows: int, log: bool) -> dict[int, str]:
    """Labels by row, three to five of them, with the digits that tell them apart."""
    wanted = max(2, min(5, rows // 3 + 1))
    places = {round(i * (rows - 1) / (wanted - 1)) for i in range(wanted)} if rows > 1 else {0}
    values = {row: high - (row + 0.5) / rows * (high - low) for row in places}
    if log:
        return {row: number(10**value, 3) for row, value in values.items()}
    step = (high - low) / max(1, wanted - 1)
    digits = max(0, min(8, 1 - math.floor(math.log10(step)))) if step > 0 else 2
    largest = max(abs(low), abs(high))
    if largest >= 1e5 or (largest and largest < 1e-4):
        return {row: f"{value:.2e}" for row, value in values.items()}
    return {row: f"{value:.{digits}f}" for row, value in values.items()}


def x_text(x: float, across: Across) -> str:
    """One x, as it is read."""
    if across is Across.CLOCK:
        return datetime.fromtimestamp(x / 1000).strftime("%d %b %H:%M:%S")
    if across is Across.ELAPSED:
        return clock(x) if x >= 1 or x == 0 else f"{number(x, 3)} s"
    return thousands(int(x)) if x == int(x) else number(x)


def x_labels(left: float, right: float, columns: int, across: Across) -> str:
    """First, middle and last x under the axis."""
    middle_x = (left + right) / 2
    if across is Across.CLOCK:
        form = "%d %b" if right - left >= 36 * 3_600_000 else "%H:%M"
        names = [datetime.fromtimestamp(x / 1000).strftime(form) for x in (left, middle_x, right)]
    else:
        if across is Across.STEP and left == int(left) and right == int(right) and right - left > 1:
            middle_x = (left + right) // 2
        names = [x_text(x, across) for x in (left, middle_x, right)]
    if right <= left:
        return names[0].center(columns)
    first, middle, last = names
    if len(first) + len(middle) + len(last) + 4 > columns:
        return first + last.rjust(columns - len(first))
    at = (columns - len(middle)) // 2
    return (first.ljust(at) + middle).ljust(columns - len(last)) + last
