"""Many columns together: quiet without drift, and what no single column shows is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backends.contract import Invalid
from console.monitoring.counted.columns import count_features
from console.monitoring.counted.counts import layout_of
from console.monitoring.counted.profile import Profile, build_profile
from console.monitoring.counted.windows import make_window
from console.monitoring.drift.multivariate import reconstruction, together


def rows_of(count: int, seed: int, *, turned: bool = False) -> pd.DataFrame:
    """Two numbers that go together (or against each other), one for itself, and a category tied to the first."""
    rng = np.random.default_rng(seed)
    both = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], count)
    if turned:
        both[:, 1] *= -1
    kind = np.where(both[:, 0] + rng.normal(0, 0.7, count) > 0, "high", "low")
    return pd.DataFrame({"a": both[:, 0], "b": both[:, 1] * 30 + 5, "c": rng.exponential(1, count), "kind": kind})


@pytest.fixture(scope="module")
def profile() -> Profile:
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    return build_profile(
        rows_of(5000, 1), scores, (rng.random(500) < scores).astype(int),
        task="classification", positive=1, classes=[0, 1],
    )  # fmt: skip


def test_a_turned_relation_is_seen_though_every_column_looks_as_before(profile: Profile) -> None:
    reference, turned = rows_of(2000, 2), rows_of(1000, 3, turned=True)
    layout = layout_of(profile)
    window = make_window("m", profile, layout, count_features(turned, profile, layout), start=0, end=1, version="1")
    assert [score.state for score in window.columns] == ["ok"] * 4
    found = together(profile, reference, turned)
    assert found.reconstruction.low is not None
    assert found.reconstruction.low > 0.3
    assert found.domain.low is not None
    assert found.domain.low > 0.7
    assert {name for name, _ in found.columns[:2]} == {"a", "b"} or found.columns[0][0] in ("a", "b")


def test_without_drift_the_components_rebuild_window_and_reference_alike() -> None:
    """At 95 % a quiet window lies outside its interval in 5 % of cases, within 1.5 points and the simulation's own
    error; a rise (the side that is alarmed) in 2.5 %."""
    above = outside = 0
    draws = 400
    rng = np.random.default_rng(5)
    mix = rng.normal(0, 1, (6, 6))
    for _ in range(draws):
        before, now = rng.normal(0, 1, (800, 6)) @ mix, rng.normal(0, 1, (300, 6)) @ mix
        found = reconstruction(before, now, rng)
        assert found.low is not None
        assert found.high is not None
        above += found.low > 0
        outside += found.low > 0 or found.high < 0
    assert outside / draws <= 0.05 + 0.015 + 2.5 * np.sqrt(0.05 * 0.95 / draws)
    assert above / draws <= 0.025 + 0.015 + 2.5 * np.sqrt(0.025 * 0.975 / draws)


def test_without_drift_the_classifier_tells_nothing_apart(profile: Profile) -> None:
    called = 0
    draws = 20
    for seed in range(draws):
        found = together(profile, rows_of(600, 100 + seed), rows_of(400, 900 + seed), seed=seed)
        assert found.domain.low is not None
        called += found.domain.low > 0.5
    # Nominal 2.5 %, 1.5 points, and what 20 draws add.
    assert called <= (0.04 + 2.5 * np.sqrt(0.025 * 0.975 / draws)) * draws


def test_a_shift_names_its_column(profile: Profile) -> None:
    shifted = rows_of(1000, 4)
    shifted["c"] *= 3
    found = together(profile, rows_of(2000, 2), shifted)
    assert found.columns[0][0] == "c"


def test_missing_text_and_strange_values_are_no_crash(profile: Profile) -> None:
    spoiled = rows_of(500, 6)
    spoiled.loc[:100, "a"] = np.nan
    spoiled.loc[101, "b"] = np.inf
    spoiled["kind"] = None
    spoiled["c"] = "text"
    found = together(profile, rows_of(500, 7), spoiled)
    assert np.isfinite(found.reconstruction.value)
    assert found.domain.value > 0.6


def test_too_little_is_said_so(profile: Profile) -> None:
    with pytest.raises(Invalid, match="the window has 50 sampled rows; 200 are needed"):
        together(profile, rows_of(500, 1), rows_of(50, 2))
    with pytest.raises(Invalid, match="fewer than two columns"):
        together(profile, rows_of(500, 1)[["a"]], rows_of(500, 2))
