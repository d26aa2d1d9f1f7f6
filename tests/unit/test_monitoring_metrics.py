"""Average precision, calibration error, F1 and the rest from counts: against scikit-learn, intervals by simulation."""

from __future__ import annotations

from array import array

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from backends.entities import Estimate
from console.monitoring.counted.columns import count_features
from console.monitoring.counted.counting import add_scores, count_answers, encode_labels
from console.monitoring.counted.counts import Counts, add, layout_of, pack, unpack
from console.monitoring.counted.profile import Profile, build_profile
from console.monitoring.counted.windows import make_window, measured
from console.monitoring.quality.curves import average_precision, calibration_error
from console.monitoring.quality.per_class import macro_f1, of_class, per_class
from console.monitoring.quality.performance import measure, provisional, shortfall

CELLS = 256


def cells_of(scores: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    at = np.minimum((scores * CELLS).astype(int), CELLS - 1)
    return [np.bincount(at[labels == label], minlength=CELLS).tolist() for label in (0, 1)]


def sample(rows: int, seed: int, bend: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 3, rows)
    return scores, (rng.random(rows) < scores**bend).astype(int)


def covers(found: Estimate | None, truth: float) -> bool:
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high


def binary_profile(rows: int = 4000) -> Profile:
    scores, labels = sample(rows, 7)
    frame = pd.DataFrame({"x": scores})
    return build_profile(frame, scores, labels, task="classification", positive=1, classes=[0, 1])


def counted(profile: Profile, frame: pd.DataFrame, scores: np.ndarray, labels: object) -> Counts:
    layout = layout_of(profile)
    targets = encode_labels(labels, profile.task, profile.positive, profile.classes)
    return add_scores(count_features(frame, profile, layout), layout, *count_answers(scores, targets, profile, layout))


def test_average_precision_is_scikit_learns() -> None:
    scores, labels = sample(5000, 1)
    found = average_precision(*cells_of(scores, labels))
    assert found is not None
    rounded = np.floor(scores * CELLS)
    assert found.value == pytest.approx(metrics.average_precision_score(labels, rounded), abs=1e-12)
    assert found.value == pytest.approx(metrics.average_precision_score(labels, scores), abs=2e-3)


def test_calibration_error_is_that_of_scikit_learns_reliability_diagram() -> None:
    scores, labels = sample(5000, 2, bend=1.5)
    found = calibration_error(*cells_of(scores, labels))
    shares, said = calibration_curve(labels, scores, n_bins=10)
    rows = np.bincount(np.minimum((scores * 10).astype(int), 9), minlength=10)
    assert found is not None
    assert found.value == pytest.approx(np.abs(shares - said) @ (rows[rows > 0] / 5000), abs=2e-3)


@pytest.mark.parametrize("rows", [50, 200, 2000])
def test_intervals_hold_the_truth_as_often_as_they_say(rows: int) -> None:
    wide, labels = sample(400_000, 4, bend=1.3)
    truth = metrics.average_precision_score(labels, wide)
    error = calibration_error(*cells_of(wide, labels))
    assert error is not None
    hits = np.zeros(2)
    for seed in range(300):
        table = cells_of(*sample(rows, 1000 + seed, bend=1.3))
        hits += covers(average_precision(*table), truth), covers(calibration_error(*table), error.value)
    assert (hits / 300 >= 0.92).all()


def test_precision_recall_and_f1_of_each_class_are_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    true, said = rng.integers(0, 3, 2000), rng.integers(0, 3, 2000)
    said = np.where(rng.random(2000) < 0.6, true, said)
    table = np.zeros((3, 4), dtype=int)
    np.add.at(table, (said, true), 1)
    table[:, 3] = 50  # without a label yet: nobody knows
    expected = metrics.precision_recall_fscore_support(true, said)
    for at, found in enumerate(per_class(table.tolist(), ["a", "b", "c"]).values()):
        for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
            assert found[name].value == pytest.approx(values[at], abs=1e-12)
    whole = macro_f1(table.tolist())
    assert whole is not None
    assert whole.value == pytest.approx(metrics.f1_score(true, said, average="macro"), abs=1e-12)
    assert per_class((), ["a"]) == {}


def test_the_intervals_of_f1_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    shares = np.array([[0.3, 0.05, 0.02], [0.05, 0.25, 0.08], [0.02, 0.03, 0.2]])
    both = shares.sum(axis=0) + shares.sum(axis=1)
    single, mean = 2 * shares[0, 0] / both[0], float((2 * np.diag(shares) / both).mean())
    hits = np.zeros(2)
    for _ in range(400):
        table = rng.multinomial(300, shares.ravel()).reshape(3, 3)
        padded = np.hstack([table, np.zeros((3, 1), dtype=int)]).tolist()
        hits += covers(of_class(padded, 0)["f1"], single), covers(macro_f1(padded), mean)
    assert (hits / 400 >= 0.92).all()
    assert (hits / 400 <= 0.98).all()


def test_a_window_of_two_classes_measures_all_and_the_reference_alike() -> None:
    profile = binary_profile()
    scores, labels = sample(3000, 9)
    found = measured(profile, layout_of(profile), counted(profile, pd.DataFrame({"x": scores}), scores, labels))
    said = scores >= 0.5
    assert found["precision"].value == pytest.approx(metrics.precision_score(labels, said))
    assert found["recall"].value == pytest.approx(metrics.recall_score(labels, said))
    assert found["f1"].value == pytest.approx(metrics.f1_score(labels, said))
    assert set(found) == set(profile.metrics)
    assert "calibration_error" not in measure(cells_of(scores, labels), (1, 1, 0, 0, 0, 0), "binary", "decision")


def test_a_window_of_a_regression_tells_bias_mape_and_the_interval_of_r2() -> None:
    rng = np.random.default_rng(11)

    def drawn(rows: int) -> tuple[np.ndarray, np.ndarray]:
        guess = rng.normal(100, 10, rows)
        return guess, guess + rng.normal(-2, 5, rows)

    guess, truth = drawn(4000)
    profile = build_profile(pd.DataFrame({"x": guess}), guess, truth, task="regression")
    layout = layout_of(profile)
    hits = np.zeros(2)
    for _ in range(200):
        guess, truth = drawn(400)
        counts = counted(profile, pd.DataFrame({"x": guess}), guess, truth)
        found = measured(profile, layout, counts)
        hits += covers(found["mean_error"], 2.0), covers(found["r2"], 1 - (25 + 4) / 125)
    assert found["mean_error"].value == pytest.approx((guess - truth).mean())
    assert found["mape"].value == pytest.approx(metrics.mean_absolute_percentage_error(truth, guess))
    assert (hits / 200 >= 0.91).all()
    assert shortfall("mean_error", -3.0, 1.0) == 2.0
    # One label of 0: a share of it says nothing.
    truth[0] = 0.0
    assert "mape" not in measured(profile, layout, counted(profile, pd.DataFrame({"x": guess}), guess, truth))


def test_windows_of_before_unpack_add_and_measure() -> None:
    rng = np.random.default_rng(12)
    guess = rng.normal(10, 1, 500)
    truth = guess + rng.normal(0, 1, 500)
    profile = build_profile(pd.DataFrame({"x": guess}), guess, truth, task="regression")
    layout = layout_of(profile)
    fresh = counted(profile, pd.DataFrame({"x": guess}), guess, truth)
    old = unpack(
        pack(Counts(layout=fresh.layout, rows=500, cells=array("q", fresh.cells), sums=fresh.sums[:6], new_levels={}))
    )
    both = add(old, fresh)
    found = measured(profile, layout, both)
    assert found["mae"].value == pytest.approx(np.abs(guess - truth).mean())
    assert found["mae"].n == 1000
    assert "mean_error" not in found, "half of its rows are not known"
    unlabelled = counted(profile, pd.DataFrame({"x": guess}), guess, np.full(500, np.nan))
    assert "mean_error" in measured(profile, layout, add(unlabelled, fresh))
    assert "mean_error" in measured(profile, layout, add(fresh, unlabelled))


def test_few_labels_are_provisional() -> None:
    assert provisional(100, 40)
    assert not provisional(100, 95)
    assert not provisional(100, 0)


def test_a_stored_window_stays_small() -> None:
    import msgspec

    profile = binary_profile()
    scores, labels = sample(3000, 9)
    counts = counted(profile, pd.DataFrame({"x": scores}), scores, labels)
    window = make_window("m", profile, layout_of(profile), counts, start=0, end=60_000, version="1")
    bare = msgspec.structs.replace(window, counts=b"", performance={}, estimated={}, reference={})
    stored = msgspec.structs.replace(window, counts=b"")
    assert len(msgspec.msgpack.encode(stored)) - len(msgspec.msgpack.encode(bare)) < 1100
