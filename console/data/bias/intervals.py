"""Intervals of rates, of their differences and of their ratios, from counts alone."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95


def z_of(confidence: float = CONFIDENCE, pairs: int = 1) -> float:
    """The normal quantile of a two-sided interval that holds for `pairs` comparisons at once (Bonferroni)."""
    return NormalDist().inv_cdf(1 - (1 - confidence) / (2 * max(pairs, 1)))


def wilson(hits: int, n: int, z: float) -> tuple[float, float]:
    """Of a rate `hits / n`. Source: Wilson, "Probable inference, the law of succession", JASA 1927."""
    if n == 0:
        return 0.0, 1.0
    rate = hits / n
    scale = 1 + z * z / n
    middle = (rate + z * z / (2 * n)) / scale
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def newcombe(a: tuple[int, int], b: tuple[int, int], z: float) -> tuple[float, float]:
    """Of the difference of two independent rates `a - b`, each (hits, n).

    Source: Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine
    1998, method 10.
    """
    if not a[1] or not b[1]:
        return -1.0, 1.0
    one, two = a[0] / a[1], b[0] / b[1]
    (low_a, high_a), (low_b, high_b) = wilson(*a, z), wilson(*b, z)
    difference = one - two
    low = difference - math.hypot(one - low_a, high_b - two)
    high = difference + math.hypot(high_a - one, two - low_b)
    return max(-1.0, low), min(1.0, high)


def ratio_interval(a: tuple[int, int], b: tuple[int, int], z: float) -> tuple[float, float]:
    """Of the ratio of two independent rates `a / b`, each (hits, n); half a hit is added to each where one has none.

    Source: Katz et al., "Obtaining confidence intervals for the risk ratio in cohort studies", Biometrics 1978.
    """
    if not a[1] or not b[1]:
        return 0.0, math.inf
    add = 0.5 if 0 in (a[0], b[0]) else 0.0
    hits = (a[0] + add, b[0] + add)
    counts = (a[1] + add, b[1] + add)
    log = math.log((hits[0] / counts[0]) / (hits[1] / counts[1]))
    spread = max(1 / hits[0] - 1 / counts[0] + 1 / hits[1] - 1 / counts[1], 0.0)
    half = z * math.sqrt(spread)
    return math.exp(log - half), math.exp(log + half)
