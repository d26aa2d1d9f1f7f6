"""Exact two-sample statistics of rows that are both at hand. Only a worker process comes here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from console.monitoring.counted.distances import chi_square, ks_p_value
from console.monitoring.drift.ordered import distances_in_order

Vector = np.ndarray[Any, Any]


def distances(reference: Vector, current: Vector) -> tuple[float, float]:
    """`ordered.distances_in_order` of samples in any order."""
    return distances_in_order(np.sort(reference), np.sort(current))


def ks_test(reference: Vector, current: Vector) -> tuple[float, float]:
    """Distance and p-value by the limiting distribution, as `scipy.stats.ks_2samp(…, method="asymp")` for large
    samples."""
    distance, _ = distances(reference, current)
    return distance, ks_p_value(distance, len(reference), len(current))


def level_counts(reference: Mapping[str, int], current: Mapping[str, int]) -> tuple[list[int], list[int]]:
    """Rows per level of both in one order. Either is level → rows."""
    levels = [*reference, *(level for level in current if level not in reference)]
    return [reference.get(level, 0) for level in levels], [current.get(level, 0) for level in levels]


def chi_square_test(reference: Mapping[str, int], current: Mapping[str, int]) -> tuple[float, int, float]:
    """Two-sample chi-square over the levels: (statistic, degrees of freedom, p-value), as
    `scipy.stats.chi2_contingency(…, correction=False)`. Either is level → rows."""
    return chi_square(*level_counts(reference, current))


def spread(values: Vector) -> float:
    """Standard deviation, the unit that distances are told in; 0 for a constant."""
    if not len(values):
        return 0.0
    centred = values - values.mean()
    np.square(centred, out=centred)
    found = math.sqrt(float(centred.mean()))
    return found if math.isfinite(found) else 0.0
