"""One training run from rows to a judged model: split, baseline, folds, fit, measure, explain, keep."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor

from backends.contract import Invalid
from backends.entities import GateStatus
from console.model_meta import TestData
from console.training.audit.audit import Evidence, audit_model, write_audit
from console.training.audit.read import FILE as AUDIT
from console.training.channel import Channel
from console.training.estimator import make_estimator
from console.training.fitting import fit_in_stages, later_course, permutation_importance
from console.training.frame import Rows, load_rows
from console.training.job import EstimatorFailed, Job
from console.training.keep import keep_model
from console.training.pipeline import make_pipeline
from console.training.recipe import LOWER_IS_BETTER, Recipe
from console.training.scoring import measure, score_kind, scores_of
from console.training.split import folds, split_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

WATCHED_ROWS = 20_000
"""Rows of each part that are measured after a stage; the end is measured on all."""
EXPLAINED_ROWS = 2_000


class Judge:
    """Measures scores for one recipe and its classes."""

    def __init__(self, recipe: Recipe, rows: Rows, model: Any) -> None:
        self.recipe = recipe
        self.classes = sorted(set(rows.target.tolist())) if recipe.task == "classification" else []
        self.positive = _positive(recipe, self.classes)
        self.kind = score_kind(model, recipe.task)

    def scores(self, model: Any, rows: Any) -> Any:
        return scores_of(model, rows, task=self.recipe.task, positive=self.positive)

    def measure(self, target: Any, scores: Any, kind: str = "") -> dict[str, float]:
        return measure(
            self.recipe.report(), target, scores, task=self.recipe.task, classes=self.classes, positive=self.positive,
            kind=kind or self.kind,
        )  # fmt: skip


def train(recipe: Recipe, job: Job, out: Path, channel: Channel) -> None:
    """Carry out the recipe. Leaves `model/…` and `environment.txt` under `out`."""
    estimator = make_estimator(recipe.estimator, recipe.task, recipe.seed)
    channel.progress(0.02, f"reading {job.ref}")
    rows = load_rows(recipe, Path(job.path), job.ref)
    train_rows, test_rows = split_rows(recipe, rows.frame, rows.target)
    pipeline = make_pipeline(recipe, rows.features, estimator)
    judge = Judge(recipe, rows, estimator)
    features = rows.frame[rows.features.names]
    channel.note(
        f"{job.ref}: {len(train_rows)} training and {len(test_rows)} test rows, {len(rows.features.names)} features"
        + (f", positive class {judge.positive!r}" if judge.positive is not None else "")
    )
    test, target = features.iloc[test_rows], rows.target[test_rows]
    baseline = _baseline(recipe, rows, judge, train_rows, test_rows)
    _check_primary(recipe, judge, baseline)
    channel.metrics(_named("baseline", baseline))
    agreeing = _cross_validate(recipe, rows, judge, pipeline, train_rows, channel)
    last = _fit(recipe, rows, judge, pipeline, train_rows, test_rows, channel)

    channel.progress(0.85, "measuring")
    scores = judge.scores(pipeline, test)
    metrics = judge.measure(target, scores)
    missing = [name for name in recipe.report() if name not in metrics]
    if missing:
        channel.note(f"not measured, because the scores or the test rows do not allow it: {', '.join(missing)}")
    channel.metrics(metrics, last)
    watched = _sample(train_rows, WATCHED_ROWS, recipe.seed)
    train_scores = judge.scores(pipeline, features.iloc[watched])
    fitted = judge.measure(rows.target[watched], train_scores)
    channel.metrics(_named("train", fitted), last)

    importance = _explain(recipe, judge, pipeline, test, target, channel)
    keep_model(
        out, pipeline, recipe, rows, channel,
        classes=judge.classes, positive=judge.positive, kind=judge.kind, scores=scores, train_rows=train_rows,
        test_rows=test_rows, importance=importance,
        test=TestData(
            dataset=job.dataset, version=job.version, digest=job.digest, rows=len(test_rows),
            rows_sha256=_rows_sha256(rows.numbers[test_rows]), metrics=metrics,
        ),
    )  # fmt: skip
    channel.progress(0.97, "testing")

    def refit(seed: int) -> float:
        return judge.measure(target, judge.scores(_reseeded(pipeline, seed, features, rows, train_rows), test))[
            recipe.primary()
        ]

    audit = audit_model(
        Evidence(
            recipe=recipe, rows=rows, train_rows=train_rows, test_rows=test_rows, scores=scores, classes=judge.classes,
            positive=judge.positive, kind=judge.kind, test=metrics, train=fitted, baseline=baseline, folds=agreeing,
            answer=lambda some: judge.scores(pipeline, some), refit=refit,
            model_bytes=(out / "model/model.skops").stat().st_size,
        )
    )  # fmt: skip
    write_audit(audit, out / AUDIT)
    channel.say(artifact=AUDIT)
    for each in audit.results:
        if each.status is not GateStatus.PASS:
            channel.note(f"{each.status.value}: {each.check}: {each.value}, wanted {each.rule}")
    channel.progress(1.0, "done")


def _reseeded(pipeline: Any, seed: int, features: Any, rows: Rows, train_rows: NDArray[Any]) -> Any:
    """The same pipeline fitted anew on the same rows with another seed."""
    again = clone(pipeline)
    seeds = {key: seed for key in again.get_params() if key.endswith("random_state")}
    return again.set_params(**seeds).fit(features.iloc[train_rows], rows.target[train_rows])


def _check_primary(recipe: Recipe, judge: Judge, baseline: dict[str, float]) -> None:
    """Before the fitting, not after it: what the runs are compared by must be measurable."""
    name = recipe.primary()
    if name not in baseline:
        wanted = "at least two classes among the test rows" if name == "auc" else "two classes"
    elif name in ("log_loss", "brier") and judge.kind == "decision":
        wanted = "an estimator that gives probabilities"
    else:
        return
    raise Invalid(
        f"the primary metric {name} cannot be measured here: it needs {wanted}. Choose another in [metrics] primary, "
        "or split differently.",
        "metrics.primary",
    )


def _fit(
    recipe: Recipe,
    rows: Rows,
    judge: Judge,
    pipeline: Any,
    train_rows: NDArray[Any],
    test_rows: NDArray[Any],
    channel: Channel,
) -> int:
    """Fit on all training rows; the course of the metrics goes out after each stage. Gives the last step."""
    start = 0.5 if recipe.split.folds else 0.08
    features = rows.frame[rows.features.names]
    seen, unseen = (_sample(part, WATCHED_ROWS, recipe.seed) for part in (train_rows, test_rows))
    model = pipeline.steps[-1][1]
    began, step = time.monotonic(), 0
    channel.progress(start, "fitting")

    def stages() -> Any:
        return fit_in_stages(pipeline, features.iloc[train_rows], rows.target[train_rows])

    for done, total, last in _estimators_words(stages):
        rate = f"{done / max(time.monotonic() - began, 1e-3):.1f} it/s" if total > 1 else ""
        channel.progress(
            start + (0.85 - start) * done / total, f"fitting {done} of {total}" if total > 1 else "fitted", rate
        )
        if total > 1:
            step = done
        if not last:  # the last one is measured on all rows, by the caller
            channel.metrics(judge.measure(rows.target[unseen], judge.scores(pipeline, features.iloc[unseen])), done)
            fitted = judge.measure(rows.target[seen], judge.scores(pipeline, features.iloc[seen]))
            channel.metrics(_named("train", fitted), done)
    for key, course in later_course(model).items():
        for at, value in enumerate(course, 1):
            channel.metrics({key: value}, at)
    return step


def _cross_validate(
    recipe: Recipe, rows: Rows, judge: Judge, pipeline: Any, train_rows: NDArray[Any], channel: Channel
) -> list[float]:
    """The primary metric of each fold."""
    if not recipe.split.folds:
        return []
    features = rows.frame[rows.features.names]
    values: dict[str, list[float]] = {}
    for at, (fit, validation) in enumerate(folds(recipe, rows.frame, rows.target, train_rows), 1):
        channel.progress(0.08 + 0.42 * (at - 1) / recipe.split.folds, f"fold {at} of {recipe.split.folds}")
        one = clone(pipeline)

        def fitted(one: Any = one, fit: Any = fit) -> Any:
            yield one.fit(features.iloc[fit], rows.target[fit])

        list(_estimators_words(fitted))
        measured = judge.measure(rows.target[validation], judge.scores(one, features.iloc[validation]))
        channel.metrics(_named("fold", measured), at)
        for name, value in measured.items():
            values.setdefault(name, []).append(value)
    channel.metrics(_named("cv", {name: float(np.mean(each)) for name, each in values.items()}))
    channel.metrics(
        _named("cv_sd", {name: float(np.std(each, ddof=1)) for name, each in values.items() if len(each) > 1})
    )
    return values.get(recipe.primary(), [])


def _baseline(
    recipe: Recipe, rows: Rows, judge: Judge, train_rows: NDArray[Any], test_rows: NDArray[Any]
) -> dict[str, float]:
    """What one gets without looking at the features: the classes' shares, or the mean."""
    dummy = DummyClassifier(strategy="prior") if recipe.task == "classification" else DummyRegressor()
    nothing = np.zeros((len(rows.target), 1))
    dummy.fit(nothing[train_rows], rows.target[train_rows])
    kind = "probability" if recipe.task == "classification" else "prediction"
    return judge.measure(rows.target[test_rows], judge.scores(dummy, nothing[test_rows]), kind)


