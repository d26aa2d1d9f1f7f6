"""Confidence intervals of metrics, from what a model said of its held-out rows.

The percentile bootstrap over rows: the rows are drawn again with replacement, the metric measured anew, and the middle
95 % of what comes out is the interval. Source: Efron & Tibshirani, "An introduction to the bootstrap", 1993, ch. 13.
It takes rows for independent: where they come in clusters (days, customers) the truth is wider.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from backends.entities import Estimate
from console.training.scoring import labels_of

RESAMPLES: Final = 400
Measure = Callable[[Any], float]
"""The metric where row i counts `weights[i]` times."""


def intervals(
    target: Any,
    scores: Any,
    *,
    task: str,
    classes: Any = (),
    positive: Any = None,
    kind: str = "probability",
    resamples: int = RESAMPLES,
    seed: int = 0,
    told: Callable[[float], None] | None = None,
) -> dict[str, Estimate]:
    """The metrics of `scoring.measure` that these scores allow, each with its 95 % interval.

    target: shape (n,). scores: (n,) or (n, classes). `told` hears how far it is, 0 to 1.
    """
    n = len(target)
    found = measures_of(target, scores, task=task, classes=classes, positive=positive, kind=kind)
    if n < 2 or not found:
        return {}
    rng = np.random.default_rng(seed)
    drawn = {name: np.full(resamples, np.nan) for name in found}
    for at in range(resamples):
        weights = np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
        for name, measure in found.items():
            drawn[name][at] = measure(weights)
        if told is not None:
            told((at + 1) / resamples)
    whole = np.ones(n)
    out = {}
    for name, measure in found.items():
        values = drawn[name][np.isfinite(drawn[name])]
        if len(values) < resamples // 2:
            continue  # a class is so rare that many draws lack it: no interval can be told
        low, high = np.quantile(values, [0.025, 0.975])
        out[name] = Estimate(value=measure(whole), low=float(low), high=float(high), n=n)
    return out


def measures_of(
    target: Any, scores: Any, *, task: str, classes: Any = (), positive: Any = None, kind: str = "probability"
) -> dict[str, Measure]:
    """The metrics that these scores allow, by name. target: shape (n,). scores: (n,) or (n, classes)."""
    if task == "regression":
        return _regression(np.asarray(target, float), scores)
    if scores.ndim == 1:
        return _two_classes(np.asarray(target == positive), scores, kind)
    return _many_classes(np.asarray(target), scores, list(classes), kind)


def _mean(values: Any) -> Measure:
    return lambda weights: float(weights @ values / weights.sum())


def _regression(target: Any, scores: Any) -> dict[str, Measure]:
    squares = (scores - target) ** 2
    centred = target - target.mean()

    def r2(weights: Any) -> float:
        total = weights.sum()
        spread = weights @ centred**2 - (weights @ centred) ** 2 / total
        return float(1 - weights @ squares / spread) if spread > 0 else float("nan")

    mse = _mean(squares)
    return {"rmse": lambda weights: float(np.sqrt(mse(weights))), "mae": _mean(np.abs(scores - target)), "r2": r2}


def _two_classes(hits: Any, scores: Any, kind: str) -> dict[str, Measure]:
    predicted = labels_of(scores, [False, True], True, kind).astype(bool)
    out = {"auc": area(hits, scores), "accuracy": _mean(predicted == hits), "f1": _f1(hits, predicted)}
    if kind == "probability":
        out["log_loss"] = _mean(-np.log(_clipped(np.where(hits, scores, 1 - scores))))
        out["brier"] = _mean((scores - hits) ** 2)
    return out


def _many_classes(target: Any, scores: Any, classes: list[Any], kind: str) -> dict[str, Measure]:
    predicted = labels_of(scores, classes, None, kind)
    each = [_f1(target == value, predicted == value) for value in classes]
    present = [at for at, value in enumerate(classes) if (target == value).any()]
    areas = [area(target == classes[at], scores[:, at]) for at in present]
    out = {
        "accuracy": _mean(predicted == target),
        "f1": lambda weights: float(np.mean([measure(weights) for measure in each])),
    }
    if len(present) > 1:
        out["auc"] = lambda weights: float(np.mean([measure(weights) for measure in areas]))
    if kind == "probability":
        where = {value: at for at, value in enumerate(classes)}
        said = scores[np.arange(len(target)), [where[value] for value in target.tolist()]]
        out["log_loss"] = _mean(-np.log(_clipped(said)))
    return out


def _clipped(probability: Any) -> Any:
    eps = np.finfo(float).eps
    return np.clip(probability, eps, 1 - eps)


def _f1(hits: Any, predicted: Any) -> Measure:
    both, either = (hits & predicted).astype(float), hits.astype(float) + predicted

    def measure(weights: Any) -> float:
        total = weights @ either
        return float(2 * (weights @ both) / total) if total > 0 else 0.0

    return measure


def area(hits: Any, scores: Any) -> Measure:
    """The area under the ROC curve with weighted rows; ties count half. NaN where a class is not there."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    if not len(starts) or starts[0] != 0:
        starts = np.concatenate(([0], starts))
    ordered = hits[order].astype(float)

    def measure(weights: Any) -> float:
        sorted_weights = weights[order]
        above = np.add.reduceat(sorted_weights * ordered, starts)
        below = np.add.reduceat(sorted_weights * (1 - ordered), starts)
        pairs = above.sum() * below.sum()
        if pairs == 0:
            return float("nan")
        before = np.cumsum(below) - below
        return float(above @ (before + below / 2) / pairs)

    return measure
