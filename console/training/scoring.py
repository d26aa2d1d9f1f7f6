"""What a fitted model says about rows: its score, and how good the scores are."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.contract import Invalid


def score_kind(model: Any, task: str) -> str:
    """`prediction` for regression; else `probability`, or `decision` where the estimator gives no probabilities."""
    if task == "regression":
        return "prediction"
    if hasattr(model, "predict_proba"):
        return "probability"
    if hasattr(model, "decision_function"):
        return "decision"
    raise Invalid(
        f"{type(model).__name__} gives neither probabilities nor a decision function; choose another estimator.",
        "estimator",
    )


def scores_of(model: Any, rows: Any, *, task: str, positive: Any = None) -> Any:
    """Scores of rows. Regression: shape (n,), the prediction. Two classes: (n,), the probability (or margin) of
    `positive`. More classes: (n, classes)."""
    kind = score_kind(model, task)
    if kind == "prediction":
        return np.asarray(model.predict(rows), dtype=float)
    values = model.predict_proba(rows) if kind == "probability" else model.decision_function(rows)
    classes = list(model.classes_)
    if len(classes) > 2:
        return values
    at = classes.index(positive)
    if kind == "decision":
        return values if at == 1 else -values
    return values[:, at]


def labels_of(scores: Any, classes: Any, positive: Any, kind: str) -> Any:
    """The predicted class of each row: the most probable one."""
    if scores.ndim == 2:
        return np.asarray(classes)[np.argmax(scores, axis=1)]
    other = next(value for value in classes if value != positive)
    return np.where(scores > (0.5 if kind == "probability" else 0.0), positive, other)


def measure(
    report: tuple[str, ...],
    target: Any,
    scores: Any,
    *,
    task: str,
    classes: Any = (),
    positive: Any = None,
    kind: str = "probability",
) -> dict[str, float]:
    """The metrics that can be told from these scores; one that cannot (auc with one class present, log loss of a
    margin) is left out. All by scikit-learn: auc one-vs-rest (mean over the classes present) and f1 macro where
    there are more than two classes; rmse in target units."""
    from sklearn import metrics as m

    out: dict[str, float] = {}
    if task == "regression":
        for name in report:
            if name == "rmse":
                out[name] = float(m.root_mean_squared_error(target, scores))
            elif name == "mae":
                out[name] = float(m.mean_absolute_error(target, scores))
            elif name == "r2" and len(target) > 1:
                out[name] = float(m.r2_score(target, scores))
        return out
    binary = scores.ndim == 1
    present = set(np.unique(target).tolist())
    hits = np.asarray(target == positive)
    predicted = labels_of(scores, classes, positive, kind)
    for name in report:
        if name == "auc" and binary and len(present) == 2:
            out[name] = float(m.roc_auc_score(hits, scores))
        elif name == "auc" and not binary and len(present) > 1:
            shown = [at for at, value in enumerate(classes) if value in present]
            each = [m.roc_auc_score(target == classes[at], scores[:, at]) for at in shown]
            out[name] = float(np.mean(each))
        elif name == "log_loss" and kind == "probability":
            out[name] = float(m.log_loss(hits, scores, labels=[False, True])) if binary else float(
                m.log_loss(target, scores, labels=list(classes))
            )  # fmt: skip
        elif name == "brier" and kind == "probability" and binary:
            out[name] = float(np.mean((scores - hits) ** 2))
        elif name == "accuracy":
            out[name] = float(np.mean(predicted == target))
        elif name == "f1":
            if binary:
                out[name] = float(m.f1_score(hits, predicted == positive, zero_division=0.0))
            else:
                out[name] = float(
                    m.f1_score(target, predicted, labels=list(classes), average="macro", zero_division=0.0)
                )
    return out
