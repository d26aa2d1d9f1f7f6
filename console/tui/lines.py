"""A scrolling list of toned lines, some of which can hold the cursor: what is not a table is one of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView

from console.safe import cell_length
from console.tui import ink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual import events
    from textual.strip import Strip


@dataclass(frozen=True)
class Line:
    """One line. With a key the cursor can stand on it; `value` is what it stands for."""

    spans: ink.Spans
    key: str = ""
    value: object = None


def text_lines(lines: Iterable[str], tone: str = "") -> list[Line]:
    return [Line([(line, tone)]) for line in lines]


def wrapped(text: str, width: int, tone: str = "", indent: str = "") -> list[Line]:
    """A sentence over as many lines as it needs."""
    return [Line([(indent + row, tone)]) for row in folded(text, max(8, width) - len(indent))]


def folded(text: str, width: int) -> list[str]:
    """A sentence in rows of at most `width` cells, at spaces where there are any."""
    width = max(2, width)  # a glyph may take two cells
    if text.isascii():
        import textwrap

        return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    from rich.cells import chop_cells

    rows, row = [], ""
    for word in text.split():
        for piece in chop_cells(word, width) if cell_length(word) > width else (word,):
            if row and cell_length(row) + 1 + cell_length(piece) > width:
                rows.append(row)
                row = ""
            row = f"{row} {piece}" if row else piece
    return [*rows, row] if row or not rows else rows


class LineList(ScrollView, can_focus=True):
    """Lines by the line API. The cursor follows the key of its line through every change of the lines."""

    DEFAULT_CSS = """
    LineList { height: 1fr; scrollbar-size: 0 1; overflow-x: hidden; overflow-y: auto; background: $background; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "up", id="list.up", show=False, tooltip="One line up."),
        Binding("down,j", "step(1)", "down", id="list.down", show=False, tooltip="One line down."),
        Binding("pageup,ctrl+b", "page(-1)", "page up", id="list.page_up", show=False, tooltip="One page up."),
        Binding("pagedown,ctrl+f", "page(1)", "page down", id="list.page_down", show=False, tooltip="One page down."),
        Binding("home,g", "edge(-1)", "top", id="list.home", show=False, tooltip="To the first line."),
        Binding("end,G", "edge(1)", "end", id="list.end", show=False, tooltip="To the last line."),
    ]

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, lines: LineList, line: Line | None) -> None:
            super().__init__()
            self.lines = lines
            self.line = line

        @property
        def control(self) -> LineList:
            return self.lines

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: tuple[Line, ...] = ()
        self._at = -1
        self.empty: ink.Spans = ()
        """Shown where there are no lines."""

    @property
    def lines(self) -> tuple[Line, ...]:
        return self._lines

    @property
    def current(self) -> Line | None:
        """The line under the cursor."""
        return self._lines[self._at] if 0 <= self._at < len(self._lines) else None

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Show these lines. Only rows that changed are written again; the cursor stays on its key."""
        new = tuple(lines)
        if new == self._lines:
            return
        old, held = self._lines, self.current
        self._lines = new
        self._at = self._find(held.key if held else "")
        self.virtual_size = Size(self.size.width, len(new))
        top = int(self.scroll_y)
        if len(old) != len(new):
            self.refresh()
        else:
            for y in range(top, min(top + self.size.height, len(new))):
                if old[y] != new[y]:
                    self._refresh_row(y)
        found = self.current
        if (found.key if found else "") != (held.key if held else "") or (found and held and found.value != held.value):
            self.post_message(self.Moved(self, found))

    def select(self, key: str) -> bool:
        """Put the cursor on the line with this key, if there is one."""
        for index, line in enumerate(self._lines):
            if line.key and line.key == key:
                self._move(index)
                return True
        return False

    def to_end(self) -> None:
        """Show the last lines."""
        self.scroll_to(y=max(0, len(self._lines) - self.size.height), animate=False)

    @property
    def at_end(self) -> bool:
        return int(self.scroll_y) + self.size.height >= len(self._lines)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._lines))

    def _find(self, key: str) -> int:
        first = -1
        for index, line in enumerate(self._lines):
            if not line.key:
                continue
            if line.key == key:
                return index
            if first < 0 or (self._at >= 0 and index <= self._at):
                first = index  # the neighbour above where the cursor was, when its own line went
        return first

    def _refresh_row(self, y: int) -> None:
        top = int(self.scroll_y)
        if top <= y < top + self.size.height:
            self.refresh(Region(0, y - top, self.size.width, 1))

    def _move(self, index: int) -> None:
        if index == self._at:
            return
        before, self._at = self._at, index
        if before >= 0:
            self._refresh_row(before)
        self._refresh_row(index)
        top, height = int(self.scroll_y), max(1, self.size.height)
        if index < top:
            # The headings above the first line that takes the cursor come into view with it.
            first = next((i for i, line in enumerate(self._lines) if line.key), 0)
            self.scroll_to(y=0 if index <= first else index, animate=False)
        elif index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False)
        self.post_message(self.Moved(self, self.current))

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor where it can stand."""
        index = int(self.scroll_y) + event.y
        if 0 <= index < len(self._lines) and self._lines[index].key:
            self._move(index)

    def action_step(self, by: int) -> None:
        if self._at < 0:
            self.scroll_relative(y=by, animate=False)
            return
        index = self._at + by
        while 0 <= index < len(self._lines):
            if self._lines[index].key:
                self._move(index)
                return
            index += by
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        height = max(1, self.size.height - 1)
        if self._at < 0:
            self.scroll_relative(y=by * height, animate=False)
            return
        self._nearest(self._at + by * height, by)

    def action_edge(self, by: int) -> None:
        if self._at < 0:
            self.scroll_to(y=0 if by < 0 else len(self._lines), animate=False)
            return
        self._nearest(0 if by < 0 else len(self._lines) - 1, by)

    def _nearest(self, wanted: int, by: int) -> None:
        held = [index for index, line in enumerate(self._lines) if line.key]
        if not held:
            return
        ahead = [i for i in held if i <= wanted] if by > 0 else [i for i in held if i >= wanted]
        self._move((max(ahead) if by > 0 else min(ahead)) if ahead else (held[0] if by > 0 else held[-1]))

    def render_line(self, y: int) -> Strip:
        drawing: ink.Ink = self.app.ink  # type: ignore[attr-defined]
        width = self.scrollable_content_region.width  # beside a scroll bar
        index = int(self.scroll_y) + y
        if index >= len(self._lines):
            spans = self.empty if not self._lines and y == min(1, self.size.height - 1) else ()
            return drawing.strip(spans, width)
        line = self._lines[index]
        if not line.key:
            return drawing.strip(line.spans, width)
        here = index == self._at
        lead = ("┃ ", "accent") if here else ("  ", "")
        return drawing.strip((lead, *line.spans), width, cursor=here)

    def text(self) -> str:
        """What it holds, for a screen reader or a file."""
        rows = [ink.plain(line.spans) if not line.key else "  " + ink.plain(line.spans) for line in self._lines]
        return "\n".join(row.rstrip() for row in rows) or ink.plain(self.empty)
