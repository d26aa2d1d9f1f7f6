"""How long labels take: counted in quarter octaves of seconds, which add up over files, windows and time. Plain
Python."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from backends.entities import Window

CELLS_PER_OCTAVE = 4

Lags = Mapping[int, int]
"""Cell → labels: cell n holds 2**(n/4) to 2**((n+1)/4) seconds; cell 0 holds whatever is shorter, too."""


def lags_of(seconds: Iterable[float]) -> dict[int, int]:
    """Labels by how long each took, in seconds."""
    found: dict[int, int] = {}
    for each in seconds:
        cell = int(CELLS_PER_OCTAVE * math.log2(max(each, 1.0)))
        found[cell] = found.get(cell, 0) + 1
    return found


def added(first: Lags, second: Lags) -> dict[int, int]:
    return {cell: first.get(cell, 0) + second.get(cell, 0) for cell in sorted({*first, *second})}


def median_lag(lags: Lags) -> float | None:
    """In seconds, within a tenth of itself; None of no labels."""
    total = sum(lags.values())
    if not total:
        return None
    before = 0
    for cell in sorted(lags):
        count = lags[cell]
        if 2 * (before + count) >= total:
            within = (total / 2 - before) / count
            return float(2.0 ** ((cell + within) / CELLS_PER_OCTAVE))
        before += count
    return None


def with_lags(window: Window, lags: Lags) -> Window:
    """The window with the lags of more labels."""
    if not lags:
        return window
    both = added(window.lags, lags)
    return msgspec.structs.replace(window, lags=both, label_lag=median_lag(both))
