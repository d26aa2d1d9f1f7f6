"""How sure one is that a version differs from the holder: both judged on the same held-out rows, row by row.

Nothing is loaded: what each model said of its held-out rows was kept when it was trained. This module imports numpy and
pyarrow, so it is read in a process of its own (`console.promotion.comparer`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from backends.contract import Backend, Invalid
from backends.entities import ModelVersion
from console.promotion.comparer import Paired
from console.promotion.measures import lower_is_better, primary_of, same_test
from console.training.held_out_rows import Judged, judged
from console.training.intervals import Measure, measures_of
from console.training.measured import USUAL

RESAMPLES, LEAST_RESAMPLES, WORK = 2_000, 400, 40_000_000
"""Draws of all rows; fewer where so many rows are drawn in all."""
LEVEL: Final = 0.95
_SEED: Final = 20_240
_LEAST: Final = 20


def paired_case(backend: Backend, candidate: ModelVersion, holder: ModelVersion) -> tuple[Paired, ...]:
    """Every metric that both can be compared in, the one that the version is judged by first. NotFound or Invalid says
    why they cannot."""
    if not same_test(candidate, holder):
        raise Invalid(
            f"v{candidate.version} and v{holder.version} of {candidate.model} were not tested on the same rows, so no "
            "pairs can be made. Train one again on the other's split."
        )
    mine, theirs = (judged(backend, each.model, each.version) for each in (candidate, holder))
    rows, at, other = np.intersect1d(mine.held.rows, theirs.held.rows, assume_unique=True, return_indices=True)
    if len(rows) < _LEAST:
        raise Invalid(f"only {len(rows)} held-out rows are the same; {_LEAST} at least are wanted.")
    target = mine.held.target[at]
    if mine.meta.task != theirs.meta.task or not np.array_equal(target, theirs.held.target[other]):
        raise Invalid("the two tell of other targets for the same rows; train one again on the other's data.")
    one, two = _measures(target, mine, at), _measures(target, theirs, other)
    found = bootstrap(one, two, len(rows))
    if "auc" in one and "auc" in two and mine.held.scores.ndim == theirs.held.scores.ndim == 1:
        area = auc_difference(target == mine.meta.positive, mine.held.scores[at], theirs.held.scores[other])
        found = (area, *(each for each in found if each.metric != "auc"))
    if not found:
        raise Invalid("none of their metrics can be measured again on the rows that both were tested on.")
    first = primary_of(candidate)
    return tuple(sorted(found, key=lambda each: (each.metric != first, _rank(each.metric))))


def _measures(target: Any, of: Judged, at: Any) -> dict[str, Measure]:
    meta = of.meta
    found = measures_of(
        target, of.held.scores[at], task=meta.task, classes=meta.classes, positive=meta.positive, kind=meta.score
    )
    return {name: measure for name, measure in found.items() if name in of.version.metrics}


def _rank(metric: str) -> int:
    return USUAL.index(metric) if metric in USUAL else len(USUAL)


# ---------------------------------------------------------------- two classes


def auc_difference(positive: Any, one: Any, two: Any) -> Paired:
    """Difference of two correlated areas under the ROC curve. `positive` bool (n,), scores (n,).

    Source: DeLong, DeLong & Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves: a nonparametric approach", Biometrics 44 (1988), by midranks as in Sun & Xu, IEEE SPL 21
    (2014). The interval is normal, on the difference.
    """
    first, of_positives, of_negatives = _placements(positive, one)
    second, other_positives, other_negatives = _placements(positive, two)
    spread = np.var(of_positives - other_positives, ddof=1) / len(of_positives)
    spread += np.var(of_negatives - other_negatives, ddof=1) / len(of_negatives)
    half = 1.959963984540054 * float(np.sqrt(spread))
    return _paired("auc", first, second, first - second - half, first - second + half, len(one), "DeLong")


def _placements(positive: Any, scores: Any) -> tuple[float, Any, Any]:
    """(auc, of each positive the share of negatives below it, of each negative the share of positives above it)."""
    high, low = scores[positive], scores[~positive]
    if len(high) < 2 or len(low) < 2:
        raise Invalid("fewer than two held-out rows of a class; no rate can be compared.")
    among, of_high, of_low = _midranks(scores), _midranks(high), _midranks(low)
    below = (among[positive] - of_high) / len(low)
    above = 1 - (among[~positive] - of_low) / len(high)
    return float(below.mean()), below, above


def _midranks(values: Any) -> Any:
    """Ranks from 1, the mean rank for ties. Shape (n,)."""
    _, back, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[back]


# ---------------------------------------------------------------- any metric


def bootstrap(one: dict[str, Measure], two: dict[str, Measure], count: int) -> tuple[Paired, ...]:
    """Percentile intervals of the differences in all metrics that both have, over `count` rows. Whole rows are drawn
    again, the same for both, so that pairs stay pairs.

    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    names = [name for name in one if name in two]
    draws = int(min(RESAMPLES, max(LEAST_RESAMPLES, WORK // count)))
    draw = np.random.default_rng(_SEED)
    found = {name: np.empty(draws) for name in names}
    for at in range(draws):
        weights = np.bincount(draw.integers(0, count, count), minlength=count).astype(float)
        for name in names:
            found[name][at] = one[name](weights) - two[name](weights)
    told, whole = [], np.ones(count)
    for name in names:
        values = found[name][np.isfinite(found[name])]
        if len(values) < draws // 2:
            continue  # a class is so rare that many draws lack it: no interval can be told
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        first, second = one[name](whole), two[name](whole)
        told.append(_paired(name, first, second, float(low), float(high), count, f"bootstrap, {draws} draws of rows"))
    return tuple(told)


def _paired(metric: str, one: float, two: float, low: float, high: float, rows: int, method: str) -> Paired:
    apart = low > 0 or high < 0
    better = (high < 0) == lower_is_better(metric) if apart else None
    return Paired(
        metric=metric, candidate=one, holder=two, difference=one - two, low=low, high=high, rows=rows, method=method,
        better=better,
    )  # fmt: skip
