"""A course drawn as text on the command line: gaps where values are not finite, names inert."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from backends.entities import MetricBucket, MetricSeries
from console.cli.chart_text import print_chart, segments

if TYPE_CHECKING:
    import pytest


def course(values: list[float]) -> MetricSeries:
    buckets = tuple(
        MetricBucket(first_step=at, last_step=at, low=value, high=value, last=value, count=1)
        for at, value in enumerate(values)
    )
    return MetricSeries(run="r", key="loss", buckets=buckets, count=len(values))


def test_what_is_not_finite_is_a_gap() -> None:
    found = segments(course([1.0, 2.0, math.nan, math.inf, 3.0]))
    assert found == [[(0.0, 1.0), (1.0, 2.0)], [(4.0, 3.0)]]
    assert segments(course([math.nan])) == []


def test_a_chart_fits_and_a_hostile_name_is_inert(capsys: pytest.CaptureFixture[str]) -> None:
    print_chart([("a\x1b]52;c;aGk=\x07", course([1.0, math.nan, 5.0, 2.0])), ("b", course([7.0]))])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "4 points, last 2" in said
    assert max(map(len, said.splitlines())) <= 80
    assert any("\u2800" < char <= "\u28ff" for char in said), "something is drawn"


def test_nothing_to_draw_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_chart([("a", course([math.nan]))])
    assert capsys.readouterr().err == "no finite points to draw\n"
