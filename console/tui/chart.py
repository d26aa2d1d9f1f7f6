"""Courses of metrics as lines over steps or time."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from console.safe import cell_length, cut, safe_text
from console.tui import trace
from console.tui.decimate import Point, extremes, segments
from console.tui.drawing import Drawing
from console.tui.fetch import Answer, Fetcher
from console.tui.glyphs import drawn, utf8_screen
from console.wording import number, thousands

COLORS = {
    "console-dark": ("#6cb6ff", "#e2b24a", "#b48ead", "#5fc98f", "#e88f5a", "#4fc3c7", "#e57fbd", "#a3b36b"),
    "console-light": ("#0757ad", "#8a5a00", "#6f42a8", "#14713a", "#a3470b", "#006d75", "#98257d", "#56641b"),
    "high-contrast": ("#56b4e9", "#e69f00", "#ffffff", "#00d3a0", "#f0e442", "#cc79a7"),
    "ansi": ("blue", "yellow", "magenta", "green", "cyan", "red"),
}
"""Hues of series. They mean nothing but which is which; the legend says it in words."""

ASCII_MARKERS = "*+o#%@"

BLANK, LEVEL, NAME = -1, -2, -3
"""Who owns a cell, where it is none of the series: nobody, a level, the name of one."""


@dataclass(frozen=True)
class Series:
    """One line: points in order of x. NaN is a gap."""

    name: str
    points: tuple[Point, ...]
    id: str = ""
    """What its colour belongs to: a run's id. The name, where there is none."""


@dataclass(frozen=True)
class Level:
    """A horizontal line to compare with: a threshold, a reference."""

    value: float
    name: str


def color_numbers(ids: Sequence[str], colors: int) -> list[int]:
    """A colour for each id: its own by hash, so that a run is drawn alike everywhere; where two share it, the
    later one takes the next that is free."""
    taken: set[int] = set()
    found = []
    for identity in ids:
        number_ = zlib.crc32(identity.encode("utf-8", "surrogatepass")) % colors
        if len(taken) < colors:
            while number_ in taken:
                number_ = (number_ + 1) % colors
        taken.add(number_)
        found.append(number_)
    return found


