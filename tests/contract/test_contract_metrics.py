"""What every metric history promises."""

from __future__ import annotations

import math
import random
import time

import pytest

from backends.contract import Backend, Mutation, NotFound, RunStore
from backends.entities import MetricPoint

pytestmark = pytest.mark.needs("runs")


@pytest.fixture
def runs(backend: Backend) -> RunStore:
    if not backend.features.metric_history:
        pytest.skip("this backend keeps no course of metrics")
    assert backend.runs is not None
    return backend.runs


@pytest.fixture
def run(runs: RunStore, ann: Mutation) -> str:
    return runs.create(name="measured", mutation=ann).id


@pytest.fixture
def whole(backend: Backend) -> None:
    if not backend.features.whole_series:
        pytest.skip("this backend thins a long course to some of its points")


def log(runs: RunStore, run: str, steps: list[int], value: object = None, size: int = 500) -> None:
    measure = value if callable(value) else float
    for start in range(0, len(steps), size):
        runs.log_points(
            run,
            [MetricPoint(key="loss", value=measure(step), step=step, at=step) for step in steps[start : start + size]],
        )


def test_a_short_course_comes_back_point_by_point(runs: RunStore, run: str) -> None:
    log(runs, run, [1, 2, 3])
    series = runs.series(run, "loss")
    assert series.count == 3
    assert [(b.first_step, b.last_step, b.low, b.high, b.last, b.count, b.at) for b in series.buckets] == [
        (step, step, step, step, step, 1, step) for step in (1, 2, 3)
    ]


def test_a_metric_that_was_never_logged_has_no_course(runs: RunStore, run: str) -> None:
    assert runs.series(run, "nothing").buckets == ()
    with pytest.raises(NotFound):
        runs.series("0" * 32, "loss")


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("size", [1_000, 12_345, 60_000])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_long_course_is_cut_truthfully(runs: RunStore, run: str, size: int, shuffled: bool) -> None:
    steps = list(range(size))
    if shuffled:
        random.Random(7).shuffle(steps)

    def value(step: int) -> float:
        return math.sin(step / 50) + (100 if step == size // 3 else 0)

    log(runs, run, steps, value, size=3_000)
    series = runs.series(run, "loss", buckets=200)
    assert series.count == size
    assert 100 <= len(series.buckets) <= 200
    assert sum(bucket.count for bucket in series.buckets) == size
    assert (series.buckets[0].first_step, series.buckets[-1].last_step) == (0, size - 1)
    assert series.buckets[-1].last == value(size - 1)
    for before, after in zip(series.buckets, series.buckets[1:], strict=False):
        assert before.last_step < after.first_step
    for bucket in series.buckets:
        inside = [value(step) for step in range(bucket.first_step, bucket.last_step + 1)]
        assert (bucket.low, bucket.high, bucket.last) == (min(inside), max(inside), inside[-1])
        assert bucket.count == len(inside)


@pytest.mark.usefixtures("whole")
def test_a_part_of_the_course_can_be_asked_for(runs: RunStore, run: str) -> None:
    log(runs, run, list(range(20_000)))
    series = runs.series(run, "loss", buckets=50, first_step=5_001, last_step=9_000)
    assert series.count == 4_000
    assert (series.buckets[0].first_step, series.buckets[-1].last_step) == (5_001, 9_000)
    assert (series.buckets[0].low, series.buckets[-1].high) == (5_001, 9_000)


@pytest.mark.usefixtures("whole")
def test_a_run_that_went_back_to_a_checkpoint_keeps_both_tries(runs: RunStore, run: str) -> None:
    log(runs, run, list(range(5_000)))
    log(runs, run, list(range(3_000, 7_000)), lambda step: -step)
    series = runs.series(run, "loss", buckets=10_000)
    assert series.count == 9_000
    at_4000 = [bucket.last for bucket in series.buckets if bucket.first_step <= 4_000 <= bucket.last_step]
    assert at_4000 == [4_000, -4_000]
    assert [b.first_step for b in series.buckets] == sorted(b.first_step for b in series.buckets)
    assert runs.get(run).metrics == {"loss": -6_999}


def test_gaps_are_buckets_of_their_own(runs: RunStore, run: str) -> None:
    log(runs, run, list(range(10)), lambda step: math.nan if 3 <= step < 6 else step)
    buckets = runs.series(run, "loss").buckets
    assert [math.isnan(bucket.last) for bucket in buckets] == [3 <= step < 6 for step in range(10)]
    assert math.isnan(buckets[4].low)
    assert math.isnan(buckets[4].high)


@pytest.mark.usefixtures("whole")
def test_gaps_stay_visible_in_a_long_course(runs: RunStore, run: str) -> None:
    log(runs, run, list(range(30_000)), lambda step: math.nan if 10_000 <= step < 12_000 or step % 7 == 0 else 1.0)
    series = runs.series(run, "loss", buckets=100)
    assert len(series.buckets) <= 100
    assert series.count == 30_000
    assert sum(bucket.count for bucket in series.buckets) == 30_000
    numbers = [bucket for bucket in series.buckets if not math.isnan(bucket.last)]
    assert not any(bucket.first_step >= 10_100 and bucket.last_step < 11_900 for bucket in numbers)
    assert all(bucket.low == bucket.high == 1.0 for bucket in numbers)


def test_infinities_are_kept(runs: RunStore, run: str) -> None:
    log(runs, run, [1, 2], lambda step: math.inf if step == 1 else -math.inf)
    assert [bucket.last for bucket in runs.series(run, "loss").buckets] == [math.inf, -math.inf]
    assert runs.get(run).metrics["loss"] == -math.inf


def test_the_latest_value_is_that_of_the_highest_step(runs: RunStore, run: str) -> None:
    log(runs, run, [5])
    log(runs, run, [3])
    assert runs.get(run).metrics == {"loss": 5.0}
    runs.log_points(
        run, [MetricPoint(key="loss", value=9, step=5, at=5), MetricPoint(key="loss", value=10, step=5, at=5)]
    )
    assert runs.get(run).metrics == {"loss": 10.0}
    log(runs, run, [6], lambda _: math.nan)
    assert math.isnan(runs.get(run).metrics["loss"])


@pytest.mark.usefixtures("whole")
def test_a_metric_without_steps_keeps_its_arrivals(runs: RunStore, run: str) -> None:
    for start in range(0, 5_000, 1_000):
        runs.log_points(run, [MetricPoint(key="loss", value=start + n, step=0) for n in range(1_000)])
    series = runs.series(run, "loss")
    assert series.count == 5_000
    assert (series.buckets[-1].last, series.buckets[0].low, series.buckets[-1].high) == (4_999, 0, 4_999)


def test_single_points_add_up(runs: RunStore, run: str) -> None:
    log(runs, run, list(range(300)), size=1)
    series = runs.series(run, "loss")
    assert [bucket.last for bucket in series.buckets] == [float(step) for step in range(300)]


def test_a_line_of_output_is_heard_and_samples_of_the_machine_are_not(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    runs.start(run)
    at = time.time_ns() // 1_000_000
    runs.log_points(run, [MetricPoint(key="system/run_processes", value=1.0, at=at)])
    assert runs.get(run).heard_at is None
    runs.hear(run, at + 60_000)
    assert runs.get(run).heard_at == at + 60_000
    runs.log_points(run, [MetricPoint(key="loss", value=1.0, step=1, at=at + 90_000)])
    assert (runs.get(run).heard_at or 0) >= at + 60_000
