"""What is in sight of a chart, its smoothing, what its crosshair reads."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.entities import MetricBucket, MetricSeries, Run, RunStatus
from console.axes import Across
from console.tui.chart_view import View
from console.tui.course import course, smoothed, steps_of

RUN = Run(id="r", name="r", experiment="e", status=RunStatus.FINISHED, created_at=0, started_at=1_000)


def series(values: list[float], every: int = 1000) -> MetricSeries:
    buckets = tuple(
        MetricBucket(first_step=x, last_step=x, low=y, high=y, last=y, count=1, at=1_000 + x * every)
        for x, y in enumerate(values)
    )
    return MetricSeries(run="r", key="loss", buckets=buckets, count=len(values))


@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1, max_size=60),
    st.sampled_from([0.6, 0.9, 0.99]),
)
def test_smoothing_is_the_moving_average_of_pandas(values: list[float], weight: float) -> None:
    ours = [y for _, y in smoothed([(float(x), y) for x, y in enumerate(values)], weight)]
    theirs = pd.Series(values).ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean().tolist()
    for value, mine, other in zip(values, ours, theirs, strict=True):
        if math.isnan(value):
            assert math.isnan(mine)  # a gap stays one, where pandas fills it
        else:
            assert mine == pytest.approx(other, rel=1e-9, abs=1e-6)


def test_smoothing_goes_round_and_axes_turn() -> None:
    view, seen = View(), []
    for _ in range(4):
        view = view.smoother()
        seen.append(view.smoothing)
    assert seen == [0.6, 0.9, 0.99, 0.0]
    zoomed = View(window=(1.0, 5.0)).other_axis()
    assert zoomed.across is Across.ELAPSED
    assert zoomed.window is None  # steps are no seconds
    assert View().with_log().with_log() == View()


def test_zoom_stays_around_what_is_looked_at_and_inside_of_what_there_is() -> None:
    extent = (0.0, 100.0)
    assert View().zoomed(extent, 2).window == (25.0, 75.0)
    assert View().zoomed(extent, 2, around=100.0).window == (50.0, 100.0)
    near = View().zoomed(extent, 2).zoomed(extent, 2)
    assert near.window == (37.5, 62.5)
    assert near.panned(extent, 0.5).window == (50.0, 75.0)
    assert near.panned(extent, 100).window == (75.0, 100.0)
    assert near.panned(extent, -100).window == (0.0, 25.0)
    assert near.zoomed(extent, 0.1).window is None
    assert View().panned(extent, 1).window is None


def test_zoom_ends_where_there_is_nothing_finer() -> None:
    view = View()
    for _ in range(40):
        view = view.zoomed((0.0, 100.0), 2)
    assert view.window == (49.0, 51.0)
    assert View().zoomed((3.0, 3.0), 2).window is None


def test_time_is_counted_from_the_start_of_the_run() -> None:
    line = course(series([1.0, 2.0, 3.0]), RUN, across=Across.ELAPSED)
    assert line.points == ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0))


def test_clock_that_was_set_back_gives_points_in_order_of_time() -> None:
    buckets = tuple(
        MetricBucket(first_step=x, last_step=x, low=x, high=x, last=x, count=1, at=at)
        for x, at in enumerate((1_000, 5_000, 3_000))
    )
    line = course(MetricSeries(run="r", key="a", buckets=buckets, count=3), RUN, across=Across.ELAPSED)
    assert [x for x, _ in line.points] == [0.0, 2.0, 4.0]


def test_crosshair_reads_the_last_measurement_and_nothing_outside_of_the_course() -> None:
    line = course(series([1.0, math.nan, 3.0]), RUN)
    assert line.at(0.0) == 1.0
    assert line.at(0.9) == 1.0
    assert math.isnan(line.at(1.0) or 0.0)
    assert line.at(2.0) == 3.0
    assert line.at(-1.0) is None
    assert line.at(2.5) is None


def test_steps_of_a_stretch_reach_one_bucket_further_on_each_side() -> None:
    found = series([float(x) for x in range(10)])
    assert steps_of(found, RUN, (3.0, 5.0), Across.STEP) == (2, 6)
    assert steps_of(found, RUN, (3.0, 5.0), Across.ELAPSED) == (2, 6)
    assert steps_of(found, RUN, (-5.0, 50.0), Across.STEP) == (0, 9)
