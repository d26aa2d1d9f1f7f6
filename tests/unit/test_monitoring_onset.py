"""When it began: found where it is, with an interval that holds, and not found where nothing began."""

from __future__ import annotations

import numpy as np

from console.monitoring.reasons.onset import Point, find_onset


def noisy(rng: np.random.Generator, windows: int, change: int, step: float) -> list[Point]:
    means = np.where(np.arange(windows) >= change, 0.5 + step, 0.5)
    return [Point(number, float(rng.normal(mean, 0.03)), 300.0) for number, mean in enumerate(means)]


def test_the_onset_is_found_within_its_interval_and_no_change_is_none() -> None:
    rng = np.random.default_rng(5)
    hits = certain = 0
    for _ in range(200):
        found = find_onset(noisy(rng, 60, 40, 0.06), "log loss")
        assert found is not None
        certain += found.certain
        hits += found.earliest <= 40 <= found.latest
        assert abs(found.start - 40) <= 12 or not found.certain
    assert certain >= 190
    assert hits >= 180
    calm = [find_onset(noisy(rng, 60, 60, 0.0), "log loss") for _ in range(400)]
    assert sum(found.certain for found in calm if found is not None) <= 12
    better = find_onset(noisy(rng, 60, 40, -0.2), "log loss")
    assert better is not None
    assert not better.certain


def test_a_series_too_short_has_no_certain_onset() -> None:
    assert find_onset([], "drift") is None
    found = find_onset([Point(5, 0.1, 1.0), Point(6, 0.9, 1.0)], "drift")
    assert found is not None
    assert (found.start, found.certain, found.before) == (5, False, None)
