"""The picture of a chart: heading, canvas with y axis, x axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.strip import Strip

from console import trace
from console.axes import padded, x_labels, y_ticks
from console.safe import cell_length, safe_text
from console.tui.decimate import Point, extremes, segments, within
from console.tui.glyphs import drawn, utf8_screen

if TYPE_CHECKING:
    from rich.style import Style

    from console.tui.chart import Chart

ASCII_MARKERS = "*+o#%@"

MARGIN = 8
"""Cells of the y axis, roughly: what is told before it is drawn."""

BLANK, LEVEL, NAME, CROSS, BAND, MARK = -1, -2, -3, -4, -5, -6
"""Who owns a cell, where it is none of the series: nobody, a level, the name of one, the crosshair, the band around a
line, a mark."""


@dataclass(frozen=True)
class Level:
    """A horizontal line to compare with: a threshold, a reference."""

    value: float
    name: str


@dataclass(frozen=True)
class Stroke:
    """A vertical line where something happened, under its letter."""

    x: float
    letter: str


Ribbon = tuple[tuple[float, float, float], ...]
"""x, low and high of an interval around a line, in order of x; NaN is a gap."""


def columns_of(_: Chart, width: int) -> int:
    """About how many columns the canvas has."""
    return max(1, width - MARGIN)


def picture(chart: Chart, width: int, height: int) -> list[Strip]:
    """The lines of the chart in at most `height` rows of `width` cells."""
    plot = chart.plotted
    heading = chart.heading(width)
    shown = [series.smooth or series.points for series in plot.series]
    behind = len(shown) == 1 and bool(plot.series[0].smooth)
    if behind:
        shown.insert(0, plot.series[0].points)
    window = plot.view.window
    lines = [segments(points) for points in shown]
    if window is not None:
        lines = [[within(part, *window) for part in line] for line in lines]
    log = plot.view.log and any(y > 0 for line in lines for part in line for _, y in part)
    if log:
        lines = [[piece for part in line for piece in _logarithms(part)] for line in lines]
    lines = [[part for part in line if part] for line in lines]
    ys = [y for line in lines for part in line for _, y in part]
    if not ys:
        nothing = "nothing was measured in this stretch: 0 shows all" if window else "no finite points yet"
        return [*heading, chart.ink.strip([(nothing, "dim")], width)]
    levels = [(math.log10(v.value) if log else v.value, v.name) for v in plot.levels if not log or v.value > 0]
    around = [edge for _, *edges in plot.band for edge in edges if math.isfinite(edge)] if not log else []
    marked = [*ys, *around, *(v for v, _ in levels)]
    low, high = padded(min(marked), max(marked))
    ends = [x for line in lines for part in line for x in (part[0][0], part[-1][0])]
    left, right = window or (min(ends), max(ends))
    rows = height - 2 - len(heading)
    ticks = y_ticks(low, high, rows, log)
    margin = max((len(text) for text in ticks.values()), default=0)
    columns = width - margin - 1
    if rows < 2 or columns < 8:
        return [*heading[:1], chart.ink.strip([("too small for a chart", "dim")], width)]

    top_dot = trace.DOTS_Y * rows - 1
    scale_x = (trace.DOTS_X * columns - 1) / (right - left) if right > left else 0.0
    span_y = high - low
    middle = 0.0 if scale_x else float(columns)
    cells: list[list[tuple[str, int]]] = [[(" ", BLANK)] * columns for _ in range(rows)]
    if not log:
        _lay_band(cells, plot.band, (left, scale_x, middle), (low, span_y, top_dot))
    for stroke in plot.marks:
        if left <= stroke.x <= right:
            at = min(columns - 1, int((stroke.x - left) * scale_x + middle + 0.5) // trace.DOTS_X)
            for row in cells:
                row[at] = (drawn("┊"), MARK)
            cells[0][at] = (drawn(stroke.letter), MARK)
    if chart.crosshair is not None and left <= chart.crosshair <= right:
        at = int((chart.crosshair - left) * scale_x + middle + 0.5) // trace.DOTS_X
        for row in cells:
            row[at] = (drawn("│"), CROSS)
    for value, name in levels:
        y = rows - 1 - int((value - low) / span_y * top_dot) // trace.DOTS_Y
        label = drawn(safe_text(name, columns // 2))
        cells[y] = [(drawn("╌"), LEVEL)] * columns
        # A name in wide letters has no cell for each: the line goes bare.
        if label and cell_length(label) == len(label):
            cells[y][columns - len(label) :] = [(character, NAME) for character in label]
    kept: dict[tuple[object, ...], list[trace.Cell]] = {}
    for at, line in enumerate(lines):
        dots = [
            [
                ((x - left) * scale_x + middle, (y - low) / span_y * top_dot)
                for x, y in extremes(part, left, right, trace.DOTS_X * columns)
            ]
            for part in line
        ]
        marker = "braille" if utf8_screen() else ASCII_MARKERS[at % len(ASCII_MARKERS)]
        drawing = (tuple(map(tuple, dots)), columns, rows, marker)
        found = chart.traced.get(drawing)
        kept[drawing] = found = trace.trace(dots, columns, rows, marker=marker) if found is None else found
        # A later line covers an earlier one, so that colours never mix in a cell.
        for y, x, character in found:
            if cells[y][x][1] != NAME and not (y == 0 and cells[y][x][1] == MARK):
                cells[y][x] = (character, at)
    chart.traced = kept
    own = chart.styles_of_series()
    if behind:
        own.insert(0, chart.faint(own[0]))
    dim = chart.ink.style("dim")
    warn = chart.ink.style("warn")
    shade = chart.faint(own[0]) if own else dim
    # From the end: BLANK, LEVEL, NAME, CROSS, BAND, MARK.
    styles = [*own, chart.ink.style(), shade, chart.ink.style("accent"), warn, warn, chart.ink.style()]
    strips = heading
    for y in range(rows):
        text = drawn(f"{ticks.get(y, ''):>{margin}}" + ("┤" if y in ticks else "│"))
        strips.append(Strip([Segment(text, dim), *_runs(cells[y], styles)], width))
    strips.append(chart.ink.strip([(drawn(" " * margin + "└" + "─" * columns), "dim")], width))
    labels = x_labels(left, right, columns, plot.view.across)
    strips.append(chart.ink.strip([(" " * (margin + 1) + labels, "dim")], width))
    return strips


def _lay_band(
    cells: list[list[tuple[str, int]]],
    band: Ribbon,
    across: tuple[float, float, float],
    upwards: tuple[float, float, float],
) -> None:
    """Shade what lies between the edges, straight between neighbours. across: left, dots per x, offset; upwards: low,
    span, the topmost dot."""
    left, scale, offset = across
    low, span, top = upwards
    rows, columns = len(cells), len(cells[0])

    def dots(x: float) -> float:
        return (x - left) * scale + offset

    for (x0, a0, b0), (x1, a1, b1) in zip(band, band[1:] or band, strict=False):
        if not all(map(math.isfinite, (a0, b0, a1, b1))):
            continue
        first, last = dots(x0) / trace.DOTS_X, dots(x1) / trace.DOTS_X
        for at in range(max(0, int(first)), min(columns - 1, int(last)) + 1):
            share = min(1.0, max(0.0, (at - first) / (last - first))) if last > first else 0.0
            below, above = a0 + (a1 - a0) * share, b0 + (b1 - b0) * share
            lowest = rows - 1 - int((below - low) / span * top) // trace.DOTS_Y
            highest = rows - 1 - int((above - low) / span * top) // trace.DOTS_Y
            for y in range(max(0, highest), min(rows - 1, lowest) + 1):
                cells[y][at] = (drawn("░"), BAND)


def _logarithms(part: Sequence[Point]) -> list[list[Point]]:
    """What is above zero; the rest is a gap, for a line over it would say that something was measured there."""
    found: list[list[Point]] = [[]]
    for x, y in part:
        if y > 0:
            found[-1].append((x, math.log10(y)))
        elif found[-1]:
            found.append([])
    return found


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
