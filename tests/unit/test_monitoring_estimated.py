"""Performance without labels: against simulations whose truth is known, and failing openly where it must fail."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from backends.entities import Estimate, Window
from console.monitoring.alarms import measures
from console.monitoring.counted.cells import by_label
from console.monitoring.counted.columns import count_features
from console.monitoring.counted.counting import (
    add_scores,
    count_answers,
    encode_labels,
    losses_by_score,
    reference_metrics,
    score_cells,
)
from console.monitoring.counted.counts import layout_of
from console.monitoring.counted.profile import Profile, build_profile
from console.monitoring.counted.windows import make_window
from console.monitoring.quality.answers import gap_of, gap_words
from console.monitoring.quality.estimated import calibration, estimate, isotonic

ROWS = 2000


def drawn(rows: int, rng: np.random.Generator, *, shift: float = 0.0, drift: float = 0.0) -> tuple[np.ndarray, ...]:
    """Scores that are badly calibrated, and labels. shift: of the inputs; drift: share of labels that mean nothing."""
    x = rng.normal(shift, 1.2, rows)
    scores = 1 / (1 + np.exp(-1.6 * x))
    labels = (rng.random(rows) < 1 / (1 + np.exp(-0.9 * x + 0.4))).astype(int)
    return scores, np.where(rng.random(rows) < drift, rng.random(rows) < 0.4, labels).astype(int)


@cache
def truth(shift: float) -> dict[str, float]:
    scores, labels = drawn(600_000, np.random.default_rng(1), shift=shift)
    return {
        "auc": metrics.roc_auc_score(labels, scores),
        "accuracy": metrics.accuracy_score(labels, scores >= 0.5),
        "brier": metrics.brier_score_loss(labels, scores),
        "log_loss": metrics.log_loss(labels, scores),
    }


def reference(seed: int, rows: int = ROWS) -> Profile:
    """A profile of its own draw; what it holds of drift is the first one's, which costs time to resample."""
    return anew(first_profile(), *drawn(rows, np.random.default_rng(seed)))


@cache
def first_profile() -> Profile:
    scores, labels = drawn(ROWS, np.random.default_rng(0))
    frame = pd.DataFrame(index=range(ROWS))
    return build_profile(frame, scores, labels, task="classification", positive=1, classes=[0, 1])


def anew(profile: Profile, scores: np.ndarray, labels: np.ndarray) -> Profile:
    known = {"task": profile.task, "positive": profile.positive or None, "classes": profile.classes}
    cells = score_cells(scores, labels, scale=profile.scale, **known)
    found, _ = reference_metrics(scores, labels, cells, scale=profile.scale, times=None, **known)
    cells = msgspec.structs.replace(cells, limits=profile.score.limits)
    losses = losses_by_score(scores, labels, cells) if profile.task == "regression" else ()
    return msgspec.structs.replace(profile, score=cells, metrics=found, losses=losses, score_rows=len(labels))


def window_of(profile: Profile, scores: np.ndarray, labels: object, end: int = 3_600_000) -> Window:
    layout = layout_of(profile)
    targets = encode_labels(labels, profile.task, profile.positive, profile.classes)
    counts = count_features(pd.DataFrame(index=range(len(scores))), profile, layout)
    counts = add_scores(counts, layout, *count_answers(scores, targets, profile, layout))
    return make_window("m", profile, layout, counts, start=0, end=end, version="1")


def blind_spot(window: Window, metric: str) -> str:
    """What a person reads of the gap, where it is more than chance."""
    gap = gap_of(window, metric)
    return gap_words(gap)[0] if gap is not None and gap.sure else ""


