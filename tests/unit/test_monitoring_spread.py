"""Days of a reference: the parts of their spread, and how often calm windows raise an alarm, by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backends.entities import MonitorState
from console.monitoring.counted.columns import count_features
from console.monitoring.counted.counts import layout_of
from console.monitoring.counted.profile import Spread, build_profile
from console.monitoring.counted.windows import score_column
from console.monitoring.quality.performance import Z95
from console.monitoring.quality.spread import KNOWN, STRETCH, area_variance, critical, simulated, spread_of, together


def days(rng: np.random.Generator, count: int, rows: int, between: float) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies of days around 0.7 that differ by `between` in truth, and their sampling variances."""
    truth = np.clip(rng.normal(0.7, between, count), 0.02, 0.98)
    return rng.binomial(rows, truth) / rows, np.full(count, 0.21 / rows)


def test_the_spread_of_days_is_told_from_the_noise_of_few_rows() -> None:
    rng = np.random.default_rng(1)
    found = [spread_of(*map(np.ndarray.tolist, days(rng, 60, 100, 0.06))) for _ in range(200)]
    assert np.mean([spread.between for spread in found]) == pytest.approx(0.06, abs=0.005)
    covers = [abs(spread.mean - 0.7) < Z95 * spread.error for spread in found]
    assert 0.9 <= np.mean(covers) <= 0.98
    same = [spread_of(*map(np.ndarray.tolist, days(rng, 60, 100, 0.0))).between for _ in range(200)]
    assert np.median(same) < 0.02


def test_the_variance_of_an_auc_is_what_samples_show() -> None:
    rng = np.random.default_rng(2)
    areas = []
    for _ in range(1500):
        good, bad = rng.exponential(1.0, 40), rng.exponential(0.5, 120)
        areas.append((good[:, None] > bad[None, :]).mean())
    assert area_variance(float(np.mean(areas)), 40, 120) == pytest.approx(np.var(areas), rel=0.12)


def test_what_is_known_of_the_rule_is_what_the_simulation_finds() -> None:
    for rule, value in KNOWN.items():
        assert simulated(*rule) == pytest.approx(value, abs=1e-3)
    assert critical(7, 3, 5) < critical(7, 2, 5) < critical(7, 1, 1)


@pytest.mark.parametrize(("reference_rows", "rows"), [(140, 900), (2000, 100)])
def test_calm_months_raise_an_alarm_in_no_more_than_one_of_fifty_at_any_size(reference_rows: int, rows: int) -> None:
    """Wanted is 1 in 100 stretches of 30 windows; 60 days know their own spread only roughly, which costs the rest."""
    rng = np.random.default_rng(3)
    line = critical(7, 3, 5)
    alarms = 0
    for _ in range(1500):
        spread = spread_of(*map(np.ndarray.tolist, days(rng, 60, reference_rows, 0.06)), unit=0.21)
        values, variances = days(rng, STRETCH + 6, rows, 0.06)
        bad = []
        for stop in range(7, len(values) + 1):
            mean, error = together(values[stop - 7 : stop].tolist(), variances[stop - 7 : stop].tolist(), spread)
            bad.append(spread.mean - mean > line * np.hypot(error, spread.error))
        alarms += any(now and sum(bad[max(0, at - 4) : at + 1]) >= 3 for at, now in enumerate(bad))
    assert alarms / 1500 <= 0.02


def test_a_lasting_loss_is_found() -> None:
    rng = np.random.default_rng(4)
    spread = Spread(mean=0.7, between=0.05, error=0.008, days=60)
    line = critical(7, 3, 5)
    found = 0
    for _ in range(200):
        values = rng.normal(0.6, 0.05, 30).tolist()
        bad = []
        for stop in range(7, 31):
            mean, error = together(values[stop - 7 : stop], [1e-4] * 7, spread)
            bad.append(0.7 - mean > line * np.hypot(error, spread.error))
        found += any(now and sum(bad[max(0, at - 4) : at + 1]) >= 3 for at, now in enumerate(bad))
    assert found >= 190


def test_a_large_distance_that_is_no_drift_says_why() -> None:
    """Ten reference days, each at a level of its own: any one of them is far from all of them together."""
    rng = np.random.default_rng(5)
    at = pd.Series(np.repeat(pd.date_range("2024-01-01", periods=12), 100))
    frame = pd.DataFrame({"temp": np.repeat(rng.normal(0, 10, 12), 100) + rng.normal(0, 1, 1200)})
    labels = rng.random(1200) < 0.5
    profile = build_profile(
        frame, rng.random(1200), labels, task="classification", positive=True, classes=[False, True], times=at
    )
    day = count_features(frame.iloc[:100], profile, layout_of(profile))
    column = profile.columns[0]
    score = score_column(profile, column, day.column(layout_of(profile), "temp"), {})
    assert score.psi is not None
    assert (score.state, score.psi > 0.25) == (MonitorState.OK, True)
    natural = column.limits.natural_psi
    assert score.reason == f"PSI {score.psi:.2f}, within what single training days reach ({natural:.2f})"
