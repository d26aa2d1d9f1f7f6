"""A log of any length, followed as it grows. Only a few chunks of it are ever in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import events  # noqa: TC002
from textual.binding import Binding, BindingType
from textual.strip import Strip  # noqa: TC002
from textual.timer import Timer  # noqa: TC002

from backends.entities import LogChunk
from console.safe import cell_length, safe_lines, safe_text
from console.tui.drawing import Drawing
from console.tui.fetch import Answer, Fetcher
from console.tui.ink import Span
from console.tui.log_text import CHUNK, LogText
from console.wording import size

Read = Callable[[int, int], LogChunk]
"""(start byte, limit) → chunk; a negative start counts from the end. Blocks."""

PATIENCE = 0.012
EVERY = 0.5
"""Seconds between looks at the end of a log that still grows."""

MOST_ROWS = 40
"""A line wraps to no more rows than this."""


class LogView(Drawing, can_focus=True):
    """Follows the end until one scrolls up; `G` follows again."""

    DEFAULT_CSS = """
    LogView { height: 1fr; width: 1fr; min-height: 2; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", "up", id="log.up", show=False, tooltip="One line up."),
        Binding("down,j", "scroll_lines(1)", "down", id="log.down", show=False, tooltip="One line down."),
        Binding("pageup,ctrl+b", "scroll_pages(-1)", "page up", id="log.page_up", show=False, tooltip="One page up."),
        Binding(
            "pagedown,ctrl+f", "scroll_pages(1)", "page down", id="log.page_down", show=False, tooltip="One page down."
        ),
        Binding("home,g", "first", "start", id="log.home", show=False, tooltip="To the start of the log."),
        Binding("end,G", "last", "end", id="log.end", show=False, tooltip="To the end, and follow it."),
        Binding("left", "sideways(-20)", "left", id="log.left", show=False, tooltip="Scroll to the left."),
        Binding("right", "sideways(20)", "right", id="log.right", show=False, tooltip="Scroll to the right."),
        Binding("w", "wrap", "wrap", id="log.wrap", show=False, tooltip="Wrap long lines, or cut them."),
        Binding("slash", "search", "search", id="log.search", show=False, tooltip="Search in what is loaded."),
        Binding("n", "again(1)", "next", id="log.next", show=False, tooltip="The next hit below."),
        Binding("N", "again(-1)", "previous", id="log.previous", show=False, tooltip="The next hit above."),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._text = LogText()
        self._read: Read | None = None
        self._generation = 0
        self._top = 0
        self._follow = True
        self._left = 0
        self._wrapping = False
        self._needle = ""
        self._typing: str | None = None
        self._hit = -1
        self._error = ""
        self._fetcher = Fetcher(self, "log")
        self._timer: Timer | None = None

    # ------------------------------------------------------------ what the pane does

    def follow(self, read: Read | None) -> None:
        """Show this log from its end; None shows nothing."""
        self._generation += 1
        self._read = read
        self._text.clear()
        self._top, self._follow, self._left, self._hit, self._error = 0, True, 0, -1, ""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if read is not None:
            self._ask(-CHUNK, self._text.append)
            self._timer = self.set_interval(EVERY, self._look)
        self.paint()

    @property
    def following(self) -> bool:
        """Whether the end stays in sight."""
        return self._follow

    def plain(self) -> str:
        """The lines that are held, harmless."""
        return "\n".join(_shown(line) for line in self._text.lines)

    # ------------------------------------------------------------ asking

    def on_answer(self, answer: Answer) -> None:
        answer.question.settle()

    def _ask(self, start: int, take: Callable[[LogChunk], int], then: Callable[[int], None] | None = None) -> None:
        read, generation = self._read, self._generation
        if read is None:
            return
        limit = CHUNK if start < 0 or take == self._text.append else self._text.start - start

        def taken(chunk: Any, error: Exception | None) -> None:
            if generation != self._generation:
                return
            if error is not None:
                self._error = str(error)
                if self._timer is not None:
                    self._timer.stop()
            else:
                self._error = ""
                lines = take(chunk)
                (then or self._grown)(lines)
            self.paint()

        self._fetcher.ask(lambda: read(start, limit), taken, patience=PATIENCE)

    def _grown(self, gone: int) -> None:
        self._top = max(0, self._top - gone)
        if self._text.ended and self._text.whole_tail and self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _look(self) -> None:
        """Read on, if the end is what is being looked at; the rest of the log can wait until someone goes there."""
        if self._fetcher.waiting or not self.display or not self.is_on_screen:
            return
        if self._follow or self._text.whole_tail:
            self._ask(self._text.end, self._text.append)

    @property
    def is_on_screen(self) -> bool:
        return all(node.display for node in self.ancestors_with_self if hasattr(node, "display"))

    def _more_above(self) -> None:
        start = self._text.start
        if start <= 0 or self._fetcher.waiting:
            return

        def moved(lines: int) -> None:
            self._top += lines
            if self._hit >= 0:
                self._hit += lines

        self._ask(max(0, start - CHUNK), self._text.prepend, moved)

    # ------------------------------------------------------------ keys

    def action_scroll_lines(self, lines: int) -> None:
        self._settle_top()
        self._follow = False
        self._top += lines
        self._bound()

    def action_scroll_pages(self, pages: int) -> None:
        self.action_scroll_lines(pages * max(1, self._rows - 1))

    def action_first(self) -> None:
        """To the first byte, wherever the view is."""
        self._follow, self._top = False, 0
        if self._text.start > 0:
            self._text.clear()
            self._ask(0, self._text.append)
        self._bound()

    def action_last(self) -> None:
        self._follow = True
        if not self._text.whole_tail:
            self._text.clear()
            self._ask(-CHUNK, self._text.append)
        self.paint()

    def action_sideways(self, cells: int) -> None:
        self._left = max(0, self._left + cells)
        self.paint()

    def action_wrap(self) -> None:
        self._wrapping = not self._wrapping
        self._left = 0
        self.paint()

    def action_search(self) -> None:
        self._typing = ""
        self.paint()

    def action_again(self, way: int) -> None:
        if self._needle:
            self._seek(way)

    def on_key(self, event: events.Key) -> None:
        if self._typing is None:
            return
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self._typing = None
        elif event.key == "enter":
            self._needle, self._typing = self._typing.casefold(), None
            self._hit = -1
            if self._needle:
                self._seek(-1 if self._follow else 1)
        elif event.key in ("backspace", "ctrl+h"):
            self._typing = self._typing[:-1]
        elif event.is_printable and event.character:
            self._typing += event.character
        self.paint()

    def check_consume_key(self, key: str, character: str | None) -> bool:  # noqa: ARG002
        return self._typing is not None

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll_lines(-3)

    def on_unmount(self) -> None:
        self._fetcher.close()

    def _seek(self, way: int) -> None:
        lines = self._text.lines
        self._settle_top()
        start = self._hit if self._hit >= 0 else (self._top + self._rows if way < 0 else self._top - 1)
        at = start + way
        while 0 <= at < len(lines):
            if self._needle in lines[at].casefold():
                self._hit, self._follow = at, False
                self._top = at - self._rows // 2
                self._bound()
                return
            at += way
        self._hit = -1
        self.paint()

    def _settle_top(self) -> None:
        if self._follow:
            self._top = self._tail_top()

    def _bound(self) -> None:
        if self._top < self._rows:
            self._more_above()
        tail = self._tail_top()
        self._top = max(0, min(self._top, tail))
        if self._top >= tail and not self._text.whole_tail:
            self._ask(self._text.end, self._text.append)
        elif self._top >= tail and not self._text.ended:
            self._follow = True  # whoever comes back to the end wants to see what comes
        self.paint()

    # ------------------------------------------------------------ drawing

    @property
    def _rows(self) -> int:
        return max(1, self.size.height - 1)

    def _count(self) -> int:
        lines = self._text.lines
        # What follows the last newline is no line yet.
        return len(lines) - 1 if lines and not lines[-1] else len(lines)

    def _tail_top(self) -> int:
        """The line at the top when the last one is at the bottom."""
        count, rows = self._count(), self._rows
        if not self._wrapping:
            return max(0, count - rows)
        used, at = 0, count
        while at > 0:
            used += len(self._wrapped(self._text.lines[at - 1]))
            if used > rows:
                break
            at -= 1
        return min(at, max(0, count - 1))

    def _wrapped(self, line: str) -> list[str]:
        width = max(1, self.size.width)
        if not self._wrapping:
            text = _shown(line[: 16 * (width + self._left)], None)
            return [text[self._left :]]
        text = _shown(line[: 4 * width * MOST_ROWS], None)
        rows = [text[i : i + width] for i in range(0, max(1, len(text)), width)]
        if any(cell_length(row) > width for row in rows):
            rows = _by_cells(text, width)
        return rows[:MOST_ROWS]

    def drawn_lines(self, width: int, height: int) -> Sequence[Strip]:
        if self._follow:
            self._top = self._tail_top()
        strips: list[Strip] = []
        lines, count, rows = self._text.lines, self._count(), height - 1
        at = self._top
        while at < count and len(strips) < rows:
            tone = "accent" if at == self._hit else ""
            for row in self._wrapped(lines[at]):
                strips.append(self.ink.strip(self._marked(row, tone), width))
            at += 1
        strips = strips[:rows]
        blank = self.ink.strip((), width)
        strips.extend([blank] * (rows - len(strips)))
        strips.append(self.ink.strip(self._foot(), width))
        return strips

    def _marked(self, row: str, tone: str) -> list[Span]:
        """The row with the hits of the search marked."""
        if not self._needle:
            return [(row, tone)]
        spans: list[Span] = []
        folded, at = row.casefold(), 0
        if len(folded) != len(row):  # folding changed the length (ß): positions would be wrong
            return [(row, tone)]
        while (found := folded.find(self._needle, at)) >= 0:
            spans += [(row[at:found], tone), (row[found : found + len(self._needle)], "badge")]
            at = found + len(self._needle)
        return [*spans, (row[at:], tone)]

    def _foot(self) -> list[Span]:
        if self._typing is not None:
            return [("/", "key"), (safe_text(self._typing), ""), ("▏", "accent")]
        if self._error:
            return [(safe_text(self._error), "bad")]
        text = self._text
        where = "end" if text.ended and text.whole_tail else "following" if self._follow else "G follows"
        parts = [f"log {size(text.size)}", where]
        if text.start > 0:
            parts.append(f"from byte {text.start}")
        if self._needle:
            parts.append(
                f"/{safe_text(self._needle, 20)}" + ("" if self._hit >= 0 else " no more hits in what is loaded")
            )
        if self._read is None:
            parts = ["no log"]
        return [(" · ".join(parts), "dim")]


def _shown(line: str, cells: int | None = None) -> str:
    found = safe_lines(line, cells)
    return found[0] if found else ""


def _by_cells(text: str, width: int) -> list[str]:
    rows, row, used = [], "", 0
    for character in text:
        cells = cell_length(character)
        if used + cells > width:
            rows.append(row)
            row, used = "", 0
        row += character
        used += cells
    return [*rows, row]
