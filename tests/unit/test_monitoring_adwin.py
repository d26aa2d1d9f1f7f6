"""ADWIN: calm while nothing changes, quick when something does, and the onset named."""

from __future__ import annotations

import numpy as np
import pytest

from backends.entities import Estimate, ServiceWindow, Window
from backends.entities.service import TIME_EDGES
from console.monitoring.happened import service_marks
from console.monitoring.marks import Happened
from console.monitoring.quality.adwin import Adwin, changed, changes, service_changes


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


def service(minute: int, seconds: np.ndarray, errors: int) -> ServiceWindow:
    at = np.searchsorted(TIME_EDGES, seconds)
    times = np.bincount(at, minlength=len(TIME_EDGES) + 1)
    return ServiceWindow(
        source="churn", start=minute * 60_000, end=(minute + 1) * 60_000, requests=len(seconds), errors=errors,
        times=tuple(int(count) for count in times),
    )  # fmt: skip


def served(minutes: int, seed: int, *, turn: int = 10**6, slower: float = 1.0, failing: float = 0.01) -> list:
    rng = np.random.default_rng(seed)
    found = []
    for minute in range(minutes):
        bad = minute >= turn
        seconds = rng.lognormal(-3, 0.6, rng.poisson(200)) * (slower if bad else 1.0)
        found.append(service(minute, seconds, int(rng.binomial(len(seconds), failing if bad else 0.01))))
    return found


def test_a_service_that_grows_slow_is_marked_where_it_turned_and_its_errors_are_not() -> None:
    windows = served(240, 1, turn=150, slower=2.5)
    windows[40] = service(40, np.full(200, 60.0), 2)  # one stall is no change
    found = [change for change in service_changes(windows) if change.metric == "service.p95"]
    assert len(found) == 1
    assert abs(found[0].at / 60_000 - 150) <= 8
    assert found[0].after / found[0].before == pytest.approx(2.5, rel=0.25)
    assert found[0].before == pytest.approx(np.exp(-3 + 0.6 * 1.645) * 1000, rel=0.15)
    assert not [change for change in service_changes(windows) if change.metric == "service.errors"]
    marks = service_marks(windows)
    assert {mark.what for mark in marks} == {Happened.SERVICE}
    assert any(mark.text.startswith("p95 ") and mark.text.endswith(" ms") for mark in marks)


def test_errors_that_rise_are_marked_and_a_quiet_service_is_left_alone() -> None:
    found = service_marks(served(240, 2, turn=120, failing=0.12))
    assert [mark.text.split()[0] for mark in found] == ["errors"]
    assert abs(found[0].at / 60_000 - 120) <= 8
    quiet = sum(bool(service_changes(served(120, 100 + seed))) for seed in range(40))
    assert quiet <= 2
    assert service_changes([ServiceWindow(source="churn", start=0, end=60_000)]) == []
