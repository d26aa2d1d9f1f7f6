"""Exact two-sample statistics of rows that are both at hand. Only a worker process comes here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from console.monitoring.drift.distances import chi_square, ks_p_value

Vector = np.ndarray[Any, Any]

BLOCK = 1 << 15
"""Rows that are gone through at once: what they need fits the processor's own memory."""


def distances(reference: Vector, current: Vector) -> tuple[float, float]:
    """`distances_in_order` of samples in any order."""
    return distances_in_order(np.sort(reference), np.sort(current))


def distances_in_order(reference: Vector, current: Vector) -> tuple[float, float]:
    """Kolmogorov-Smirnov and Wasserstein distance of two samples of finite numbers, rising: (0 to 1, in the values'
    own unit).

    Both are read off the same merge of the samples: the largest gap of the distribution functions, and the area
    between them. Equal to `scipy.stats.ks_2samp(…).statistic` and `scipy.stats.wasserstein_distance`.
    Sources: Smirnov, Ann. Math. Stat. 19 (1948); Vallender, Theory Probab. Appl. 18 (1974).
    """
    n, m = len(reference), len(current)
    if not n or not m:
        return 0.0, 0.0
    both = np.concatenate([reference, current])
    # Two rising runs: a stable sort only merges them.
    order = np.argsort(both, kind="stable")
    # n * m times the gap of the two functions, in whole numbers: i/n - j/m of i + j = k rows is (i (n + m) - k n) / nm.
    worst, area, seen = 0, 0.0, 0
    for start in range(0, n + m - 1, BLOCK):
        spots = order[start : start + BLOCK + 1]
        steps = np.diff(both[spots])
        gap = np.cumsum(spots[:-1] < n, dtype=np.int64)
        gap += seen
        seen = int(gap[-1])
        gap *= n + m
        gap -= np.arange((start + 1) * n, (start + len(gap) + 1) * n, n)
        np.abs(gap, out=gap)
        # Within ties the functions jump at once: only the last of equal values counts.
        spot = int(gap.argmax())
        worst = max(worst, int(gap[spot]) if steps[spot] > 0 else int(gap[steps > 0].max(initial=0)))
        with np.errstate(over="ignore"):
            # No np.dot: its threads would wait for each other longer than they work.
            np.multiply(gap, steps, out=steps)
            area += float(steps.sum())
    return worst / (n * m), area / (n * m)


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
