"""Paired differences against scikit-learn's figures, a formula written out, and simulation."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from console.promotion.paired import auc_difference, bootstrap
from console.training.intervals import measures_of


def two_scores(draw, count, apart=0.0):
    """Correlated scores of two models of which the first is better by `apart`."""
    positive = draw.random(count) < 0.4
    shared = draw.normal(size=count) + positive
    one = shared + draw.normal(size=count) * 0.7 + apart * positive
    return positive, one, shared + draw.normal(size=count) * 0.7


def test_the_areas_are_scikit_learns_also_with_ties():
    draw = np.random.default_rng(1)
    positive, one, two = two_scores(draw, 400)
    found = auc_difference(positive, np.round(one, 1), two)
    assert found.candidate == pytest.approx(roc_auc_score(positive, np.round(one, 1)))
    assert found.holder == pytest.approx(roc_auc_score(positive, two))


def test_the_variance_is_delongs_as_written_in_the_paper():
    positive, one, two = two_scores(np.random.default_rng(2), 120)

    def components(scores):
        high, low = scores[positive][:, None], scores[~positive][None, :]
        kernel = (high > low) + 0.5 * (high == low)
        return kernel.mean(axis=1), kernel.mean(axis=0)

    (a10, a01), (b10, b01) = components(one), components(two)
    spread = np.cov(a10, b10) / len(a10) + np.cov(a01, b01) / len(a01)
    deviation = np.sqrt(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1])
    found = auc_difference(positive, one, two)
    assert found.high - found.low == pytest.approx(2 * stats.norm.ppf(0.975) * deviation)


def test_the_interval_of_areas_covers_as_often_as_it_says():
    """Both models are equally good, so the difference is 0: 95 of 100 intervals hold it."""
    draw = np.random.default_rng(3)
    held = 0
    for _ in range(600):
        found = auc_difference(*two_scores(draw, 200))
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 600 <= 0.975


def test_a_model_that_is_better_is_told_so():
    found = auc_difference(*two_scores(np.random.default_rng(4), 3_000, apart=1.0))
    assert found.better is True
    assert found.low > 0


def test_the_bootstrap_of_means_agrees_with_the_paired_t_interval():
    draw = np.random.default_rng(5)
    one, two = draw.exponential(size=2_000), draw.exponential(size=2_000) * 1.05
    (found,) = bootstrap({"mae": mean(one)}, {"mae": mean(two), "rmse": mean(one)}, 2_000)
    low, high = stats.ttest_rel(one, two).confidence_interval(0.95)
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def mean(values):
    return lambda weights: float(weights @ values / weights.sum())


def test_the_better_one_has_the_smaller_error():
    draw = np.random.default_rng(6)
    target = draw.normal(size=500)
    one, two = (
        measures_of(target, target + draw.normal(size=500) * spread, task="regression") for spread in (0.5, 1.0)
    )
    found = {each.metric: each for each in bootstrap(one, two, 500)}
    assert {name: each.better for name, each in found.items()} == {"rmse": True, "mae": True, "r2": True}
    assert found["rmse"].difference < 0 < found["r2"].difference


def test_the_interval_of_each_metric_covers_as_often_as_it_says(monkeypatch):
    """Both are equally good. Of 100 intervals of 95 % fewer than 87 hold the truth in one of a thousand series."""
    monkeypatch.setattr("console.promotion.paired.LEAST_RESAMPLES", 200)
    monkeypatch.setattr("console.promotion.paired.WORK", 0)
    draw, held = np.random.default_rng(7), Counter()
    for _ in range(100):
        truth = draw.random(200)
        positive = draw.random(200) < truth
        one, two = (
            measures_of(
                positive,
                np.clip(truth + draw.normal(size=200) * 0.1, 0.01, 0.99),
                task="classification",
                classes=[False, True],
                positive=True,
            )
            for _ in range(2)
        )
        held.update(each.metric for each in bootstrap(one, two, 200) if each.low <= 0 <= each.high)
    assert set(held) == {"auc", "accuracy", "f1", "log_loss", "brier"}
    assert min(held.values()) >= 87, held


def test_a_class_that_most_draws_lack_has_no_interval():
    lost = {"auc": lambda weights: float("nan") if weights[0] < 2 else 0.5}
    assert bootstrap(lost, lost, 100) == ()
