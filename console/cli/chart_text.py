"""A metric's course as text, for a terminal without the console and for a log. plotext draws it."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterable, Sequence

from backends.entities import MetricSeries
from console.cli.output import coloured, narrate
from console.safe import safe_text

HEIGHT = 18
WIDEST = 160
NARROW = 80


def print_chart(courses: Sequence[tuple[str, MetricSeries]]) -> None:
    """(name, course) drawn over each other. What is not finite is a gap."""
    lines = [part for _, series in courses for part in segments(series)]
    heads = []
    for name, series in courses:
        last = series.buckets[-1].last if series.buckets else math.nan
        heads.append(f"{safe_text(name, 60)}  {series.count} points, last {last:.6g}")
    draw_lines(heads, lines)


def draw_lines(heads: Sequence[str], lines: Sequence[Sequence[tuple[float, float]]]) -> None:
    """Finite stretches of (x, y) over each other, under what they are."""
    if not any(lines):
        narrate("no finite points to draw")
        return
    import plotext  # 0.2 s: only here

    width = min(shutil.get_terminal_size((NARROW, HEIGHT)).columns, WIDEST) if sys.stdout.isatty() else NARROW
    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, HEIGHT)
    for part in lines:
        # A NaN among its points would end the process (6.1.0): each stretch is a line of its own.
        xs, ys = [x for x, _ in part], [y for _, y in part]
        signal = figure.signal(xs, ys, marker="braille")
        signal.lines(len(xs) > 1)
        figure.draw(signal)
    text = figure.build().string(colorless=not coloured())
    for head in heads:
        sys.stdout.write(f"{head}\n")
    sys.stdout.write(text.rstrip("\n") + "\n")


def segments(series: MetricSeries) -> list[list[tuple[float, float]]]:
    """The finite stretches of a course, as (step, value)."""
    return stretches((float(bucket.last_step), bucket.last) for bucket in series.buckets)


def stretches(points: Iterable[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """The parts of a line between its gaps, which are what is not finite."""
    found: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if math.isfinite(y):
            found[-1].append((x, y))
        elif found[-1]:
            found.append([])
    return [part for part in found if part]
