"""ADWIN: calm while nothing changes, quick when something does, and the onset named."""

from __future__ import annotations

import numpy as np
import pytest

from backends.entities import Estimate, Window
from console.monitoring.quality.adwin import Adwin, changed, changes


def errors(rng: np.random.Generator, rate: float, count: int) -> list[float]:
    return (rng.random(count) < rate).astype(float).tolist()


def test_a_series_without_change_is_called_changed_no_oftener_than_asked() -> None:
    rng = np.random.default_rng(1)
    called = 0
    for _ in range(40):
        adwin = Adwin()
        called += any(adwin.update(value) is not None for value in errors(rng, 0.1, 300))
    assert called <= 2


def test_a_change_is_found_and_its_onset_named() -> None:
    rng = np.random.default_rng(2)
    delays, onsets = [], []
    for _ in range(10):
        adwin = Adwin()
        for at, value in enumerate(errors(rng, 0.1, 500) + errors(rng, 0.4, 600)):
            found = adwin.update(value)
            if found is not None and at >= 500:
                delays.append(at - 500)
                onsets.append(at + 1 - found[0] - 500)
                break
    assert len(delays) == 10
    assert np.median(delays) <= 120
    assert abs(np.median(onsets)) <= 40


def test_buckets_grow_with_the_logarithm_and_keep_the_mean() -> None:
    values = np.random.default_rng(3).random(2000)
    adwin = Adwin()
    for value in values:
        adwin.update(float(value))
    assert adwin.width <= 2000
    assert len(adwin.buckets) <= 6 * 12
    assert adwin.mean == pytest.approx(values[-adwin.width :].mean(), abs=1e-9)


def test_the_windows_of_a_monitor_tell_when_their_accuracy_fell() -> None:
    rng = np.random.default_rng(4)
    windows = []
    for number in range(120):
        value = (0.9 if number < 70 else 0.6) + rng.normal(0, 0.02)
        windows.append(
            Window(
                monitor="m",
                start=number * 1000,
                end=number * 1000 + 1000,
                model_version="1",
                rows=100,
                performance={"accuracy": Estimate(value=value)},
            )
        )
    (found,) = changes(windows)
    assert found.metric == "accuracy"
    assert 66_000 <= found.at <= 74_000
    assert found.before == pytest.approx(0.9, abs=0.03)
    assert found.after == pytest.approx(0.6, abs=0.06)
    assert changes(windows[:70]) == []


def test_a_latency_beyond_one_is_scaled_by_its_range() -> None:
    rng = np.random.default_rng(5)
    series = [(number, (20.0 if number < 100 else 60.0) + rng.normal(0, 3)) for number in range(160)]
    found = changed("p95", series)
    assert [change.metric for change in found] == ["p95"]
    assert 90 <= found[0].at <= 110
    assert changed("p95", []) == []


def test_quiet_windows_are_called_changed_no_oftener_than_asked() -> None:
    rng = np.random.default_rng(6)
    called = sum(bool(changed("auc", list(enumerate(rng.normal(0.8, 0.02, 150))))) for _ in range(60))
    assert called <= 3