def _explain(recipe: Recipe, judge: Judge, pipeline: Any, test: Any, target: Any, channel: Channel) -> dict[str, float]:
    """How much the primary metric falls when a column is shuffled, on a sample of the test rows; most important
    first."""
    sample = _sample(np.arange(len(target)), EXPLAINED_ROWS, recipe.seed)
    frame, labels, primary = test.iloc[sample], target[sample], recipe.primary()
    sign = -1.0 if primary in LOWER_IS_BETTER else 1.0
    if primary not in judge.measure(labels, judge.scores(pipeline, frame)):
        return {}
    names = list(frame.columns)
    found: dict[str, float] = {}

    def score(some: Any) -> float:
        return sign * judge.measure(labels, judge.scores(pipeline, some))[primary]

    for name, fall in permutation_importance(score, frame, names, recipe.seed):
        found[name] = fall
        channel.progress(0.87 + 0.06 * len(found) / len(names), f"importance {len(found)} of {len(names)}")
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _estimators_words(stages: Callable[[], Any]) -> Any:
    """What an estimator raises while fitting is told in its own words."""
    try:
        yield from stages()
    except (MemoryError, BrokenPipeError, GeneratorExit):
        raise
    except Exception as error:
        raise EstimatorFailed(f"the estimator failed while fitting: {type(error).__name__}: {error}") from error


def _positive(recipe: Recipe, classes: list[Any]) -> Any:
    """The class scores are the probability of: as the recipe says, else the last in order (1 of 0/1, True, yes of
    no/yes)."""
    if recipe.task == "regression":
        return None
    if recipe.positive is None:
        return classes[-1] if len(classes) == 2 else None
    for value in classes:
        if str(value).casefold() == str(recipe.positive).casefold():
            return value
    known = ", ".join(map(str, classes[:20]))
    raise Invalid(
        f"positive class {recipe.positive!r} is not among the classes of {recipe.target!r}: {known}.", "positive"
    )


def _sample(rows: NDArray[Any], most: int, seed: int) -> NDArray[Any]:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _rows_sha256(numbers: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(numbers, "<i8").data).hexdigest()


def _named(prefix: str, metrics: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}.{name}": value for name, value in metrics.items()}
