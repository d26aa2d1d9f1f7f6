"""How sure one is that a version differs from the holder: both judged on the same held-out rows, row by row.

Nothing is loaded: what each model said of its held-out rows was kept when it was trained. This module imports numpy and
pyarrow, so it is read in a process of its own (`console.promotion.comparer`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from backends.contract import Backend, Invalid, NotFound
from backends.entities import ModelVersion
from console.promotion.comparer import Paired
from console.promotion.measures import lower_is_better, same_test
from console.training.held_out import read_held_out

RESAMPLES: Final = 2_000
LEVEL: Final = 0.95
_SEED: Final = 20_240
_LEAST: Final = 20


def paired_case(backend: Backend, candidate: ModelVersion, holder: ModelVersion) -> tuple[Paired, ...]:
    """Every metric that both can be compared in. NotFound or Invalid says why they cannot."""
    if not same_test(candidate, holder):
        raise Invalid(
            f"v{candidate.version} and v{holder.version} of {candidate.model} were not tested on the same rows, so no "
            "pairs can be made. Train one again on the other's split."
        )
    mine, theirs = (read_held_out(backend, backend.need("runs").get(_run(each))) for each in (candidate, holder))
    rows, at, other = np.intersect1d(mine.rows, theirs.rows, assume_unique=True, return_indices=True)
    if len(rows) < _LEAST:
        raise Invalid(f"only {len(rows)} held-out rows are the same; {_LEAST} at least are wanted.")
    target = mine.target[at]
    if not np.array_equal(target, theirs.target[other]):
        raise Invalid("the two tell of other targets for the same rows; train one again on the other's data.")
    if mine.scores.ndim != 1 or theirs.scores.ndim != 1:
        return (_right(target, mine, theirs, at, other),)
    one, two = mine.scores[at], theirs.scores[other]
    if target.dtype.kind == "f" or "rmse" in candidate.metrics:
        return errors(np.asarray(target, float), one, two)
    if len(np.unique(target)) != 2:
        raise Invalid("one class alone is among the held-out rows; no rate can be compared.")
    return (auc_difference(target == _positive(target, one, candidate), one, two),)


def _run(version: ModelVersion) -> str:
    if not version.run:
        raise NotFound(f"{version.ref} names no run, so what it said of its held-out rows is not known.")
    return version.run


def _positive(target: Any, scores: Any, candidate: ModelVersion) -> Any:
    """The class whose rows score higher, as the auc that was measured then says."""
    classes = np.unique(target)
    found = _placements(target == classes[1], scores)[0]
    measured = candidate.metrics.get("auc", found)
    return classes[1] if abs(found - measured) <= abs(1 - found - measured) else classes[0]


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


def _right(target: Any, mine: Any, theirs: Any, at: Any, other: Any) -> Paired:
    """Accuracy of more than two classes: the paired difference of being right."""
    truth = target.astype(str)
    one = (np.asarray(mine.classes)[np.argmax(mine.scores[at], axis=1)] == truth).astype(float)
    two = (np.asarray(theirs.classes)[np.argmax(theirs.scores[other], axis=1)] == truth).astype(float)
    return bootstrap("accuracy", (one, two), lambda parts: (float(parts[0].mean()), float(parts[1].mean())))


# ---------------------------------------------------------------- numbers


def errors(target: Any, one: Any, two: Any) -> tuple[Paired, ...]:
    """RMSE and MAE of two predictions of the same numbers. All shape (n,)."""
    squares, sizes = ((one - target) ** 2, (two - target) ** 2), (abs(one - target), abs(two - target))
    return (
        bootstrap("rmse", squares, lambda parts: (float(parts[0].mean() ** 0.5), float(parts[1].mean() ** 0.5))),
        bootstrap("mae", sizes, lambda parts: (float(parts[0].mean()), float(parts[1].mean()))),
    )


def bootstrap(
    metric: str, parts: tuple[Any, Any], measured: Callable[[tuple[Any, Any]], tuple[float, float]]
) -> Paired:
    """Percentile interval of a difference: whole rows are drawn again, so that pairs stay pairs. Parts shape (n,).

    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    count, draw = len(parts[0]), np.random.default_rng(_SEED)
    found = np.empty(RESAMPLES)
    for at in range(RESAMPLES):
        rows = draw.integers(0, count, count)
        first, second = measured((parts[0][rows], parts[1][rows]))
        found[at] = first - second
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    first, second = measured(parts)
    return _paired(metric, first, second, float(low), float(high), count, f"bootstrap, {RESAMPLES} resamples of rows")


def _paired(metric: str, one: float, two: float, low: float, high: float, rows: int, method: str) -> Paired:
    apart = low > 0 or high < 0
    better = (high < 0) == lower_is_better(metric) if apart else None
    return Paired(
        metric=metric, candidate=one, holder=two, difference=one - two, low=low, high=high, rows=rows, method=method,
        better=better,
    )  # fmt: skip
