"""Charts, histograms and sparklines, as they stand on the screen."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult

from console.tui import trace
from console.tui.chart import Chart, Level, Series, color_numbers, y_ticks
from console.tui.drawing import Drawing
from console.tui.glyphs import utf8_screen
from console.tui.histogram import Histogram
from console.tui.sparkline import sparkline
from tests.hostile import HOSTILE


@pytest.fixture(autouse=True)
def utf8(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    utf8_screen.cache_clear()
    yield  # type: ignore[misc]
    utf8_screen.cache_clear()


class Bench(App[None]):
    def compose(self) -> ComposeResult:
        yield Chart()
        yield Histogram()


@asynccontextmanager
async def bench(size: tuple[int, int] = (60, 24)) -> AsyncIterator[Bench]:
    app = Bench()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app


def text_of(drawing: Drawing) -> list[str]:
    return ["".join(s.text for s in drawing.render_line(y)).rstrip() for y in range(drawing.size.height)]


async def drawn(chart: Chart) -> list[str]:
    end = time.monotonic() + 10
    while not trace.ready():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
    chart.paint()
    return text_of(chart)


def dots(lines: list[str]) -> int:
    return sum("\u2801" <= character <= "\u28ff" for line in lines for character in line)


def course(values: list[float], name: str = "run") -> Series:
    return Series(name, tuple((float(x), y) for x, y in enumerate(values)))


async def test_rising_course_goes_from_lower_left_to_upper_right() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        chart.plot([course([float(x) for x in range(100)])], title="auc")
        lines = await drawn(chart)
        assert lines[0] == "auc"
        first, last = lines[1], lines[-3]
        assert dots([first[-8:]])
        assert dots([last[:12]])
        assert not dots([first[:30]])
        assert lines[-1].split() == ["0", "49", "99"]


async def test_gap_stays_empty() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        values = [1.0 if x < 40 or x > 60 else math.nan for x in range(100)]
        chart.plot([course(values)])
        lines = await drawn(chart)
        body = [line.ljust(60)[8:] for line in lines[1:-2]]
        columns = ["".join(line[x] for line in body).strip("│┤ ") != "" for x in range(52)]
        assert columns[10]
        assert columns[45]
        assert not any(columns[23:29])


async def test_plotext_never_sees_a_number_that_is_not_finite() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        for values in (
            [math.nan] * 5,
            [math.inf, 1.0, -math.inf],
            [1e308, -1e308, 0.0],
            [5e-324, 0.0],
            [3.0],
            [2.0, 2.0],
            [],
        ):
            for log in (False, True):
                chart.plot([course(values, str(values))], log=log)
                assert await drawn(chart)


async def test_level_and_several_runs_are_named() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        chart.plot([course([1, 2, 3], "one"), course([3, 2, 1], "two")], title="auc", levels=[Level(1.2, "policy")])
        lines = await drawn(chart)
        assert "one" in lines[0]
        assert "two" in lines[0]
        assert any("policy" in line and "╌" in line for line in lines)


async def test_log_axis_labels_powers() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        chart.plot([course([10.0**-x for x in range(7)])], log=True)
        lines = await drawn(chart)
        assert dots([lines[1]])
        assert any("e-0" in line for line in lines)


async def test_same_data_draws_nothing_anew() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        chart.plot([course([1, 2, 3])])
        await drawn(chart)
        kept = chart._lines
        chart.plot([course([1, 2, 3])])
        assert chart._lines is kept


async def test_ascii_screen_gets_no_braille(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    utf8_screen.cache_clear()
    async with bench() as app:
        chart, histogram = app.query_one(Chart), app.query_one(Histogram)
        chart.plot([course([1, 2, 3, 2, 1])])
        histogram.show_bins([0, 1, 2], [1, 2], [2, 1])
        assert "".join(await drawn(chart)).isascii()
        assert "".join(text_of(histogram)).isascii()
        assert "*" in "".join(await drawn(chart))


async def test_histogram_shows_the_reference_behind_and_the_current_in_front() -> None:
    async with bench() as app:
        histogram = app.query_one(Histogram)
        histogram.show_bins([0, 10, 20, 30], [8, 2, 0], [0, 2, 8], title="temp", names=("training", "12 Apr"))
        lines = text_of(histogram)
        assert lines[0] == "temp  ░ training  █ 12 Apr"
        assert lines[1].startswith("░" * 20)
        assert lines[1].endswith("█" * 20)
        assert lines[-1].split() == ["0", "20", "30"]
        assert "12 Apr" not in "".join(lines[1:])


async def test_histogram_of_levels_says_both_shares() -> None:
    async with bench() as app:
        histogram = app.query_one(Histogram)
        histogram.show_levels(["AA", "[/red]"], [3, 1], [1, 1])
        lines = text_of(histogram)
        assert "75.0 →  50.0 %" in lines[1]
        assert lines[2].startswith("[/red]")


async def test_hostile_names_are_drawn_harmless() -> None:
    async with bench() as app:
        chart, histogram = app.query_one(Chart), app.query_one(Histogram)
        for name in HOSTILE.values():
            chart.plot([course([1, 2], name), course([2, 1], name + "2")], title=name, levels=[Level(1.5, name)])
            histogram.show_levels([name, "b"], [1, 2], [2, 1], title=name, names=(name, name))
            for line in (*await drawn(chart), *text_of(histogram)):
                assert line.isprintable()
            assert all(w.render_line(y).cell_length == 60 for w in (chart, histogram) for y in range(w.size.height))


def test_run_keeps_its_colour_and_no_two_share_one_while_there_are_enough() -> None:
    ids = [f"run-{n}" for n in range(8)]
    together = color_numbers(ids, 8)
    assert sorted(together) == list(range(8))
    assert color_numbers(ids[:1], 8)[0] == together[0]


def test_ticks_have_the_digits_that_tell_them_apart() -> None:
    assert len(set(y_ticks(0.7491, 0.7499, 12, False).values())) == len(y_ticks(0.7491, 0.7499, 12, False))


def test_sparkline_has_its_width_and_leaves_gaps() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6], 7) == "▁▂▃▄▅▆▇"
    assert sparkline([1, math.nan, None, 1], 6) == "▁  ▁  "
    assert sparkline([], 4) == "    "
    assert len(sparkline(list(range(100)), 10)) == 10
    assert sparkline([0.5], 1, low=0, high=1) == "▄"


def test_plotext_is_not_imported_with_the_chart() -> None:
    code = "import sys, console.tui.chart, console.tui.table; sys.exit(bool({'plotext', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
