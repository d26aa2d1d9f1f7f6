"""Explanations against closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import inspection
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from console.training.explain.curves import dependence, importance
from console.training.explain.shapley import shapley


def data(columns: int, rows: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(0, 1, (rows, columns)), columns=[f"x{at}" for at in range(columns)])
    weights = rng.normal(0, 2, columns)
    return frame, frame.to_numpy() @ weights + frame["x0"] * frame["x1"] + rng.normal(0, 0.3, rows)


@pytest.mark.parametrize("exact", [8, 0])
def test_of_a_linear_model_they_are_weight_times_distance_from_the_mean(exact: int) -> None:
    frame, target = data(5)
    model = LinearRegression().fit(frame, target)
    row, background = frame.iloc[[7]], frame.iloc[100:150]
    values, errors, base = shapley(model.predict, row, background, exact=exact, pairs=3)
    expected = model.coef_ * (row.to_numpy()[0] - background.to_numpy().mean(axis=0))
    assert values == pytest.approx(expected)
    assert errors == pytest.approx(np.zeros(5), abs=1e-9)  # without interplay every order says the same
    assert base == pytest.approx(model.predict(background).mean())


def test_they_add_up_to_the_prediction_whether_counted_or_drawn() -> None:
    frame, target = data(6)
    model = RandomForestRegressor(20, random_state=0).fit(frame, target)
    row, background = frame.iloc[[3]], frame.iloc[50:80]
    for exact in (8, 0):
        values, _, base = shapley(model.predict, row, background, exact=exact, pairs=5)
        assert base + values.sum() == pytest.approx(model.predict(row)[0])


def test_drawn_values_are_near_the_counted_ones_within_their_error() -> None:
    frame, target = data(6)
    model = RandomForestRegressor(20, random_state=0).fit(frame, target)
    row, background = frame.iloc[[3]], frame.iloc[50:70]
    counted, none, _ = shapley(model.predict, row, background)
    drawn, errors, _ = shapley(model.predict, row, background, exact=0, pairs=40, seed=1)
    assert not none.any()
    assert (np.abs(drawn - counted) <= 4 * errors + 1e-9).all()
    assert (errors < 0.2 * np.abs(counted).max()).all()


def test_a_product_is_shared_equally_and_a_column_that_does_nothing_gets_nothing() -> None:
    row = pd.DataFrame({"a": [3.0], "b": [2.0], "c": ["red"]})
    background = pd.DataFrame({"a": [0.0, 0.0], "b": [0.0, 0.0], "c": ["blue", "red"]})
    values, _, base = shapley(lambda rows: rows["a"].to_numpy() * rows["b"].to_numpy(), row, background)
    assert (list(values), base) == (pytest.approx([3.0, 3.0, 0.0]), 0.0)
    texts, _, _ = shapley(lambda rows: (rows["c"] == "red").to_numpy(float), row, background)
    assert list(texts) == pytest.approx([0.0, 0.0, 0.5])


def test_importance_is_that_of_scikit_learn() -> None:
    frame, target = data(4, rows=150)
    model = RandomForestRegressor(8, random_state=0).fit(frame, target)
    mine = list(importance(lambda rows: r2_score(target, model.predict(rows)), frame, repeats=30, seed=1))
    theirs = inspection.permutation_importance(model, frame, target, n_repeats=30, random_state=2, scoring="r2")
    for at, each in enumerate(mine):
        assert each.fall == pytest.approx(theirs.importances_mean[at], abs=5 * theirs.importances_std[at] / 30**0.5 * 2)
        assert each.spread == pytest.approx(theirs.importances_std[at], rel=0.6)


def test_dependence_is_that_of_scikit_learn() -> None:
    frame, target = data(3)
    frame["x0"] = frame["x0"].round()  # few values: both then measure at each of them
    model = RandomForestRegressor(20, random_state=0).fit(frame, target)
    mine = dependence(model.predict, frame, "x0")
    assert mine is not None
    theirs = inspection.partial_dependence(model, frame, ["x0"], kind="average", method="brute", grid_resolution=24)
    assert mine.values == pytest.approx(theirs["grid_values"][0])
    assert mine.means == pytest.approx(theirs["average"][0])


def test_levels_of_text_have_means_and_a_column_of_one_value_has_no_curve() -> None:
    frame = pd.DataFrame({"c": ["a", "b", "a", None], "one": [1.0] * 4, "when": pd.date_range("2026", periods=4)})
    found = dependence(lambda rows: (rows["c"] == "b").to_numpy(float), frame, "c")
    assert found is not None
    assert (found.levels, found.means) == (("a", "b"), (0.0, 1.0))
    assert dependence(len, frame, "one") is None
    assert dependence(len, frame, "when") is None
