"""Windows merged into longer stretches: counts add up to the row, and what is kept is what merging gives."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from backends.contract import Backend
from backends.entities import Estimate, Monitor, Window
from console.monitoring.counted.columns import count_features
from console.monitoring.counted.counting import add_scores, count_scores
from console.monitoring.counted.counts import layout_of, unpack
from console.monitoring.counted.profile import Profile, build_profile
from console.monitoring.counted.windows import make_window
from console.monitoring.ranges import ALL, bounds, by_stretch, merge_windows, merged, profile_of, stretches
from console.monitoring.read import Look, monitor_view
from console.monitoring.rolled import level_name, read_stretches, roll_up
from tests.monitored import FEATURES, WHO, deliveries, traffic

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
BEGIN = bounds("week", 1_700_000_000_000)[0]


@pytest.fixture(scope="module")
def profile() -> Profile:
    rows = traffic(1500, 1)
    labels = rows["late"].to_numpy()
    rng = np.random.default_rng(0)
    scores = np.clip(rng.random(1500) * 0.5 + 0.4 * (labels == "yes"), 0, 1)
    return build_profile(rows[FEATURES], scores, labels, task="classification", positive="yes", classes=["no", "yes"])


def window_at(profile: Profile, start: int, length: int, rows: int, seed: int, *, shift: float = 0.0) -> Window:
    frame = traffic(rows, seed, shift=shift)
    layout = layout_of(profile)
    counts = count_features(frame[FEATURES], profile, layout)
    targets = (frame["late"] == "yes").to_numpy().astype(float)
    scores = np.clip(np.random.default_rng(seed).random(rows) * 0.5 + 0.4 * targets, 0, 1)
    found, sums = count_scores(scores, targets, profile.score, profile.task, profile.scale)
    counts = add_scores(counts, layout, found, sums)
    return make_window("m", profile, layout, counts, start=start, end=start + length, version="1")


def test_stretches_offered_are_the_own_kind_and_all_longer_ones() -> None:
    assert stretches("minute") == ("minute", "hour", "day", "week", "all")
    assert stretches("day") == ("day", "week", "all")
    assert stretches("batch") == ("batch", "day", "week", "all")


def test_a_week_begins_on_monday_midnight() -> None:
    import datetime as dt

    start = dt.datetime.fromtimestamp(bounds("week", 1_700_000_000_000)[0] / 1000, dt.UTC)
    assert (start.weekday(), start.hour, start.minute) == (0, 0, 0)


def test_windows_merged_are_the_window_of_all_their_rows(profile: Profile) -> None:
    parts = [window_at(profile, BEGIN + i * MINUTE, MINUTE, 60 + i, i) for i in range(5)]
    whole = merge_windows(parts, profile, start=BEGIN, end=BEGIN + HOUR)
    assert whole is not None
    counts = merged(parts)
    assert counts is not None
    again = make_window("m", profile, layout_of(profile), counts, start=BEGIN, end=BEGIN + HOUR, version="1")
    assert whole.rows == sum(part.rows for part in parts) == again.rows
    assert whole.columns == again.columns
    assert whole.performance == again.performance
    assert list(unpack(whole.counts).cells) == list(counts.cells)


def test_of_two_versions_in_a_stretch_the_newer_one_counts(profile: Profile) -> None:
    old, new = (window_at(profile, BEGIN + i * MINUTE, MINUTE, 80, i) for i in range(2))
    new = msgspec.structs.replace(new, model_version="2")
    whole = merge_windows([old, new], profile, start=BEGIN, end=BEGIN + HOUR)
    assert whole is not None
    assert (whole.model_version, whole.rows) == ("2", 80)


def test_figures_that_are_no_counts_are_averaged_by_rows(profile: Profile) -> None:
    def with_bias(window: Window, value: float) -> Window:
        bias = {"carrier.parity": Estimate(value=value, low=value - 0.2, high=value + 0.2, n=window.rows)}
        return msgspec.structs.replace(window, bias=bias, label_lag=value * 100)

    parts = [
        with_bias(window_at(profile, BEGIN, MINUTE, 100, 1), 0.1),
        with_bias(window_at(profile, BEGIN + MINUTE, MINUTE, 300, 2), 0.5),
    ]
    whole = merge_windows(parts, profile, start=BEGIN, end=BEGIN + HOUR)
    assert whole is not None
    found = whole.bias["carrier.parity"]
    assert found.value == pytest.approx(0.4)
    assert found.n == 400
    assert found.low is not None
    assert found.value - 0.2 < found.low < found.value  # more rows, a narrower interval
    assert whole.label_lag == pytest.approx(40)


def test_all_of_it_is_one_stretch(profile: Profile) -> None:
    parts = [window_at(profile, BEGIN + i * 9 * DAY, DAY, 50, i) for i in range(3)]
    assert [len(found) for found in by_stretch(parts, ALL).values()] == [3]
    assert [len(found) for found in by_stretch(parts, "week").values()] == [1, 1, 1]


def test_a_window_held_against_itself_has_not_moved(profile: Profile) -> None:
    window = window_at(profile, BEGIN, DAY, 800, 3, shift=2.0)
    assert next(score for score in window.columns if score.column == "weight").psi > 0.25
    counts = unpack(window.counts)
    same = make_window(
        "m", profile_of(profile, counts), layout_of(profile), counts, start=BEGIN, end=BEGIN + DAY, version="1"
    )
    assert all(score.psi == pytest.approx(0.0, abs=1e-9) for score in same.columns)
    assert same.reference["auc"] == pytest.approx(window.performance["auc"].value)


# ---------------------------------------------------------------- kept beside the minutes


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, Profile]]:
    from console.monitoring.reference import read_profile

    backend = deliveries(tmp_path_factory.mktemp("rolled") / "w")
    found = read_profile(backend, backend.need("registry").version("deliveries", "@champion"))
    yield backend, found
    backend.close()


def fill(backend: Backend, profile: Profile, name: str, hours: int) -> Monitor:
    """Five minutes in each hour, the last hour still filling."""
    store = backend.need("monitors")
    monitor: Monitor = store.put(Monitor(name=name, model="deliveries", window="minute"), WHO)
    seeds = [window_at(profile, 0, MINUTE, 40 + seed, seed) for seed in range(5)]
    for hour in range(hours):
        for minute, made in enumerate(seeds):
            start = BEGIN + hour * HOUR + minute * MINUTE
            store.add_window(msgspec.structs.replace(made, monitor=name, start=start, end=start + MINUTE))
    return monitor


def test_what_has_ended_is_kept_and_what_fills_is_merged_when_read(watched: tuple[Backend, Profile]) -> None:
    backend, profile = watched
    store = backend.need("monitors")
    monitor = fill(backend, profile, "kept", 30)
    roll_up(backend, monitor)
    hours = store.windows("kept", segment=level_name("hour"))
    assert len(hours) == 29
    assert len(store.windows("kept", segment=level_name("day"))) == 1
    assert store.windows("kept", segment=level_name("week")) == ()
    read = read_stretches(store, monitor, "hour", profile=profile)
    assert sum(window.rows for window in read) == sum(window.rows for window in store.windows("kept"))
    days = read_stretches(store, monitor, "day", profile=profile)
    assert [window.rows for window in days] == [24 * 210, 6 * 210]
    assert store.get("kept").rows == 30 * 210  # the kept ones are no rows of their own
    assert roll_up(backend, monitor) == 0  # nothing has ended since


def test_late_labels_make_anew_what_they_lie_in(watched: tuple[Backend, Profile]) -> None:
    backend, profile = watched
    store = backend.need("monitors")
    monitor = fill(backend, profile, "late", 30)
    roll_up(backend, monitor)
    start = BEGIN + 3 * HOUR
    (changed,) = store.windows("late", since=start, until=start + 1)
    more = window_at(profile, start, MINUTE, 500, 9)
    more = msgspec.structs.replace(more, monitor="late")
    store.add_window(more)
    roll_up(backend, monitor, [more])
    (hour,) = store.windows("late", since=start, until=start + HOUR, segment=level_name("hour"))
    (day,) = store.windows("late", segment=level_name("day"))
    assert hour.rows == 210 - changed.rows + 500
    assert day.rows == 24 * 210 - changed.rows + 500


def test_the_view_shows_stretches_of_the_past_against_the_one_before(watched: tuple[Backend, Profile]) -> None:
    backend, profile = watched
    fill(backend, profile, "viewed", 30)
    newest = monitor_view(backend, "viewed", look=Look(stretch="hour"))
    assert newest.last
    assert len(newest.windows) == 30
    past = monitor_view(backend, "viewed", look=Look(stretch="hour", at=BEGIN + 2 * HOUR, previous=True))
    assert past.newest is not None
    assert (past.newest.start, past.newest.rows, past.last) == (BEGIN + 2 * HOUR, 210, False)
    assert past.against == "the hour before"
    assert past.reference_rows == 210
    assert all(score.psi == pytest.approx(0.0, abs=1e-9) for score in past.newest.columns)
    everything = monitor_view(backend, "viewed", look=Look(stretch="all"))
    assert everything.newest is not None
    assert everything.newest.rows == 30 * 210
