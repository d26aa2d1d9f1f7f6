"""A table's lines: its header, its rows, and the strips of rows that were drawn before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from rich.segment import Segment
from textual.strip import Strip

from console.tui.columns import GAP, Column, Placed, fitted, place, title_cell
from console.tui.glyphs import drawn
from console.tui.ink import Ink

R = TypeVar("R")

INDENT = 4
"""Cursor, mark and the blanks around them: `┃■  `."""

KEPT = 4000
"""Strips of rows; more than anybody scrolls through before the columns change."""


class RowPainter(Generic[R]):
    """Draws rows under columns that give way from the right. A row that reads as before is not drawn again."""

    def __init__(self, columns: Sequence[Column[R]]) -> None:
        self.columns: tuple[Column[R], ...] = tuple(columns)
        self.placed: tuple[Placed[R], ...] = ()
        self._strips: dict[tuple[str, int], tuple[R, Strip]] = {}
        self.passed = 0
        """Columns after the first that were scrolled past."""

    def lay_out(self, width: int) -> None:
        """Place the columns in so many cells."""
        self.passed = max(0, min(self.passed, len(self.columns) - 2))
        self.placed = place([*self.columns[:1], *self.columns[1 + self.passed :]], width, INDENT)
        self._strips.clear()

    def sideways(self, by: int) -> bool:
        """Scroll by columns. False where there is none on that side, or the table shows them all."""
        last = self.placed[-1].column if self.placed else None
        if by > 0 and (last is None or last == self.columns[-1]):
            return False
        before = self.passed
        self.passed = max(0, min(self.passed + by, len(self.columns) - 2))
        return self.passed != before

    def forget(self) -> None:
        """What was drawn reads differently by now: another theme, a later hour."""
        self._strips.clear()

    def header(self, ink: Ink, width: int, sort: str, descending: bool) -> Strip:
        parts = [" " * INDENT]
        for i, placed in enumerate(self.placed):
            mark = drawn("▼" if descending else "▲") if placed.column.key == sort else ""
            parts.append((GAP if i else "") + title_cell(placed.column, placed.width, mark))
        return Strip([Segment(fitted("".join(parts), width, False), ink.style("head"))], width)

    def row(self, ink: Ink, row: R, key: str, width: int, *, cursor: bool, marked: bool, focus: bool) -> Strip:
        """One line. `focus` says whether the table has the keyboard."""
        state = cursor + 2 * marked + 4 * (cursor and focus)
        cached = self._strips.get((key, state))
        if cached is not None and (cached[0] is row or cached[0] == row):
            return cached[1]
        if len(self._strips) >= KEPT:
            self._strips.clear()
        strip = self._draw(ink, row, width, cursor, marked, cursor and focus)
        self._strips[key, state] = (row, strip)
        return strip

    def _draw(self, ink: Ink, row: R, width: int, cursor: bool, marked: bool, lit: bool) -> Strip:
        style = ink.style("head" if cursor and not lit else "", cursor=lit)
        segments: list[Segment] = []
        # Cells of one colour grow together into one segment: each costs its colour codes on the wire.
        pending = drawn("┃" if cursor else " ") + drawn("■" if marked else " ") + "  "
        used = INDENT
        for i, placed in enumerate(self.placed):
            column = placed.column
            cell = fitted(column.cell(row), placed.width, column.right)
            tone = column.tone(row) if column.tone else ""
            gap = GAP if i else ""
            used += len(gap) + placed.width
            if tone:
                segments.append(Segment(pending + gap, style))
                segments.append(Segment(cell, ink.style(tone, cursor=lit)))
                pending = ""
            else:
                pending += gap + cell
        if used < width:
            pending += " " * (width - used)
        if pending:
            segments.append(Segment(pending, style))
        strip = Strip(segments, max(used, width))
        return strip if used <= width else strip.crop(0, width)
