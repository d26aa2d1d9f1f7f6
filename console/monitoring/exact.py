"""Exact two-sample statistics of rows that are both at hand. Only a worker process comes here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from console.monitoring.drift import chi_square, ks_p_value

if TYPE_CHECKING:
    import pandas as pd

Vector = np.ndarray[Any, Any]


def distances(reference: Vector, current: Vector) -> tuple[float, float]:
    """Kolmogorov-Smirnov and Wasserstein distance of two samples of finite numbers, any order: (0 to 1, in the values'
    own unit).

    Both are read off the same merge of the sorted samples: the largest gap of the distribution functions, and the area
    between them. Equal to `scipy.stats.ks_2samp(…).statistic` and `scipy.stats.wasserstein_distance`.
    Sources: Smirnov, Ann. Math. Stat. 19 (1948); Vallender, Theory Probab. Appl. 18 (1974).
    """
    n, m = len(reference), len(current)
    if not n or not m:
        return 0.0, 0.0
    both = np.concatenate([np.sort(reference), np.sort(current)])
    # Two sorted runs: a stable sort only merges them.
    order = np.argsort(both, kind="stable")
    both = both[order]
    seen = np.cumsum(order < n)
    gap = np.abs(seen / n - (np.arange(1, n + m + 1) - seen) / m)
    steps = np.diff(both)
    # Within ties the functions jump at once: only the last of equal values counts.
    worst = float(gap[:-1][steps > 0].max(initial=0.0))
    with np.errstate(over="ignore"):
        return worst, float(np.dot(gap[:-1], steps))


def ks_test(reference: Vector, current: Vector) -> tuple[float, float]:
    """Distance and p-value by the limiting distribution, as `scipy.stats.ks_2samp(…, method="asymp")` for large
    samples."""
    distance, _ = distances(reference, current)
    return distance, ks_p_value(distance, len(reference), len(current))


def level_counts(reference: pd.Series[Any], current: pd.Series[Any]) -> tuple[list[int], list[int]]:
    """Rows per level of both, missing as a level of its own, in one order."""
    old, new = reference.value_counts(dropna=False), current.value_counts(dropna=False)
    levels = old.index.union(new.index, sort=False)
    return old.reindex(levels, fill_value=0).tolist(), new.reindex(levels, fill_value=0).tolist()


def chi_square_test(reference: pd.Series[Any], current: pd.Series[Any]) -> tuple[float, int, float]:
    """Two-sample chi-square over the levels: (statistic, degrees of freedom, p-value), as
    `scipy.stats.chi2_contingency(…, correction=False)`."""
    return chi_square(*level_counts(reference, current))


def spread(values: Vector) -> float:
    """Standard deviation, the unit that distances are told in; 0 for a constant."""
    found = float(np.std(values)) if len(values) else 0.0
    return found if math.isfinite(found) else 0.0
