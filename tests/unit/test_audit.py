"""The audit's tests: each finds what was planted for it and stays calm without; figures beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss

from backends.contract import Invalid
from console.training.audit.audit import calibration_error, row_losses
from console.training.audit.leakage import single_feature_scores
from console.training.audit.slices import worst_slices
from console.training.recipe import parse_recipe

RECIPE = (
    'dataset = "d"\ntarget = "y"\ntask = "classification"\n[estimator]\nclass = "sklearn.linear_model.X"\n[audit]\n'
)


def rows(n: int = 4_000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(size=n), "place": rng.choice(list("abcd"), n), "kind": rng.choice(["u", "v"], n),
            "when": pd.Timestamp("2013-01-01") + pd.to_timedelta(rng.integers(0, 24 * 365, n), unit="h"),
            "flag": rng.random(n) < 0.5,
        }
    )  # fmt: skip


# ---------------------------------------------------------------- slices


def test_the_planted_slice_is_found_and_named() -> None:
    frame = rows()
    rng = np.random.default_rng(1)
    loss = rng.exponential(1.0, len(frame)) * np.where((frame["place"] == "c") & (frame["kind"] == "u"), 3.0, 1.0)
    worst = worst_slices(frame, loss, least=50)[0]
    assert set(worst.where.split(" and ")) == {"place = c", "kind = u"}
    inside = (frame["place"] == "c") & (frame["kind"] == "u")
    assert worst.rows == inside.sum()
    assert worst.loss == pytest.approx(loss[inside].mean())
    assert worst.ratio == pytest.approx(loss[inside].mean() / loss.mean())
    welch = stats.ttest_ind(loss[inside], loss[~inside], equal_var=False, alternative="greater")
    assert stats.norm.isf(worst.p) == pytest.approx(welch.statistic, rel=1e-9)


def test_numbers_times_and_missing_values_make_slices_too() -> None:
    frame = rows()
    frame.loc[:399, "x"] = np.nan
    loss = np.ones(len(frame)) + np.random.default_rng(2).random(len(frame)) + 5.0 * frame["x"].isna()
    assert worst_slices(frame, loss, least=50)[0].where == "x missing"
    loss = np.random.default_rng(3).random(len(frame)) + 4.0 * (frame["when"].dt.hour < 6)
    assert worst_slices(frame, loss, least=50)[0].where == "hour(when) 0 to 6"


def test_where_nothing_is_worse_nothing_is_found() -> None:
    """At 5 % false discoveries, a calm table shows a slice in about one of twenty tries at most."""
    found = sum(
        bool(worst_slices(rows(1_000, seed), np.random.default_rng(seed + 999).exponential(1.0, 1_000), least=50))
        for seed in range(60)
    )
    assert found <= 6


def test_small_slices_are_left_alone() -> None:
    frame = rows(1_000)
    loss = np.where(np.arange(1_000) < 20, 100.0, 1.0) + np.random.default_rng(0).random(1_000)
    frame["rare"] = np.where(np.arange(1_000) < 20, "yes", "no")
    assert not [each for each in worst_slices(frame, loss, least=100) if "rare = yes" in each.where]
    assert worst_slices(frame, loss, least=10)[0].where == "rare = yes"


# ---------------------------------------------------------------- leakage


def test_a_leaked_answer_is_seen_and_noise_is_not() -> None:
    frame = rows()
    target = np.random.default_rng(4).random(len(frame)) < 0.3
    frame["told"] = target * 7.0 + np.random.default_rng(5).random(len(frame))
    found = single_feature_scores(frame, target, task="classification", seed=0)
    assert next(iter(found)) == "told"
    assert found["told"] > 0.99
    assert max(value for name, value in found.items() if name != "told") < 0.1


def test_a_name_of_the_row_gives_nothing_away() -> None:
    frame = pd.DataFrame({"id": [f"row {at}" for at in range(3_000)], "number": np.arange(3_000)})
    target = np.random.default_rng(6).random(3_000) < 0.5
    assert max(single_feature_scores(frame, target, task="classification", seed=0).values()) < 0.1


def test_regression_leaks_are_seen_by_their_share_of_the_variance() -> None:
    frame = rows()
    target = np.random.default_rng(7).normal(size=len(frame))
    frame["copy"] = target
    frame["half"] = target + np.random.default_rng(8).normal(size=len(frame))
    found = single_feature_scores(frame, target, task="regression", seed=0)
    assert found["copy"] > 0.95
    assert found["half"] == pytest.approx(0.5, abs=0.05)
    assert found["x"] < 0.02


# ---------------------------------------------------------------- figures


def test_the_loss_of_a_row_is_briers() -> None:
    rng = np.random.default_rng(9)
    target, scores = rng.random(500) < 0.4, rng.random(500)
    loss = row_losses(scores, target, [False, True], True, "probability", "classification")
    assert loss.mean() == pytest.approx(brier_score_loss(target, scores))
    flipped = row_losses(scores, ~target, [False, True], False, "probability", "classification")
    assert flipped == pytest.approx(loss)


def test_calibration_error_is_nothing_for_the_truth_and_its_shift_otherwise() -> None:
    rng = np.random.default_rng(10)
    truth = rng.random(200_000)
    right = rng.random(200_000) < truth
    assert calibration_error(truth, right) < 0.005
    assert calibration_error(np.clip(truth * 0.5, 0, 1), right) == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('fail = ["slice"]', "'slice' is not a test; there are baseline"),
        ("overfit = -1", "wanted 0 or more"),
        ("leakage = 2", "wanted 0 to 1"),
        ("seeds = 99", "wanted 0 to 20"),
        ("slices = 0.5", "wanted 1 or more"),
        ("sliced = 2", "did you mean 'slices'"),
        ('latency_ms = "fast"', "expected"),
    ],
)
def test_a_wrong_rule_is_told_with_its_line(line: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        parse_recipe(RECIPE + line, "r.toml")
    assert "r.toml:7" in str(caught.value)
