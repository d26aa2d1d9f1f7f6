"""Metrics from counts against scikit-learn, and intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from console.monitoring.counted.counting import count_scores, encode_labels, score_cells
from console.monitoring.counted.profile import SCORE_CELLS
from console.monitoring.quality.performance import auc, measure, wilson


def sample(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 3, rows)
    return scores, (rng.random(rows) < scores).astype(int)


def measured(scores: np.ndarray, labels: object, task: str, classes: list[str], positive: str = "") -> dict:
    scale = "probability"
    cells = score_cells(scores, labels, task=task, positive=positive or None, classes=classes, scale=scale)
    targets = encode_labels(labels, task, positive, classes)
    counts, sums = count_scores(scores, targets, cells, task)
    return measure(counts.reshape(3, SCORE_CELLS).tolist(), sums, task)


def test_binary_metrics_are_scikit_learns() -> None:
    scores, labels = sample(5000, 1)
    found = measured(scores, labels, "binary", ["0", "1"], "1")
    assert found["auc"].value == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-3)
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(labels, scores >= 0.5), abs=1e-12)
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(labels, scores), rel=1e-9)
    assert found["brier"].value == pytest.approx(metrics.brier_score_loss(labels, scores), rel=1e-9)
    assert all(estimate.low < estimate.value < estimate.high for estimate in found.values())


def test_multiclass_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    table = rng.dirichlet([1, 2, 3], 3000)
    names = np.array(["a", "b", "c"])
    labels = names[[rng.choice(3, p=row) for row in table]]
    found = measured(table, labels, "multiclass", ["a", "b", "c"])
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(labels, names[table.argmax(axis=1)]))
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(labels, table), rel=1e-9)


def test_regression_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(50, 10, 2000)
    guess = truth + rng.normal(0, 3, 2000)
    found = measured(guess, truth, "regression", [])
    assert found["mae"].value == pytest.approx(metrics.mean_absolute_error(truth, guess), rel=1e-9)
    assert found["rmse"].value == pytest.approx(metrics.root_mean_squared_error(truth, guess), rel=1e-9)
    assert found["r2"].value == pytest.approx(metrics.r2_score(truth, guess), rel=1e-9)


def test_the_auc_interval_covers_the_truth_as_often_as_it_says() -> None:
    wide, labels = sample(400_000, 4)
    truth = metrics.roc_auc_score(labels, wide)
    hits = 0
    for seed in range(400):
        scores, truth_labels = sample(300, 1000 + seed)
        cells = np.minimum((scores * 256).astype(int), 255)
        found = auc(*(np.bincount(cells[truth_labels == label], minlength=256).tolist() for label in (0, 1)))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_without_both_classes_there_is_no_auc_and_perfect_order_is_no_certainty() -> None:
    assert auc([0, 5], [0, 0]) is None
    perfect = auc([10, 0], [0, 10])
    assert perfect is not None
    assert perfect.value == 1.0
    assert perfect.low is not None
    assert perfect.low < 0.9


def test_wilsons_interval_is_his() -> None:
    from scipy.stats import binomtest

    expected = binomtest(37, 120).proportion_ci(0.95, method="wilson")
    found = wilson(37, 120)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_labels_are_read_as_the_classes_are_written_and_strange_ones_are_none() -> None:
    assert encode_labels(["1", "0.0", "1.0", None, "2"], "binary", "1", ["0", "1"]).tolist()[:3] == [1, 0, 1]
    assert np.isnan(encode_labels(["1", "0.0", "1.0", None, "2"], "binary", "1", ["0", "1"])[3:]).all()
    assert encode_labels(["true", "FALSE", True], "binary", "True", ["False", "True"]).tolist() == [1, 0, 1]
    assert encode_labels(["b", "a"], "multiclass", "", ["a", "b", "c"]).tolist() == [1, 0]
