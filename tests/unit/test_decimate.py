"""Fewer points, the same picture."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from backends.entities import MetricBucket, MetricSeries, Run, RunStatus
from console.tui.course import course
from console.tui.decimate import extremes, segments, within

finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=1, max_size=2000), st.integers(1, 80))
def test_no_column_keeps_more_than_two_points_and_none_loses_its_extremes(values: list[float], columns: int) -> None:
    points = [(float(x), y) for x, y in enumerate(values)]
    high = float(max(1, len(values) - 1))
    kept = extremes(points, 0.0, high, columns)
    if len(points) > 2 * columns:
        assert len(kept) <= 2 * columns

    def by_column(found: list[tuple[float, float]]) -> dict[int, list[float]]:
        cells: dict[int, list[float]] = {}
        for x, y in found:
            cells.setdefault(min(columns - 1, int(x * (columns / high))), []).append(y)
        return cells

    before, after = by_column(points), by_column(kept)
    assert before.keys() == after.keys()
    for column, ys in before.items():
        assert (min(after[column]), max(after[column])) == (min(ys), max(ys))
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)


def test_what_is_not_a_number_is_a_gap() -> None:
    points = [(0.0, 1.0), (1.0, math.nan), (2.0, 3.0), (3.0, math.inf), (4.0, 5.0), (5.0, 6.0)]
    assert segments(points) == [[(0.0, 1.0)], [(2.0, 3.0)], [(4.0, 5.0), (5.0, 6.0)]]


def test_bucket_is_drawn_as_its_range_and_ends_near_its_last_value() -> None:
    bucket = MetricBucket(first_step=10, last_step=19, low=0.2, high=0.9, last=0.25, count=10)
    single = MetricBucket(first_step=20, last_step=20, low=0.5, high=0.5, last=0.5, count=1)
    gap = MetricBucket(first_step=21, last_step=21, low=math.nan, high=math.nan, last=math.nan, count=1)
    run = Run(id="r", name="r", experiment="e", status=RunStatus.FINISHED, created_at=0)
    points = course(MetricSeries(run="r", key="auc", buckets=(bucket, single, gap), count=12), run).points
    assert points[:3] == ((10.0, 0.9), (19.0, 0.2), (20.0, 0.5))
    assert math.isnan(points[3][1])


def test_line_goes_on_to_the_edge_of_the_stretch_in_sight() -> None:
    points = [(0.0, 0.0), (10.0, 10.0), (20.0, 0.0)]
    assert within(points, 5.0, 15.0) == [(5.0, 5.0), (10.0, 10.0), (15.0, 5.0)]
    assert within(points, 2.0, 4.0) == [(2.0, 2.0), (4.0, 4.0)]
    assert within(points, -5.0, 25.0) == points
    assert within(points, 30.0, 40.0) == []
