"""Intervals of metrics: the value is scikit-learn's, and the interval holds the truth about as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as m

from console.training.intervals import area, intervals
from console.training.scoring import measure


def test_values_are_those_of_scikit_learn_for_two_classes() -> None:
    rng = np.random.default_rng(1)
    target = rng.integers(0, 2, 400)
    scores = np.round(np.clip(0.3 * target + rng.random(400) * 0.7, 0.01, 0.99), 2)  # with ties
    found = intervals(target, scores, task="classification", classes=[0, 1], positive=1, resamples=50)
    expected = measure(
        ("auc", "log_loss", "accuracy", "brier", "f1"),
        target,
        scores,
        task="classification",
        classes=[0, 1],
        positive=1,
    )
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value)
        assert found[name].low < value < found[name].high


def test_values_are_those_of_scikit_learn_for_more_classes_and_for_numbers() -> None:
    rng = np.random.default_rng(2)
    target = np.array(["a", "b", "c"], object)[rng.integers(0, 3, 300)]
    scores = rng.dirichlet([1, 1, 1], 300)
    scores[np.arange(300), [list("abc").index(value) for value in target]] += 0.5
    scores /= scores.sum(axis=1, keepdims=True)
    found = intervals(target, scores, task="classification", classes=list("abc"), resamples=30)
    expected = measure(
        ("auc", "log_loss", "accuracy", "f1"), target, scores, task="classification", classes=list("abc")
    )
    assert {name: each.value for name, each in found.items()} == pytest.approx(expected)
    truth = rng.normal(1e6, 3, 200)
    said = truth + rng.normal(0, 1, 200)
    numbers = intervals(truth, said, task="regression", resamples=30)
    wanted = measure(("rmse", "mae", "r2"), truth, said, task="regression")
    assert {name: each.value for name, each in numbers.items()} == pytest.approx(wanted)


def test_the_area_with_weights_and_ties_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    hits = rng.random(500) < 0.3
    scores = rng.integers(0, 12, 500).astype(float)
    weights = rng.integers(0, 4, 500).astype(float)
    assert area(hits, scores)(weights) == pytest.approx(m.roc_auc_score(hits, scores, sample_weight=weights))
    assert np.isnan(area(np.zeros(5, bool), np.arange(5.0))(np.ones(5)))


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    holds = 0
    for _ in range(200):
        # scores of two classes one standard deviation apart: the area is Φ(1/√2) = 0.7602…
        hits = rng.random(150) < 0.5
        scores = rng.normal(0, 1, 150) + hits
        found = intervals(hits, scores, task="classification", positive=True, kind="decision", resamples=200)["auc"]
        holds += found.low <= 0.76025 <= found.high
    assert 0.90 <= holds / 200 <= 0.99  # 95 %, give or take four standard errors and the bootstrap's own bias


def test_a_class_that_is_hardly_there_gives_no_interval() -> None:
    scores = np.linspace(0.1, 0.9, 50)
    assert "auc" not in intervals(np.zeros(50), scores, task="classification", positive=1, resamples=20)
