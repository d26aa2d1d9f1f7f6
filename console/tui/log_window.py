"""The stretch of a log that is on the screen: read as it is needed, moved through by lines, rows and shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.strip import Strip  # noqa: TC002
from textual.timer import Timer  # noqa: TC002

from backends.entities import LogChunk
from console.training.log.levels import Level
from console.training.log.source import FilteredLog, LogSource, Read, WholeLog
from console.tui.drawing import Drawing
from console.tui.fetch import Answer, Fetcher
from console.tui.ink import Span
from console.tui.log_layout import marked, rows_of, tones_of
from console.tui.log_text import LogText

PATIENCE = 0.012
EVERY = 0.5
"""Seconds between looks at the end of a log that still grows."""


class LogWindow(Drawing, can_focus=True):
    """Where one is in a log, and what is read around it."""

    DEFAULT_CSS = """
    LogWindow { height: 1fr; width: 1fr; min-height: 2; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._text = LogText()
        self._read: Read | None = None
        self._source: LogSource | None = None
        self._generation = 0
        self._top = 0
        self._skip = 0
        """Rows of the line at the top that are above the screen, where lines wrap."""
        self._follow = True
        self._left = 0
        self._wrapping = False
        self._least: Level | None = None
        self._hit = -1
        self._needle = ""
        self._said = ""
        self._error = ""
        self._top_reached = False
        """What is above was cut from the log."""
        self._fetcher = Fetcher(self, "log")
        self._timer: Timer | None = None
        self.kind = "log"

    def follow(self, read: Read | None) -> None:
        """Show this log from its end; None shows nothing."""
        self._begin(read)
        self._follow = True
        if self._source is not None:
            self._ask_end()
            self._timer = self.set_interval(EVERY, self._look)
        self.paint()

    def show_file(self, read: Read) -> None:
        """Show this text from its start; it does not grow."""
        self.kind = "text"
        self._begin(read)
        self._follow = False
        self._ask_after(0)
        self.paint()

    def _begin(self, read: Read | None) -> None:
        self._read = read
        self._source = self._made_source()
        self._empty()
        self._left, self._error, self._said = 0, "", ""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _made_source(self) -> LogSource | None:
        if self._read is None:
            return None
        return WholeLog(self._read) if self._least is None else FilteredLog(self._read, self._least)

    def _empty(self) -> None:
        """Another stretch is to come."""
        self._generation += 1
        self._text = LogText()
        self._top, self._skip, self._hit, self._top_reached = 0, 0, -1, False

    @property
    def following(self) -> bool:
        """Whether the end stays in sight."""
        return self._follow

    @property
    def least(self) -> Level | None:
        """Only lines of at least this level are shown."""
        return self._least

    def plain(self) -> str:
        """The lines that are held, harmless."""
        return "\n".join(rows_of(line, 1 << 20, wrapping=False, left=0)[0] for line in self._text.lines)

    # ------------------------------------------------------------ asking

    def on_answer(self, answer: Answer) -> None:
        answer.question.settle()

    def _ask(self, call: Callable[[LogSource], LogChunk], take: Callable[[LogChunk], None]) -> None:
        source, generation = self._source, self._generation
        if source is None:
            return

        def taken(chunk: Any, error: Exception | None) -> None:
            if generation != self._generation:
                return
            if error is not None:
                self._error = str(error)
                if self._timer is not None:
                    self._timer.stop()
            else:
                self._error = ""
                if chunk.size < self._text.end:
                    self._restart()
                    return
                take(chunk)
                self._fill()
            self.paint()

        self._fetcher.ask(lambda: call(source), taken, patience=PATIENCE)

    def _ask_after(self, start: int) -> None:
        self._ask(lambda source: source.after(start), self._take_after)

    def _ask_end(self) -> None:
        self._ask(lambda source: source.before(None), self._take_after)

    def _take_after(self, chunk: LogChunk) -> None:
        gone = self._text.append(chunk)
        self._top = max(0, self._top - gone)
        self._hit = self._hit - gone if self._hit >= gone else -1
        if self._text.ended and self._text.whole_tail and self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _take_before(self, chunk: LogChunk) -> None:
        start = self._text.start
        lines = self._text.prepend(chunk)
        self._top += lines
        if self._hit >= 0:
            self._hit += lines
        self._top_reached = self._text.start == start

    def _restart(self) -> None:
        """The log is shorter than it was: it was begun anew while we looked."""
        follow = self._follow
        self._source = self._made_source()
        self._empty()
        self._said = "it was cut and begun anew"
        if follow:
            self._ask_end()
        else:
            self._ask_after(0)
        self.paint()

    def _fill(self) -> None:
        """Read on until the screen is full, and a little further."""
        text, rows = self._text, self._rows
        if self._fetcher.waiting or (not text.size and not text.end):
            return
        if self._follow:
            self._settle_top()
        if self._top < rows and text.start > 0 and not self._top_reached:
            start = text.start
            self._ask(lambda source: source.before(start), self._take_before)
        elif self._count() - self._top < 2 * rows and not text.whole_tail:
            self._ask_after(text.end)

    def _look(self) -> None:
        """Read on, if the end is what is being looked at; the rest of the log can wait until someone goes there."""
        if self._fetcher.waiting or not self.display or not self.is_on_screen:
            return
        if self._follow or self._text.whole_tail:
            self._ask_after(self._text.end)

    @property
    def is_on_screen(self) -> bool:
        return all(node.display for node in self.ancestors_with_self if hasattr(node, "display"))

    # ------------------------------------------------------------ moving

    def action_scroll_lines(self, lines: int) -> None:
        self._settle_top()
        self._follow = False
        self._move(lines)
        self._bound()

    def action_scroll_pages(self, pages: int) -> None:
        self.action_scroll_lines(pages * max(1, self._rows - 1))

    def action_first(self) -> None:
        """To the first byte, wherever the view is."""
        self._follow = False
        if self._text.start > 0:
            self._empty()
            self._ask_after(0)
        self._top = self._skip = 0
        self._bound()

    def action_last(self) -> None:
        self._follow = True
        if not self._text.whole_tail:
            self._empty()
            self._ask_end()
        self.paint()

    def go_to(self, place: float | int) -> None:
        """A share of the log (0.0 to 1.0), or a byte of it."""
        byte = int(place * self._text.size) if isinstance(place, float) else place
        if byte >= self._text.size:
            self.action_last()
            return
        self._follow = False
        self._empty()
        self._ask_after(max(0, byte))
        self.paint()

    def action_sideways(self, cells: int) -> None:
        self._left = max(0, self._left + cells) if not self._wrapping else 0
        self.paint()

    def wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self._settle_top()
        self._wrapping = not self._wrapping
        self._left = self._skip = 0
        self._bound()

    def _move(self, rows: int) -> None:
        if not self._wrapping:
            self._top += rows
            return
        self._skip += rows
        while self._skip < 0 and self._top > 0:
            self._top -= 1
            self._skip += self._height_of(self._top)
        while self._top < self._count() and self._skip >= (height := self._height_of(self._top)):
            self._skip -= height
            self._top += 1
        self._skip = max(0, self._skip)

    def _bound(self) -> None:
        tail = self._tail()
        if (self._top, self._skip) >= tail:
            self._top, self._skip = tail
            # Whoever comes back to the end wants to see what comes.
            self._follow = self._text.whole_tail and not self._text.ended and self._timer is not None
        self._top = max(0, self._top)
        self._fill()
        self.paint()

    def _settle_top(self) -> None:
        if self._follow:
            self._top, self._skip = self._tail()

    # ------------------------------------------------------------ drawing

    @property
    def _rows(self) -> int:
        return max(1, self.size.height - 1)

    def _count(self) -> int:
        lines = self._text.lines
        # What follows the last newline is no line yet.
        return len(lines) - 1 if lines and not lines[-1] else len(lines)

    def _rows_of(self, at: int) -> list[str]:
        return rows_of(self._text.lines[at], self.size.width, wrapping=self._wrapping, left=self._left)

    def _height_of(self, at: int) -> int:
        return len(self._rows_of(at)) if self._wrapping else 1

    def _tail(self) -> tuple[int, int]:
        """The line at the top when the last one is at the bottom, and its rows above the screen."""
        count, rows = self._count(), self._rows
        if not self._wrapping:
            return max(0, count - rows), 0
        used, at = 0, count
        while at > 0 and used < rows:
            at -= 1
            used += self._height_of(at)
        return at, max(0, used - rows)

    def drawn_lines(self, width: int, height: int) -> Sequence[Strip]:
        self._settle_top()
        strips: list[Strip] = []
        count, rows = self._count(), height - 1
        tones = tones_of(self._text.lines, self._text.broken, self._top, rows)
        at, skip = self._top, self._skip
        while at < count and len(strips) < rows:
            tone = tones[at - self._top]
            for row in self._rows_of(at)[skip:]:
                spans = marked(row, tone, self._needle)
                strips.append(self.ink.strip(spans, width, cursor=at == self._hit))
            at, skip = at + 1, 0
        strips = strips[:rows]
        blank = self.ink.strip((), width)
        strips.extend([blank] * (rows - len(strips)))
        strips.append(self.ink.strip(self._foot(), width))
        return strips

    def _foot(self) -> list[Span]:
        """The line under the log."""
        return []
