"""Faults named within one window of 1 000 rows; and nothing named where nothing happened. By simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backends.entities import ColumnScore, MonitorState, Window
from console.monitoring.counted.columns import count_features
from console.monitoring.counted.counts import layout_of
from console.monitoring.counted.profile import Profile, build_profile
from console.monitoring.counted.windows import make_window

ROWS = 1000
SEEDS = 40


def rows_of(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "temp": rng.normal(55, 18, count),  # °F
            "distance": rng.lognormal(6.5, 0.7, count),  # miles
            "delay": rng.exponential(12, count).round(),
            "hour": rng.integers(5, 24, count).astype(float),
            "pressure": rng.normal(1017, 7, count),
            "fare": rng.gamma(3, 60, count),
            "origin": rng.choice(["EWR", "JFK", "LGA"], count, p=[0.36, 0.33, 0.31]),
            "carrier": rng.choice(["UA", "B6", "EV", "DL", "AA"], count, p=[0.3, 0.2, 0.2, 0.2, 0.1]),
        }
    )


@pytest.fixture(scope="module")
def profile() -> Profile:
    rng = np.random.default_rng(0)
    scores = rng.random(2000)
    labels = (rng.random(2000) < scores).astype(int)
    return build_profile(
        rows_of(20_000, 1000), scores, labels, task="classification", positive=1, classes=[0, 1], seed=0
    )


def window_of(profile: Profile, frame: pd.DataFrame) -> Window:
    layout = layout_of(profile)
    return make_window(
        "m", profile, layout, count_features(frame, profile, layout), start=0, end=3_600_000, version="1"
    )


def score(window: Window, column: str) -> ColumnScore:
    return next(found for found in window.columns if found.column == column)


def half_missing(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[::2], "temp"] = np.nan


def new_category(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[:20], "carrier"] = "ZZ"


def celsius(frame: pd.DataFrame) -> None:
    frame["temp"] = (frame["temp"] - 32) * 5 / 9


def kilometres(frame: pd.DataFrame) -> None:
    frame["distance"] *= 1.609344


def thousandfold(frame: pd.DataFrame) -> None:
    frame["pressure"] *= 1000


def seconds(frame: pd.DataFrame) -> None:
    frame["delay"] *= 60


def swap(frame: pd.DataFrame) -> None:
    frame[["fare", "temp"]] = frame[["temp", "fare"]].to_numpy()


def swap_names(frame: pd.DataFrame) -> None:
    frame[["origin", "carrier"]] = frame[["carrier", "origin"]].to_numpy()


def stuck(frame: pd.DataFrame) -> None:
    frame["pressure"] = frame["pressure"].iloc[0]


def stuck_from_the_middle_on(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[400:], "fare"] = frame["fare"].iloc[400]


@pytest.mark.parametrize(
    ("spoil", "column", "fault", "said"),
    [
        (half_missing, "temp", "missing", "50 % missing"),
        (new_category, "carrier", "new level", "ZZ"),
        (celsius, "temp", "unit change", "°F to °C"),
        (kilometres, "distance", "unit change", "1.60934"),
        (thousandfold, "pressure", "unit change", "beyond the range"),
        (seconds, "delay", "unit change", ""),
        (swap, "fare", "swapped", "looks like temp"),
        (swap, "temp", "swapped", "looks like fare"),
        (swap_names, "origin", "swapped", "looks like carrier"),
        (stuck, "pressure", "stuck", "stands still"),
        (stuck_from_the_middle_on, "fare", "stuck", "stands still"),
    ],
)
def test_a_fault_is_named_within_one_window(profile: Profile, spoil, column: str, fault: str, said: str) -> None:
    named = others = 0
    for seed in range(SEEDS):
        frame = rows_of(ROWS, seed)
        spoil(frame)
        window = window_of(profile, frame)
        found = score(window, column)
        named += found.fault == fault and said in found.reason and found.state is not MonitorState.OK
        touched = {
            column,
            *({"temp", "fare"} if spoil is swap else ()),
            *({"origin", "carrier"} if spoil is swap_names else ()),
        }
        others += sum(1 for each in window.columns if each.fault and each.column not in touched)
    assert named >= 0.95 * SEEDS
    assert others <= 0.01 * SEEDS * 7


def test_no_fault_is_named_where_nothing_happened(profile: Profile) -> None:
    for rows in (50, 250, ROWS):
        windows = [window_of(profile, rows_of(rows, 5000 + seed)) for seed in range(100)]
        named = sum(1 for window in windows for each in window.columns if each.fault)
        assert named <= 0.01 * sum(len(window.columns) for window in windows)


def test_a_shift_is_drift_and_no_fault(profile: Profile) -> None:
    """A warm month, dearer fares, one airport closed: far from the reference, and nothing is wrong with the values."""
    for seed in range(SEEDS):
        frame = rows_of(ROWS, seed)
        frame["temp"] += 25
        frame["fare"] *= 1.25
        frame = frame[frame["origin"] != "JFK"]
        window = window_of(profile, frame)
        assert score(window, "temp").fault in ("", "outside")  # the warmest few never were
        assert [score(window, name).fault for name in ("fare", "origin")] == ["", ""]
        assert score(window, "temp").state is MonitorState.FIRING


def test_a_season_that_crowds_the_last_cell_is_no_sensor_that_stands_still(profile: Profile) -> None:
    """Cells are of equal share in the reference, so the last one is wide: a warm week fills it, and goes beyond it."""
    for seed in range(SEEDS):
        frame = rows_of(ROWS, seed)
        frame["temp"] = np.random.default_rng(seed).normal(125, 6, ROWS)
        found = score(window_of(profile, frame), "temp")
        assert found.fault != "stuck", found.reason


def test_a_dry_week_is_no_other_unit() -> None:
    """Where most values are zero, fewer of the others is what every smaller unit would look like."""
    rng = np.random.default_rng(4)
    rain = pd.DataFrame({"rain": np.where(rng.random(20_000) < 0.75, 0.0, rng.gamma(0.7, 0.2, 20_000).round(2))})
    scores = rng.random(20_000)
    labels = (rng.random(20_000) < scores).astype(int)
    wet = build_profile(rain, scores, labels, task="classification", positive=1, classes=[0, 1], seed=0)
    for share in (0.0, 0.01):
        dry = pd.DataFrame({"rain": np.where(rng.random(ROWS) < 1 - share, 0.0, 0.02)})
        assert score(window_of(wet, dry), "rain").fault != "unit change"
    shower = pd.DataFrame({"rain": np.where(rng.random(ROWS) < 0.75, 0.0, rng.gamma(0.7, 0.2, ROWS)) * 25.4})
    assert score(window_of(wet, shower), "rain").state is not MonitorState.OK
