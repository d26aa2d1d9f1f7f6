"""Two distributions over the same cells: the reference behind (░), the current one in front (█)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.strip import Strip  # noqa: TC002

from console.safe import safe_text
from console.tui.columns import fitted
from console.tui.drawing import Drawing
from console.tui.glyphs import drawn
from console.wording import number

if TYPE_CHECKING:
    from console.monitoring.drift.histograms import Histogram as Found

EIGHTHS = " ▁▂▃▄▅▆▇█"


class Histogram(Drawing):
    """Bars by bin for a number, by level for a category. Both sides are drawn as shares, so their sizes do not
    matter."""

    DEFAULT_CSS = """
    Histogram { height: 12; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._title = ""
        self._names = ("reference", "current")
        self._labels: tuple[str, ...] = ()
        self._edges: tuple[float, ...] = ()
        self._reference: tuple[float, ...] = ()
        self._current: tuple[float, ...] = ()
        self._text: Callable[[float], str] = number

    def show_bins(
        self,
        edges: Sequence[float],
        reference: Sequence[float],
        current: Sequence[float],
        *,
        title: str = "",
        names: tuple[str, str] = ("reference", "current"),
        text: Callable[[float], str] = lambda edge: number(edge, 3),
    ) -> None:
        """A number: counts or shares of shape (bins,) each, edges of shape (bins + 1,); infinite outer edges are
        fine. `text` says an edge."""
        self._text = text
        self._set(title, names, (), tuple(edges), tuple(reference), tuple(current))

    def show_levels(
        self,
        labels: Sequence[str],
        reference: Sequence[float],
        current: Sequence[float],
        *,
        title: str = "",
        names: tuple[str, str] = ("reference", "current"),
    ) -> None:
        """A category: counts or shares of shape (levels,) each."""
        self._set(title, names, tuple(labels), (), tuple(reference), tuple(current))

    def show_found(self, found: Found, title: str, names: tuple[str, str]) -> None:
        """What monitoring found of a column: a number by its edges, a category by its levels."""
        if found.edges:
            self.show_bins(found.edges, found.reference, found.current, title=title, names=names)
        else:
            self.show_levels(found.bars, found.reference, found.current, title=title, names=names)

    def _set(
        self,
        title: str,
        names: tuple[str, str],
        labels: tuple[str, ...],
        edges: tuple[float, ...],
        reference: tuple[float, ...],
        current: tuple[float, ...],
    ) -> None:
        wanted = (title, names, labels, edges, shares(reference), shares(current))
        before = (self._title, self._names, self._labels, self._edges, self._reference, self._current)
        if wanted != before:
            (self._title, self._names, self._labels, self._edges, self._reference, self._current) = wanted
            self.paint()

    def on_mount(self) -> None:
        self.paint()

    def drawn_lines(self, width: int, height: int) -> Sequence[Strip]:
        heading = self.ink.strip(
            [
                (safe_text(self._title), "head"),
                ("  ░ ", "dim"),
                (safe_text(self._names[0], 24), "dim"),
                ("  █ ", "accent"),
                (safe_text(self._names[1], 24), "accent"),
            ],
            width,
        )
        if not self._reference and not self._current:
            return [heading, self.ink.strip([("nothing to compare yet", "dim")], width)]
        body = self._levels(width, height - 1) if self._labels else self._bins(width, height - 1)
        return [heading, *body]

    def _bins(self, width: int, height: int) -> list[Strip]:
        bins = max(len(self._reference), len(self._current))
        rows = height - 2
        if rows < 2 or bins == 0:
            return [self.ink.strip([("too small for a histogram", "dim")], width)]
        each = max(1, width // bins)
        reference, current = _squeezed(self._reference, width), _squeezed(self._current, width)
        top = max([*reference, *current]) or 1.0
        strips = []
        for row in range(rows):
            floor = rows - 1 - row
            spans: list[tuple[str, str]] = []
            for behind, front in zip(reference, current, strict=True):
                eighths = min(8, max(0, round((front / top * rows - floor) * 8)))
                covered = behind / top * rows - floor >= 0.5
                if eighths == 8 or (eighths and not covered):
                    spans.append((EIGHTHS[eighths] * each, "accent"))
                elif eighths:
                    # A part of a cell cannot lie over a shade: whichever fills more of it is shown.
                    spans.append(("█" * each, "accent") if eighths >= 4 else ("░" * each, "dim"))
                else:
                    spans.append((("░" if covered else " ") * each, "dim" if covered else ""))
            strips.append(self.ink.strip(spans, width))
        shown = min(width, each * len(reference))
        strips.append(self.ink.strip([("─" * shown, "dim")], width))
        strips.append(self.ink.strip([(_edge_labels(self._edges, shown, self._text), "dim")], width))
        return strips

    def _levels(self, width: int, height: int) -> list[Strip]:
        order = sorted(range(len(self._labels)), key=lambda i: -max(self._reference[i], self._current[i]))
        more = len(order) - height
        shown = order if more <= 0 else order[: max(1, height - 1)]
        label = min(max(len(safe_text(self._labels[i], 16)) for i in shown), max(6, width // 4))
        cells = max(4, width - label - 18)
        top = max([*self._reference, *self._current]) or 1.0
        strips = []
        for i in shown:
            behind, front = round(self._reference[i] / top * cells), round(self._current[i] / top * cells)
            text = f" {self._reference[i] * 100:5.1f} → {self._current[i] * 100:5.1f} %"
            strips.append(
                self.ink.strip(
                    [
                        (fitted(self._labels[i], label, False) + " ", ""),
                        ("█" * front, "accent"),
                        ("░" * max(0, behind - front), "dim"),
                        (" " * (cells - max(behind, front)), ""),
                        (drawn(text), "dim"),
                    ],
                    width,
                )
            )
        if more > 0:
            strips.append(self.ink.strip([(f"and {len(order) - len(shown)} more levels", "dim")], width))
        return strips


def shares(counts: Sequence[float]) -> tuple[float, ...]:
    """Counts as shares of their sum; what is not finite counts as nothing."""
    known = [c if math.isfinite(c) and c > 0 else 0.0 for c in counts]
    total = sum(known)
    return tuple(c / total for c in known) if total else tuple(known)


def _squeezed(values: Sequence[float], width: int) -> list[float]:
    """More bins than cells: neighbours are added up."""
    if len(values) <= width:
        return list(values)
    found = [0.0] * width
    for i, value in enumerate(values):
        found[i * width // len(values)] += value
    return found


def _edge_labels(edges: Sequence[float], cells: int, text: Callable[[float], str]) -> str:
    finite = [e for e in edges if math.isfinite(e)]
    if len(finite) < 2:
        return ""
    first, middle, last = text(finite[0]), text(finite[len(finite) // 2]), text(finite[-1])
    if len(first) + len(middle) + len(last) + 2 > cells:
        return first + last.rjust(max(0, cells - len(first)))
    at = (cells - len(middle)) // 2
    return (first.ljust(at) + middle).ljust(cells - len(last)) + last
