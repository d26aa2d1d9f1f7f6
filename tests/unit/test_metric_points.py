"""Cells over points: cut into buckets column by column, and still what each bucket's points are."""

from __future__ import annotations

import math
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from backends.contract import Mutation
from backends.entities import MetricPoint
from backends.local import open_local
from backends.local.points import (
    CHUNK,
    buckets,
    cells,
    columns,
    in_order,
    over,
    pack_cells,
    put_together,
    unpack_columns,
)

values = st.floats(allow_nan=True, allow_infinity=True)
advances = st.integers(0, 40)


@given(st.lists(st.tuples(advances, values), min_size=1, max_size=400), st.integers(1, 9), st.integers(2, 60))
def test_each_bucket_tells_of_its_own_points_and_none_is_lost(
    found: list[tuple[int, float]], width: int, most: int
) -> None:
    steps = list(accumulate(step for step, _ in found))
    points = in_order(steps, steps, [value for _, value in found])
    cut = buckets(columns(cells(points, width)), most)
    assert len(cut) <= most
    numbers = [bucket for bucket in cut if not math.isnan(bucket.last)]
    gaps = [bucket for bucket in cut if math.isnan(bucket.last)]
    measured = [(step, value) for step, value in zip(steps, points.values, strict=True) if not math.isnan(value)]
    assert sum(bucket.count for bucket in numbers) == len(measured)
    assert sum(bucket.count for bucket in gaps) == len(found) - len(measured)
    at = 0
    for bucket in sorted(numbers, key=lambda bucket: (bucket.first_step, bucket.last_step)):
        own = measured[at : at + bucket.count]
        at += bucket.count
        assert (bucket.first_step, bucket.last_step) == (own[0][0], own[-1][0])
        assert (bucket.low, bucket.high) == (min(v for _, v in own), max(v for _, v in own))
        assert bucket.last == own[-1][1]


@given(st.lists(st.lists(st.tuples(advances, values), min_size=1, max_size=30), min_size=1, max_size=6))
def test_stretches_that_overlap_are_put_in_order(parts: list[list[tuple[int, float]]]) -> None:
    made = []
    for part in parts:
        steps = list(accumulate(step for step, _ in part))
        made.append(cells(in_order(steps, steps, [value for _, value in part]), 4))
    whole = put_together([unpack_columns(pack_cells(part)) for part in made])
    wanted = sorted((cell for part in made for cell in part), key=lambda cell: cell.first)
    assert pack_cells(wanted) == pack_cells(over([type(wanted[0])(*fields)]) for fields in zip(*whole, strict=True))


def test_a_course_cut_from_the_summaries_of_chunks_holds_every_point(tmp_path: object) -> None:
    size, most = 40 * CHUNK + 700, 20

    def value(step: int) -> float:
        return math.nan if 9_000 <= step < 9_100 else math.inf if step == 50_000 else float(step * 31 % 1_009)

    backend = open_local(tmp_path)  # type: ignore[arg-type]
    runs = backend.need("runs")
    run = runs.create(name="long", mutation=Mutation("ann@box")).id
    points = [MetricPoint(key="loss", value=value(step), step=step, at=step) for step in range(size)]
    for start in range(0, size, 50_000):
        runs.log_points(run, points[start : start + 50_000])
    for first, last in ((None, None), (3_000, size - 900)):
        series = runs.series(run, "loss", buckets=most, first_step=first, last_step=last)
        low, high = first or 0, size - 1 if last is None else last
        assert series.count == sum(bucket.count for bucket in series.buckets) == high - low + 1
        assert sum(bucket.count for bucket in series.buckets if math.isnan(bucket.last)) == 100
        for bucket in series.buckets:
            if not math.isnan(bucket.last):
                inside = [v for step in range(bucket.first_step, bucket.last_step + 1) if (v := value(step)) == v]
                assert (bucket.low, bucket.high, bucket.count) == (min(inside), max(inside), len(inside))
    # What comes long after its time lies in between all the rest.
    runs.log_points(run, [MetricPoint(key="loss", value=-1.0, step=step, at=size) for step in range(0, size, 100)])
    series = runs.series(run, "loss", buckets=most)
    assert series.count == sum(bucket.count for bucket in series.buckets) == size + len(range(0, size, 100))
    assert {bucket.low for bucket in series.buckets if not math.isnan(bucket.last)} == {-1.0}
    backend.close()
