"""Estimators that answer one row without what scikit-learn does for thousands: input checks, one call a tree.

Whoever takes one has held it against the estimator itself, and found the same to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from console.serving.trees import Judged, boosted, grown


class Swift:
    """An estimator whose `predict_proba` (or, of a regression, `predict`) is another's; all else is its own."""

    def __init__(self, estimator: Any, judged: Judged) -> None:
        self._estimator = estimator
        if hasattr(estimator, "classes_"):
            self.predict_proba = judged
        else:
            self.predict = judged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._estimator, name)


def swift(estimator: Any) -> Any:
    """The estimator in its swift form, or as it is where there is none. It takes dense rows."""
    name = type(estimator).__name__
    judged: Judged | None = None
    if not type(estimator).__module__.startswith("sklearn."):
        return estimator
    if name in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
        judged = boosted(estimator)
    elif name in ("RandomForestClassifier", "ExtraTreesClassifier", "RandomForestRegressor", "ExtraTreesRegressor"):
        judged = grown(estimator, estimator.estimators_)
    elif name in ("DecisionTreeClassifier", "DecisionTreeRegressor"):
        judged = grown(estimator, [estimator])
    elif name == "LogisticRegression" and len(estimator.classes_) == 2:
        judged = _logistic(estimator)
    return estimator if judged is None else Swift(estimator, judged)


def _logistic(estimator: Any) -> Judged:
    from scipy.special import expit

    weights, intercept = estimator.coef_.T, estimator.intercept_

    def judged(matrix: Any) -> Any:
        positive = expit((matrix @ weights + intercept).ravel())
        return np.stack([1 - positive, positive], axis=1)

    return judged
