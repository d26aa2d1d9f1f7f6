"""Explain a version, or one of its predictions. The model is loaded here: only workers come here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from backends.contract import Backend, Invalid, Mutation, NotFound, Refused
from backends.entities import GateStatus, Report
from console.telling import Told, tell
from console.training.audit.audit import row_losses
from console.training.audit.slices import worst_slices
from console.training.explain.curves import REPEATS, dependence, importance
from console.training.explain.figures import KIND, ONE, ExplainJob, Explanation, Moved, PredictionExplained
from console.training.explain.rows import row_of_dataset, row_of_file
from console.training.explain.shapley import EXACT, PAIRS, shapley
from console.training.held_out_report import WorseSlice
from console.training.held_out_rows import Judged, features_at, judged
from console.training.model_file import FORMAT, load_model
from console.training.recipe import LOWER_IS_BETTER
from console.training.scoring import measure, scores_of

ROWS: Final = 2_000
CURVE_ROWS: Final = 500
CURVES: Final = 6
BACKGROUND: Final = 64
SLICE_ROWS: Final = 100


def explain(backend: Backend, job: ExplainJob, mutation: Mutation, *, progress: Told = None) -> Report:
    """The report on the version, which is kept; or on one prediction or chosen columns, which is not.

    Refused for a model file that the console does not load; NotFound where its held-out rows are not kept.
    """
    case = judged(backend, job.model, job.version)
    model = _loaded(backend, case)
    single = job.row is not None or bool(job.file or job.prediction)
    figures = _one(backend, case, model, job, progress) if single else _whole(backend, case, model, job, progress)
    report = Report(
        kind=ONE if single else KIND,
        subject=case.version.ref,
        status=GateStatus.PASS,
        at=int(time.time() * 1000),
        actor=mutation.actor,
        digest=case.version.file.sha256,
        figures=msgspec.to_builtins(figures),
    )
    if single or job.columns or backend.reports is None or backend.features.read_only:
        return report
    return backend.reports.add(report)


def _loaded(backend: Backend, case: Judged) -> Any:
    file = case.version.file
    if file.format != FORMAT:
        raise Refused(
            f"{case.version.ref} is a {file.format or 'file of no known format'}; only {FORMAT} files, as a training "
            "of this console leaves them, are loaded to be explained."
        )
    path = backend.need("artifacts").open(file.owner or case.run.id, file.path)
    return load_model(path, file.sha256)


def _sample(case: Judged, most: int) -> Any:
    """Positions of held-out rows, ascending, shape (≤ most,)."""
    n = len(case.held.rows)
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(case.meta.seed).choice(n, most, replace=False))


# ---------------------------------------------------------------- the version


def _whole(backend: Backend, case: Judged, model: Any, job: ExplainJob, progress: Told) -> Explanation:
    meta = case.meta
    unknown = [name for name in job.columns if name not in {column.name for column in meta.features}]
    if unknown:
        names = ", ".join(column.name for column in meta.features[:20])
        raise Invalid(f"{case.version.ref} has no feature {unknown[0]}; it has {names}.", "columns")
    tell(progress, 0.0, "reading held-out rows")
    at = _sample(case, ROWS)
    frame, target = features_at(backend, case, at), case.held.target[at]
    metric = _metric(case, target, case.held.scores[at])
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    classes = list(meta.classes)

    def scored(rows: Any) -> Any:
        return scores_of(model, rows, task=meta.task, positive=meta.positive)

    def better(rows: Any) -> float:
        found = measure(
            (metric,), target, scored(rows), task=meta.task, classes=classes, positive=meta.positive, kind=meta.score
        )
        return sign * found[metric]

    found = []
    for each in importance(better, frame, seed=meta.seed):
        found.append(each)
        tell(progress, 0.75 * len(found) / len(frame.columns), f"importance {len(found)} of {len(frame.columns)}")
    found.sort(key=lambda each: -each.fall)
    of, score = _explained(case, model, _usual(classes, target))
    few = frame.iloc[:CURVE_ROWS] if len(frame) <= CURVE_ROWS else frame.sample(CURVE_ROWS, random_state=meta.seed)
    curves = []
    for name in job.columns or [each.column for each in found[:CURVES]]:
        curve = dependence(score, few, name)
        if curve is not None:
            curves.append(curve)
        tell(progress, 0.75 + 0.2 * len(curves) / CURVES, "curves")
    loss = row_losses(case.held.scores[at], target, classes, meta.positive, meta.score, meta.task)
    slices = worst_slices(frame, loss, least=SLICE_ROWS)
    return Explanation(
        metric=metric,
        whole=sign * better(frame),
        rows=len(frame),
        repeats=REPEATS,
        importance=tuple(found),
        curves=tuple(curves),
        score=of,
        slices=tuple(WorseSlice(where=each.where, rows=each.rows, ratio=each.ratio) for each in slices),
    )


def _metric(case: Judged, target: Any, scores: Any) -> str:
    """What the recipe is judged by, else what is usual; one that these rows allow."""
    usual = ("rmse",) if case.meta.task == "regression" else ("auc", "log_loss", "accuracy")
    wanted = (case.recipe.primary(), *usual) if case.recipe else usual
    told = measure(
        tuple(dict.fromkeys(wanted)), target, scores, task=case.meta.task, classes=list(case.meta.classes),
        positive=case.meta.positive, kind=case.meta.score,
    )  # fmt: skip
    name: str = next(each for each in wanted if each in told)
    return name


def _usual(classes: list[Any], target: Any) -> int:
    """Of more than two classes the most frequent one."""
    return int(np.argmax([(target == value).sum() for value in classes])) if len(classes) > 2 else 0


def _explained(case: Judged, model: Any, at: int) -> tuple[str, Callable[[Any], Any]]:
    """(what the score is, the score): of more than two classes that of class number `at`."""
    meta = case.meta

    def score(rows: Any) -> Any:
        found = scores_of(model, rows, task=meta.task, positive=meta.positive)
        return found if found.ndim == 1 else found[:, at]

    if meta.task == "regression":
        return f"prediction of {meta.target}", score
    of = meta.classes[at] if len(meta.classes) > 2 else meta.positive
    return f"{'probability' if meta.score == 'probability' else 'margin'} of {meta.target} = {of}", score


# ---------------------------------------------------------------- one prediction


def _one(backend: Backend, case: Judged, model: Any, job: ExplainJob, progress: Told) -> PredictionExplained:
    tell(progress, 0.0, "reading the row")
    if job.file:
        row, words, truth = row_of_file(case, Path(job.file), job.row, job.prediction)
    elif job.row is not None:
        row, words, truth = row_of_dataset(backend, case, job.row)
    else:
        raise NotFound(f"prediction {job.prediction}: name the file of the prediction log that holds it.")
    background = features_at(backend, case, _sample(case, BACKGROUND))
    at = 0
    if len(case.meta.classes) > 2:
        at = int(np.argmax(scores_of(model, row, task=case.meta.task, positive=case.meta.positive)[0]))
    of, score = _explained(case, model, at)
    values, errors, base = shapley(
        score, row, background, seed=case.meta.seed, told=lambda part: tell(progress, part, "weighing columns")
    )
    moved = [
        Moved(column=str(name), value=_shown(row[name].iloc[0]), by=float(values[at]), spread=float(errors[at]))
        for at, name in enumerate(row.columns)
    ]
    moved.sort(key=lambda each: -abs(each.by))
    return PredictionExplained(
        of=of,
        row=words,
        base=base,
        score=float(score(row)[0]),
        moved=tuple(moved),
        truth=truth,
        background=len(background),
        orders=None if len(row.columns) <= EXACT else 2 * PAIRS,
    )


def _shown(value: Any) -> str:
    if pd.isna(value):
        return "missing"
    return f"{float(value):.6g}" if isinstance(value, float | np.floating) else str(value)
