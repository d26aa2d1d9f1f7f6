"""What is watched in production is scored as it was in training, whichever class is the positive one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC

from backends.entities import ModelVersion
from console.model_meta import ModelMeta
from console.monitoring.counted.counts import layout_of
from console.monitoring.counted.profile import build_profile
from console.monitoring.feeds.champion import Champion, scores_of


def champion(estimator: Any, labels: np.ndarray, positive: Any, score: str) -> tuple[Champion, pd.DataFrame]:
    rows = pd.DataFrame({"x": np.arange(len(labels), dtype=float)})
    model = estimator.fit(rows, labels)
    classes = [str(value) for value in model.classes_]
    profile = build_profile(
        rows, np.linspace(0, 1, len(rows)), labels, task="classification", positive=positive, classes=classes
    )
    meta = ModelMeta(task="classification", target="y", features=(), score=score, positive=positive)
    version = ModelVersion(model="m", version="1", created_at=0)
    return Champion(version=version, model=model, meta=meta, profile=profile, layout=layout_of(profile)), rows


@pytest.mark.parametrize(
    ("estimator", "score"), [(LinearSVC(), "decision"), (LogisticRegression(), "probability")], ids=["margin", "prob"]
)
@pytest.mark.parametrize(
    ("classes", "positive"),
    [(("a", "b"), "a"), (("a", "b"), "b"), ((0, 1), 0), ((0, 1), 1), ((False, True), False)],
    ids=str,
)
def test_a_high_score_means_the_positive_class(estimator: Any, score: str, classes: Any, positive: Any) -> None:
    labels = np.repeat(np.array(classes), 50)
    made, rows = champion(estimator, labels, positive, score)
    scores = scores_of(made, rows)
    assert scores.dtype == np.float64
    assert roc_auc_score(labels == positive, scores) == 1.0
