"""What the last windows together say about performance, with an interval that knows that windows differ. Plain
Python."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from backends.entities import Estimate, Millis, Record, Window
from console.monitoring.alarms.policy import Policy
from console.monitoring.counted.cells import by_label
from console.monitoring.counted.counts import layout_of, unpack
from console.monitoring.counted.profile import Profile, Spread
from console.monitoring.quality import performance
from console.monitoring.quality.spread import area_variance, critical, is_day, reference_for, together

# Two-sided 95 % quantiles of Student's t by degrees of freedom; between two of them the smaller freedom counts.
STUDENT = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}
STUDENT |= {12: 2.179, 15: 2.131, 20: 2.086, 30: 2.042, 60: 2.0, 120: 1.98}

Totals = tuple[list[int], list[float]]
"""Score cells (3 * SCORE_CELLS) and sums of errors."""


class Verdict(Record, frozen=True):
    """What the windows up to and with one say about the primary metric."""

    start: Millis
    """Of the last window that was pooled."""
    end: Millis
    value: Estimate
    shortfall: float
    """How much worse than the reference; negative when better."""
    bad: bool
    """Worse by more than the minimum effect, and by more than calm windows fall by accident: held against days,
    `spread.critical` standard errors of days and rows; else the whole interval."""
    good: bool
    """Within the minimum effect of the reference."""
    reference: float
    """What it is held against: the mean over single days of the reference for days, else the whole reference."""
    within: bool = False
    """Held against days."""


def primary_metric(profile: Profile) -> str:
    """The metric that decides about this kind of model."""
    return performance.PRIMARY[profile.task]


def verdicts(windows: Sequence[Window], profile: Profile, policy: Policy) -> list[Verdict]:
    """The pooled primary metric at each window that can be judged, oldest first.

    windows: of one model version, oldest first. Windows without labels are stepped over, so late labels make no hole.
    """
    metric = primary_metric(profile)
    first, last = layout_of(profile).score
    labelled = [window for window in windows if window.labelled]
    each: list[Totals] = []
    for window in labelled:
        counts = unpack(window.counts)
        each.append((list(counts.cells[first:last]), list(counts.sums)))
    found = []
    for stop in range(policy.pool, len(labelled) + 1):
        parts = each[stop - policy.pool : stop]
        # Older windows may have been merged into days: those are held against days, the others not.
        longest = max(window.end - window.start for window in labelled[stop - policy.pool : stop])
        reference = reference_for(profile, longest).get(metric)
        if reference is None:
            continue
        spread = profile.within.get(metric) if is_day(longest) else None
        effect = policy.min_effect * (abs(reference) if profile.task == "regression" else 1.0)
        estimate = within_days(parts, metric, profile, spread) if spread else pooled(parts, metric, profile)
        if estimate is None or estimate.n < policy.min_labels:
            continue
        shortfall = performance.shortfall(metric, estimate.value, reference)
        if spread is None or estimate.low is None:
            kindest = estimate.high if performance.LARGER_IS_BETTER[metric] else estimate.low
            bad = kindest is not None and performance.shortfall(metric, kindest, reference) > effect
        else:
            error = math.hypot((estimate.value - estimate.low) / performance.Z95, spread.error)
            bad = shortfall > max(effect, critical(policy.pool, policy.k, policy.n) * error)
        found.append(
            Verdict(
                start=labelled[stop - 1].start,
                end=labelled[stop - 1].end,
                value=estimate,
                shortfall=shortfall,
                bad=bad,
                good=shortfall <= effect,
                reference=reference,
                within=spread is not None,
            )
        )
    return found


def within_days(parts: Sequence[Totals], metric: str, profile: Profile, spread: Spread) -> Estimate | None:
    """The mean of the days' own metrics, with the 95 % interval that days and rows together give."""
    values, variances, rows = [], [], 0
    for cells, sums in parts:
        found = _measured(cells, sums, metric, profile)
        if found is None:
            continue
        if metric == "auc":
            negatives, positives, _ = by_label(cells)
            variances.append(area_variance(spread.mean, sum(positives), sum(negatives)))
        else:
            variances.append(spread.unit / found.n)
        values.append(found.value)
        rows += found.n
    if not values:
        return None
    mean, error = together(values, variances, spread)
    half = performance.Z95 * error
    return Estimate(value=mean, low=mean - half, high=mean + half, n=rows)


def pooled(parts: Sequence[Totals], metric: str, profile: Profile) -> Estimate | None:
    """The metric over several windows together, with the wider of two 95 % intervals: that of independent rows, and the
    jackknife over windows.

    Rows of one day share their weather: taking them as independent makes the interval half as wide as the metric truly
    varies. Leaving out one window at a time shows that. Source: Efron & Tibshirani (1993), 11.5; delete-a-group: Kott,
    J. Official Statistics 17 (2001).
    """
    cells = [sum(values) for values in zip(*(part[0] for part in parts), strict=True)]
    sums = [math.fsum(values) for values in zip(*(part[1] for part in parts), strict=False)]
    whole = _measured(cells, sums, metric, profile)
    groups = len(parts)
    if whole is None or groups < 3:
        return whole
    without = []
    for part in parts:
        found = _measured(
            list(map(operator.sub, cells, part[0])), list(map(operator.sub, sums, part[1])), metric, profile
        )
        if found is None:
            return whole
        without.append(found.value)
    mean = math.fsum(without) / groups
    error = math.sqrt((groups - 1) / groups * math.fsum((value - mean) ** 2 for value in without))
    half = student(groups - 1) * error
    low = whole.value - half if whole.low is None else min(whole.low, whole.value - half)
    high = whole.value + half if whole.high is None else max(whole.high, whole.value + half)
    return Estimate(value=whole.value, low=low, high=high, n=whole.n)


def _measured(cells: Sequence[int], sums: Sequence[float], metric: str, profile: Profile) -> Estimate | None:
    return performance.measure(by_label(cells), sums, profile.task, profile.scale, only=metric).get(metric)


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    return STUDENT[max(known for known in STUDENT if known <= max(1, freedom))]
