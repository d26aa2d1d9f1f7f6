"""Fitting in stages, so that a long training can be watched: the same model as in one go, measured on the way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

STAGES = 10


def fit_in_stages(pipeline: Any, frame: Any, target: Any) -> Iterator[tuple[int, int, bool]]:
    """Fit the pipeline in place, yielding (iterations done, iterations in all, whether it was the last stage) after
    each stage.

    Estimators that can go on from where they were (`warm_start` with trees or boosting rounds) are fitted in at most 10
    stages; the others in one, (1, 1, True). Boosting that stops early ends the stages.
    """
    model = pipeline.steps[-1][1]
    prepared = frame
    for _, step in pipeline.steps[:-1]:
        prepared = step.fit_transform(prepared, target)
    key = stage_parameter(model)
    total = model.get_params(deep=False).get(key) if key else None
    if key is None or not isinstance(total, int) or total < 2:
        model.fit(prepared, target)
        yield 1, 1, True
        return
    asked = model.get_params(deep=False)["warm_start"]
    model.set_params(warm_start=True)
    try:
        for upto in _steps(total):
            model.set_params(**{key: upto})
            with warnings.catch_warnings():
                # class weights are balanced over the same rows in every stage, which the warning is not about
                warnings.filterwarnings("ignore", message=".*class_weight presets.*")
                model.fit(prepared, target)
            done = int(getattr(model, "n_iter_", upto)) if key == "max_iter" else upto
            last = done < upto or upto == total
            yield done, total, last
            if last:
                break
    finally:
        model.set_params(**{key: total, "warm_start": asked})


def stage_parameter(model: Any) -> str | None:
    """The parameter that counts what warm start adds, or None where warm start means something else."""
    params = model.get_params(deep=False)
    if "warm_start" not in params:
        return None
    if "n_estimators" in params:
        return "n_estimators"
    if type(model).__name__.startswith("HistGradientBoosting"):
        return "max_iter"
    return None


def later_course(model: Any) -> dict[str, list[float]]:
    """The loss that an estimator recorded while it was fitted in one go, where it did: key → value per iteration."""
    curve = getattr(model, "loss_curve_", None)
    return {"train.loss": [float(value) for value in curve]} if curve is not None else {}


def permutation_importance(
    score: Callable[[Any], float], frame: Any, names: list[str], seed: int, repeats: int = 3
) -> Iterator[tuple[str, float]]:
    """(column, fall of the score when its values are shuffled), mean of `repeats`. Source: Breiman, "Random
    forests", 2001."""
    rng = np.random.default_rng(seed)
    whole = score(frame)
    for name in names:
        falls = []
        for _ in range(repeats):
            shuffled = frame.copy(deep=False)
            shuffled[name] = frame[name].take(rng.permutation(len(frame))).set_axis(frame.index)
            falls.append(whole - score(shuffled))
        yield name, float(np.mean(falls))


def _steps(total: int) -> list[int]:
    return sorted({max(1, round(total * stage / STAGES)) for stage in range(1, STAGES + 1)})
