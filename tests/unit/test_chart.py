"""Charts, histograms and sparklines, as they stand on the screen."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult

from console.axes import y_ticks
from console.trace import trace
from console.tui.chart import Chart, color_numbers
from console.tui.chart_view import View
from console.tui.course import Series
from console.tui.drawing import Drawing
from console.tui.glyphs import utf8_screen
from console.tui.histogram import Histogram
from console.tui.picture import Level
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


async def test_numbers_that_are_not_finite_are_drawn_as_gaps() -> None:
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
                chart.plot([course(values, str(values))], view=View(log=log))
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
        chart.plot([course([10.0**-x for x in range(7)])], view=View(log=True))
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


def test_no_plotting_library_is_imported_with_the_chart() -> None:
    code = "import sys, console.tui.chart, console.tui.table; sys.exit(bool({'plotext', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def measured(values: list[float], name: str) -> Series:
    points = tuple((float(x), y) for x, y in enumerate(values))
    return Series(name, points, readings=points)


async def test_crosshair_reads_every_line_and_leaves_the_keyboard_where_it_was() -> None:
    app = Bench()
    async with app.run_test(size=(60, 24)) as pilot:
        chart = app.query_one(Chart)
        chart.plot([measured([1.0, 2.125, 3.0], "one"), measured([5.0, math.nan, 7.25], "two")], title="auc")
        assert not chart.can_focus
        chart.read()
        await pilot.pause()
        assert "step 1" in text_of(chart)[0]
        assert "one" in "".join(text_of(chart)[:2])
        assert "2.12" in "".join(text_of(chart)[:2])
        assert "NaN" in "".join(text_of(chart)[:2])
        await pilot.press("right")
        assert "step 2" in text_of(chart)[0]
        assert "7.25" in "".join(text_of(chart)[:2])
        await pilot.press("right")
        assert "step 2" in text_of(chart)[0]
        await pilot.press("home")
        assert "step 0" in text_of(chart)[0]
        await pilot.press("escape")
        assert chart.crosshair is None
        assert "step" not in text_of(chart)[0]
        assert app.focused is None


async def test_zoom_draws_the_stretch_and_says_so() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        chart.plot([course([0.0] * 50 + [1.0] * 50)], view=View(window=(60.0, 80.0)))
        lines = await drawn(chart)
        assert "60 … 80" in lines[0]
        assert lines[-1].split() == ["60", "70", "80"]
        assert dots(lines) > 20
        chart.plot([course([0.0] * 50)], view=View(window=(60.0, 80.0)))
        assert "nothing was measured in this stretch" in "".join(await drawn(chart))


async def test_smoothed_line_covers_the_raw_one_only_where_they_meet() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        raw = tuple((float(x), float(x % 2)) for x in range(40))
        flat = tuple((x, 0.5) for x, _ in raw)
        chart.plot([Series("run", raw, smooth=flat)], view=View(smoothing=0.9))
        await drawn(chart)
        colors = {s.style.color for y in range(2, 8) for s in chart.render_line(y) if dots([s.text]) and s.style}
        assert len(colors) == 2
        chart.plot([Series("run", raw, smooth=flat), Series("two", raw, smooth=flat)], view=View(smoothing=0.9))
        assert dots([(await drawn(chart))[1]]) == 0  # of several runs only the smoothed lines are drawn


async def test_what_is_not_above_zero_is_a_gap_on_a_log_axis() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        chart.plot([course([1.0] * 40 + [0.0] * 20 + [1.0] * 40)], view=View(log=True))
        lines = await drawn(chart)
        body = [line.ljust(60)[8:] for line in lines[1:-2]]
        assert not any(dots([line[23:29]]) for line in body)


async def test_legend_of_many_runs_takes_rows_and_says_what_it_leaves_out() -> None:
    async with bench() as app:
        chart = app.query_one(Chart)
        chart.plot([measured([1.0, 2.0], f"a-long-name-of-run-{n}") for n in range(8)], title="auc")
        lines = await drawn(chart)
        assert "a-long-name" in lines[1]
        assert any("more" in line for line in lines[1:4]) or sum("a-long" in line for line in lines) >= 2


def test_colours_do_not_depend_on_the_order_of_the_marks() -> None:
    ids = [f"run-{n}" for n in range(8)]
    there = dict(zip(ids, color_numbers(ids, 8), strict=True))
    back = dict(zip(ids[::-1], color_numbers(ids[::-1], 8), strict=True))
    assert there == back


def test_line_touches_every_column_between_its_ends() -> None:
    cells = trace([[(0.0, 0.0), (99.0, 39.0)]], 50, 10)
    assert {x for _, x, _ in cells} == set(range(50))
    assert {y for y, _, _ in cells} == set(range(10))
    assert trace([[(0.0, 0.0)]], 4, 2) == [(1, 0, "⡄")]
    assert trace([], 4, 2) == []
