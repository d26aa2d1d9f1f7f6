"""Lines on a canvas of characters, drawn by plotext.

plotext gets finite numbers only, as dots of the canvas, and a fixed range: a NaN among its points ends the whole
process (`std::bad_alloc` in its kernel, 6.1.0), and it spends 12 ms on a thousand points. Axes, labels and colours
are ours. Its figure is one for the process: draw on the event loop only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

DOTS_X = 2
DOTS_Y = 4
"""Dots of a braille character."""

_figure: Any = None


def ready() -> bool:
    """Whether plotext is loaded; its import takes 0.2 s and belongs into a thread."""
    return _figure is not None


def load() -> None:
    """Import plotext, in whatever thread."""
    global _figure
    import plotext  # 0.2 s: only once something is drawn

    _figure = plotext.figure


def trace(
    lines: Sequence[Sequence[tuple[float, float]]], columns: int, rows: int, *, marker: str = "braille"
) -> list[str]:
    """`rows` strings of `columns` characters with the lines on them, blanks elsewhere.

    Coordinates are dots of the canvas, 0 … 2·columns-1 and 0 … 4·rows-1 from the lower left; others are moved to
    its edge.
    """
    right, top = DOTS_X * columns - 1, DOTS_Y * rows - 1
    figure = _figure
    figure.clear()
    figure.plot_size(columns, rows)
    figure.axes(False)
    for axis, limit in (("x", right), ("y", top)):
        for side in (0, 1):
            figure.ruler(axis, side).ticks([])
        figure.ruler(axis).lim(0, limit)
    for line in lines:
        xs = [min(right, max(0.0, x)) for x, _ in line]
        ys = [min(top, max(0.0, y)) for _, y in line]
        if len(xs) == 1:  # a lone point would be one dot: make it visible
            xs, ys = [xs[0], xs[0]], [max(0.0, ys[0] - 1), min(top, ys[0] + 1)]
        signal = figure.signal(xs, ys, marker=marker)
        signal.lines(True)
        figure.draw(signal)
    text = figure.build().string(colorless=True) if lines else ""
    found = [row[:columns].ljust(columns) for row in text.split("\n")[:rows]]
    return [row.replace("\u2800", " ") for row in found] + [" " * columns] * (rows - len(found))