class Chart(Drawing):
    """Lines with a y axis, drawn anew only when `plot` brings other data."""

    DEFAULT_CSS = """
    Chart { height: 12; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._series: tuple[Series, ...] = ()
        self._levels: tuple[Level, ...] = ()
        self._title = ""
        self._log = False
        self._times = False
        self._error = ""
        self._loader = Fetcher(self, "plotext")
        self._loading = False
        self._traced: dict[tuple[object, ...], list[str]] = {}
        """Lines of the last picture: those whose dots are where they were are not traced again."""

    @property
    def series(self) -> tuple[Series, ...]:
        return self._series

    def plot(
        self,
        series: Sequence[Series],
        *,
        title: str = "",
        levels: Sequence[Level] = (),
        log: bool = False,
        times: bool = False,
    ) -> None:
        """Show these lines. `log` makes the y axis logarithmic where there is anything above zero; `times` says
        that x is in milliseconds of UTC."""
        wanted = (tuple(series), tuple(levels), title, log, times)
        if wanted == (self._series, self._levels, self._title, self._log, self._times):
            return
        self._series, self._levels, self._title, self._log, self._times = wanted
        self.paint()

    def on_mount(self) -> None:
        self.paint()

    def on_unmount(self) -> None:
        self._loader.close()

    def on_answer(self, answer: Answer) -> None:
        answer.question.settle()

    def drawn_lines(self, width: int, height: int) -> Sequence[Strip]:
        if self._error:
            return [self.ink.strip([(safe_text(self._error), "bad")], width)]
        if not any(s.points for s in self._series):
            return [self._heading(width), self.ink.strip([("no points yet", "dim")], width)]
        if not trace.ready():
            self._load()
            return [self._heading(width)]
        return picture(self, width, height)

    def _load(self) -> None:
        if self._loading:
            return
        self._loading = True

        def taken(_: object, error: Exception | None) -> None:
            if error is not None:
                self._error = f"the chart cannot be drawn: plotext does not load: {error}"
            self.paint()

        self._loader.ask(trace.load, taken)

    def _heading(self, width: int) -> Strip:
        """Title, then the name of each line in its colour."""
        parts = [Segment(safe_text(self._title, width), self.ink.style("head"))] if self._title else []
        left = width - sum(part.cell_length for part in parts)
        if len(self._series) > 1:
            for at, (series, style) in enumerate(zip(self._series, self.styles_of_series(), strict=True)):
                sign = "━" if utf8_screen() else ASCII_MARKERS[at % len(ASCII_MARKERS)]
                text = cut(drawn(f"  {sign} {safe_text(series.name, 24)}"), max(0, left))
                parts.append(Segment(text, style))
                left -= parts[-1].cell_length
        parts.append(Segment(" " * max(0, left), self.ink.style()))
        return Strip(parts).adjust_cell_length(width)

    def styles_of_series(self) -> list[Style]:
        hues = COLORS[self.ink.theme]
        ground = self.ink.style().bgcolor
        numbers = color_numbers([s.id or s.name for s in self._series], len(hues))
        return [Style(color=hues[n], bgcolor=None if ground is None else ground.name) for n in numbers]


def picture(chart: Chart, width: int, height: int) -> list[Strip]:
    """Heading, canvas with y axis, x axis."""
    lines = [segments(s.points) for s in chart._series]
    ys = [y for line in lines for part in line for _, y in part]
    xs = [x for line in lines for part in line for x, _ in part]
    log = chart._log and any(y > 0 for y in ys)
    if log:
        lines = [[[(x, math.log10(y)) for x, y in part if y > 0] for part in line] for line in lines]
        ys = [math.log10(y) for y in ys if y > 0]
    if not ys:
        return [chart._heading(width), chart.ink.strip([("no finite points yet", "dim")], width)]
    levels = [(math.log10(v.value) if log else v.value, v.name) for v in chart._levels if not log or v.value > 0]
    low, high = padded(min(ys + [v for v, _ in levels]), max(ys + [v for v, _ in levels]))
    left, right = min(xs), max(xs)
    rows = height - 3
    ticks = y_ticks(low, high, rows, log)
    margin = max((len(text) for text in ticks.values()), default=0)
    columns = width - margin - 1
    if rows < 2 or columns < 8:
        return [chart._heading(width), chart.ink.strip([("too small for a chart", "dim")], width)]

    right_dot, top_dot = trace.DOTS_X * columns - 1, trace.DOTS_Y * rows - 1
    span_x = right - left

    def dot(point: Point) -> Point:
        x = (point[0] - left) / span_x * right_dot if span_x > 0 else right_dot / 2
        return x, (point[1] - low) / (high - low) * top_dot

    cells: list[list[tuple[str, int]]] = [[(" ", BLANK)] * columns for _ in range(rows)]
    for value, name in levels:
        y = rows - 1 - int((value - low) / (high - low) * top_dot) // trace.DOTS_Y
        label = drawn(safe_text(name, columns // 2))
        cells[y] = [(drawn("╌"), LEVEL)] * columns
        if label and cell_length(label) == len(
            label
        ):  # a name in wide letters has no cell for each: the line goes bare
            cells[y][columns - len(label) :] = [(character, NAME) for character in label]
    kept: dict[tuple[object, ...], list[str]] = {}
    for at, line in enumerate(lines):
        dots = [[dot(p) for p in extremes(part, left, right, columns)] for part in line if part]
        marker = "braille" if utf8_screen() else ASCII_MARKERS[at % len(ASCII_MARKERS)]
        drawing = (tuple(map(tuple, dots)), columns, rows, marker)
        kept[drawing] = chart._traced.get(drawing) or trace.trace(dots, columns, rows, marker=marker)
        for y, row in enumerate(kept[drawing]):
            for x, character in enumerate(row):
                if (
                    character != " " and cells[y][x][1] != NAME
                ):  # a later line covers an earlier one, so that colours never mix in a cell
                    cells[y][x] = (character, at)
    chart._traced = kept
    styles = [*chart.styles_of_series(), chart.ink.style("warn"), chart.ink.style("warn"), chart.ink.style()]
    dim = chart.ink.style("dim")
    strips = [chart._heading(width)]
    for y in range(rows):
        text = drawn(f"{ticks.get(y, ''):>{margin}}" + ("┤" if y in ticks else "│"))
        strips.append(Strip([Segment(text, dim), *_runs(cells[y], styles)], width))
    strips.append(chart.ink.strip([(" " * margin + "└" + "─" * columns, "dim")], width))
    strips.append(chart.ink.strip([(" " * (margin + 1) + x_labels(left, right, columns, chart._times), "dim")], width))
    return strips


def _runs(cells: Sequence[tuple[str, int]], styles: Sequence[Style]) -> list[Segment]:
    """Neighbours of one colour as one segment; a blank takes the colour of what is before it, which nobody sees."""
    found: list[Segment] = []
    text, color = "", BLANK
    for character, wanted in cells:
        if character == " " or wanted == color or not text.strip():
            color = color if character == " " else wanted
            text += character
        else:
            found.append(Segment(text, styles[color]))
            text, color = character, wanted
    if text:
        found.append(Segment(text, styles[color]))
    return found


def padded(low: float, high: float) -> tuple[float, float]:
    """A range that is never empty and leaves a little air."""
    if high <= low:
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    pad = (high - low) * 0.03
    return low - pad, high + pad


def y_ticks(low: float, high: float, rows: int, log: bool) -> dict[int, str]:
    """Labels by row, three to five of them, with the digits that tell them apart."""
    wanted = max(2, min(5, rows // 3 + 1))
    places = {round(i * (rows - 1) / (wanted - 1)) for i in range(wanted)} if rows > 1 else {0}
    values = {row: high - (row + 0.5) / rows * (high - low) for row in places}
    if log:
        return {row: number(10**value, 3) for row, value in values.items()}
    step = (high - low) / max(1, wanted - 1)
    digits = max(0, min(8, 1 - math.floor(math.log10(step)))) if step > 0 else 2
    largest = max(abs(low), abs(high))
    if largest >= 1e5 or (largest and largest < 1e-4):
        return {row: f"{value:.2e}" for row, value in values.items()}
    return {row: f"{value:.{digits}f}" for row, value in values.items()}


def x_labels(left: float, right: float, columns: int, times: bool) -> str:
    """First, middle and last x under the axis."""
    if times:
        day = right - left >= 36 * 3_600_000
        form = "%d %b" if day else "%H:%M"
        names = [datetime.fromtimestamp(x / 1000).strftime(form) for x in (left, (left + right) / 2, right)]
    else:
        whole = left == int(left) and right == int(right)
        middle_x = (left + right) // 2 if whole and right - left > 1 else (left + right) / 2
        names = [thousands(int(x)) if x == int(x) else number(x) for x in (left, middle_x, right)]
    if right <= left:
        return names[0].center(columns)
    first, middle, last = names
    if len(first) + len(middle) + len(last) + 4 > columns:
        return first + last.rjust(columns - len(first))
    at = (columns - len(middle)) // 2
    return (first.ljust(at) + middle).ljust(columns - len(last)) + last
