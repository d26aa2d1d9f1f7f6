"""What single days of the reference are like, and how far several days together must fall to be no accident. Plain
Python.

A metric over a stretch of days varies for two reasons: few rows, and days that differ (weather, weekdays). Only the
first shrinks with rows. So a day's value counts as mean + day effect + sampling error (a random-effects model), and a
stretch is held against the reference's *days*, not against the reference as a whole: the whole's AUC is also paid for
telling calm days from bad ones, which nobody can do within one day.

Sources: random effects by moments, DerSimonian & Laird, Controlled Clinical Trials 7 (1986); a control chart with a
between-period component, Laney, Quality Engineering 14 (2002); variance of an AUC, Hanley & McNeil, Radiology 143
(1982).
Assumptions: the effects of two days are independent and about normal, and held-out days of the reference are like those
to come. A held-out row whose day was also trained on is flattered: the reference is then a little too high.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import lru_cache

from backends.entities import Estimate, Millis
from console.monitoring.counted.profile import Profile, Spread
from console.monitoring.quality.performance import Z95

DAY = 86_400_000
FALSE_ALARMS = 0.01
"""Share of calm stretches of `STRETCH` windows in which a false alarm is accepted, were the spread of days known; found
in simulation with a reference of 60 days: 0.007 to 0.016."""
STRETCH = 30
DRAWS = 4000


def is_day(length: Millis) -> bool:
    """Whether a window of this length, in ms, is held against days."""
    return DAY / 2 < length <= DAY


def reference_for(profile: Profile, length: Millis) -> dict[str, float]:
    """The reference metrics that a window of this length is held against: within days for a day's, else the whole."""
    if not is_day(length):
        return profile.metrics
    return profile.metrics | {metric: spread.mean for metric, spread in profile.within.items()}


def area_variance(area: float, positives: int, negatives: int) -> float:
    """Sampling variance of an AUC by Hanley & McNeil; both classes must be present."""
    first, second = area / (2 - area), 2 * area * area / (1 + area)
    square = area * area
    total = area * (1 - area) + (positives - 1) * (first - square) + (negatives - 1) * (second - square)
    return max(total / (positives * negatives), 1e-12)


def row_variance(estimate: Estimate) -> float:
    """The variance that one row has, so that n rows have 1/n of it; from the width of an interval. 0 without one."""
    if estimate.low is None or estimate.high is None:
        return 0.0
    return ((estimate.high - estimate.low) / (2 * Z95)) ** 2 * estimate.n


def spread_of(values: Sequence[float], variances: Sequence[float], unit: float = 0.0) -> Spread:
    """Mean, spread between days and error of the mean, of days with these values and sampling variances."""
    weights = [1 / max(variance, 1e-12) for variance in variances]
    whole = math.fsum(weights)
    mean = math.fsum(map(_times, weights, values)) / whole
    excess = math.fsum(weight * (value - mean) ** 2 for weight, value in zip(weights, values, strict=True))
    scale = whole - math.fsum(weight * weight for weight in weights) / whole
    between = max(0.0, (excess - (len(values) - 1)) / scale) if scale > 0 else 0.0
    weights = [1 / max(between + variance, 1e-12) for variance in variances]
    whole = math.fsum(weights)
    return Spread(
        mean=math.fsum(map(_times, weights, values)) / whole,
        between=math.sqrt(between),
        error=math.sqrt(1 / whole),
        unit=unit,
        days=len(values),
    )


def together(values: Sequence[float], variances: Sequence[float], spread: Spread) -> tuple[float, float]:
    """The mean over days of a stretch, weighted as the reference's, and its standard error (days and rows)."""
    weights = [1 / max(spread.between**2 + variance, 1e-12) for variance in variances]
    whole = math.fsum(weights)
    return math.fsum(map(_times, weights, values)) / whole, math.sqrt(1 / whole)


@lru_cache(maxsize=64)
def critical(pool: int, k: int, n: int) -> float:
    """Standard errors that a stretch of `pool` windows must fall at `k` of `n` windows, so that a false alarm comes in
    `FALSE_ALARMS` of all stretches of `STRETCH` calm windows. By simulation with a fixed seed: neighbouring stretches
    share windows, for which no formula is at hand."""
    return KNOWN.get((pool, k, n)) or simulated(pool, k, n)


def simulated(pool: int, k: int, n: int) -> float:
    """`critical` by simulation, without looking at what is known."""
    draw = random.Random(0).gauss  # noqa: S311 - a simulation, nothing secret
    worst = []
    for _ in range(DRAWS):
        values = [draw(0.0, 1.0) for _ in range(STRETCH + pool - 1)]
        means = [math.fsum(values[at : at + pool]) / math.sqrt(pool) for at in range(STRETCH)]
        reached = -math.inf
        for at in range(k - 1, STRETCH):
            ordered = sorted(means[max(0, at - n + 1) : at + 1], reverse=True)
            reached = max(reached, min(means[at], ordered[k - 1]))
        worst.append(reached)
    worst.sort()
    return worst[math.ceil(DRAWS * (1 - FALSE_ALARMS)) - 1]


KNOWN = {(7, 3, 5): 2.8259, (1, 2, 2): 2.0876}
"""Those of the default rules, so that nobody waits for the simulation."""


def _times(a: float, b: float) -> float:
    return a * b