def within(found: Estimate, value: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= value <= found.high


def test_the_calibration_is_scikit_learns_isotonic_regression() -> None:
    profile = reference(3)
    negatives, positives, _ = (np.array(part) for part in by_label(profile.score.counts))
    rows = negatives + positives
    held = rows > 0
    at = np.arange(256)
    expected = IsotonicRegression().fit(at[held], positives[held] / rows[held], sample_weight=rows[held])
    found = calibration(profile.score, "binary", "probability", tuple(sorted(profile.metrics.items())))
    assert found is not None
    assert np.array(found.share)[held] == pytest.approx(expected.predict(at[held]), abs=1e-12)
    blocks = isotonic([0, 0, 3, 1, 0, 5], [0, 2, 3, 4, 0, 5])
    assert blocks == [(0, 2, 0, 2), (2, 5, 4, 7), (5, 6, 5, 5)]


@pytest.mark.parametrize("shift", [0.0, 0.8, -0.8])
def test_under_covariate_shift_the_interval_holds_the_truth(shift: float) -> None:
    """Of 200 estimates 95 % must; under 90 % would be more than chance (three standard errors)."""
    hits = dict.fromkeys(truth(shift), 0)
    references, each = 100, 2
    for seed in range(references):
        profile = reference(100 + seed)
        rng = np.random.default_rng(9000 + seed)
        for _ in range(each):
            scores, _ = drawn(1500, rng, shift=shift)
            found = estimate(profile, window_counts(profile, scores))
            for name, value in truth(shift).items():
                hits[name] += within(found[name], value)
    for name, count in hits.items():
        assert count / (references * each) >= 0.90, name


def test_the_estimate_follows_the_shift() -> None:
    profile = reference(5, rows=20_000)
    scores, _ = drawn(20_000, np.random.default_rng(6), shift=0.8)
    found = estimate(profile, window_counts(profile, scores))
    for name, value in truth(0.8).items():
        # What a surely wrong row costs in log loss has no bound: it is the least sure of them.
        assert found[name].value == pytest.approx(value, abs=0.03 if name == "log_loss" else 0.015), name
    assert truth(0.8)["brier"] - profile.metrics["brier"] > 0.01


def window_counts(profile: Profile, scores: np.ndarray) -> list[int]:
    found, _ = count_answers(scores, np.full(len(scores), np.nan), profile, layout_of(profile))
    return [int(count) for count in found[:768]]


def test_concept_drift_is_said_as_soon_as_labels_are_there() -> None:
    profile = reference(7, rows=6000)
    rng = np.random.default_rng(8)
    gaps = []
    for drift in (0.0, 0.3, 0.6, 0.9):
        window = window_of(profile, *drawn(3000, rng, drift=drift))
        found = measures.gap(window, "auc")
        assert found is not None
        gaps.append(found.value)
        said = blind_spot(window, "auc")
        if drift:
            assert found.low is not None
            assert found.low > 0
            assert "the estimate cannot see this" in said
            assert "concept drift" in said
        else:
            assert said == ""
    assert gaps == sorted(gaps)
    unlabelled = window_of(profile, drawn(3000, rng, drift=0.9)[0], np.full(3000, np.nan))
    assert blind_spot(unlabelled, "auc") == ""
    assert unlabelled.estimated["auc"].value == pytest.approx(profile.metrics["auc"], abs=0.02), "labels it cannot see"


def test_quiet_windows_are_seldom_called_concept_drift() -> None:
    said = 0
    for seed in range(60):
        profile = reference(500 + seed)
        window = window_of(profile, *drawn(1000, np.random.default_rng(7000 + seed), shift=0.4))
        said += bool(blind_spot(window, "auc"))
    assert said <= 7  # 5 % of 60, and two standard errors more


def test_the_expected_errors_of_a_regression_follow_what_is_predicted() -> None:
    def drawn_values(rows: int, rng: np.random.Generator, shift: float) -> tuple[np.ndarray, np.ndarray]:
        guess = rng.normal(50 + shift, 10, rows)
        return guess, guess + rng.normal(0, 1 + 0.1 * np.abs(guess), rows)

    wide, far = drawn_values(400_000, np.random.default_rng(1), 6)
    expected = {"mae": metrics.mean_absolute_error(far, wide), "rmse": metrics.root_mean_squared_error(far, wide)}
    first = drawn_values(3000, np.random.default_rng(99), 0)
    base = build_profile(pd.DataFrame(index=range(3000)), *first, task="regression")
    hits = dict.fromkeys(expected, 0)
    for seed in range(80):
        rng = np.random.default_rng(seed)
        guess, target = drawn_values(3000, rng, 0)
        profile = anew(base, guess, target)
        scores, _ = drawn_values(2000, rng, 6)
        found = estimate(profile, window_counts(profile, scores))
        for name, value in expected.items():
            hits[name] += within(found[name], value)
            assert found[name].value > profile.metrics[name]
    assert all(count >= 72 for count in hits.values()), hits


def test_many_classes_have_an_expected_accuracy_and_few_labels_no_estimate() -> None:
    rng = np.random.default_rng(4)
    table = rng.dirichlet([1, 2, 3], 4000)
    names = np.array(["a", "b", "c"])
    labels = names[[rng.choice(3, p=row) for row in table]]
    frame = pd.DataFrame(index=range(4000))
    profile = build_profile(frame, table, labels, task="classification", classes=["a", "b", "c"])
    sure = table[table.max(axis=1) > 0.7]
    found = window_of(profile, sure, [None] * len(sure)).estimated["accuracy"]
    assert within(found, float(sure.max(axis=1).mean()))
    assert estimate(reference(1, rows=60), [0] * 128 + [50] + [0] * 639) == {}


def test_a_day_is_given_the_width_by_which_days_differ() -> None:
    rng = np.random.default_rng(2)
    scores, labels = drawn(6000, rng)
    day = np.repeat(np.arange(60), 100)
    # On every other day the labels mean less.
    labels = np.where((day % 2 == 1) & (rng.random(6000) < 0.5), rng.random(6000) < 0.4, labels).astype(int)
    times = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D"))
    frame = pd.DataFrame(index=range(6000))
    profile = build_profile(frame, scores, labels, task="classification", positive=1, classes=[0, 1], score_times=times)
    fresh, _ = drawn(3000, rng)
    hour, whole = (
        window_of(profile, fresh, np.full(3000, np.nan), end).estimated["auc"] for end in (3_600_000, 86_400_000)
    )
    assert hour.low is not None
    assert whole.low is not None
    assert whole.low < hour.low - profile.within["auc"].between
