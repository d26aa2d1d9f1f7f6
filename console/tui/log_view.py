"""A log of any length, followed as it grows, searched, and filtered by level. Only a few chunks of it are ever in
memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events  # noqa: TC002
from textual.binding import Binding, BindingType
from textual.timer import Timer  # noqa: TC002

from console.safe import safe_text
from console.training.log.levels import Level
from console.training.log.source import Read
from console.tui.fetch import Fetcher
from console.tui.ink import Span
from console.tui.log_search import Errors, Found, Line, Sought, Word, seek
from console.tui.log_window import EVERY, PATIENCE, LogWindow
from console.wording import size

FILTERS = (None, Level.WARNING, Level.ERROR, Level.INFO)
"""What the level key goes through: all, then what one looks for first."""


class LogView(LogWindow):
    """Follows the end until one scrolls up; `G` follows again."""

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
        Binding("slash", "search", "search", id="log.search", show=False, tooltip="Search in the whole log."),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._typing: str | None = None
        self._sought: Sought | None = None
        self._known: tuple[Sequence[str], Sought, list[int]] | None = None
        self._seeking: threading.Event | None = None
        self._ticker: Timer | None = None
        self._reached = (0, 0)
        self._seeker = Fetcher(self, "log search")

    def _begin(self, read: Read | None) -> None:
        self._stop_seeking()
        super()._begin(read)

    @property
    def sought(self) -> str:
        """What was looked for last."""
        return self._sought.label if self._sought is not None else ""

    @property
    def busy(self) -> bool:
        return bool(self._fetcher.waiting or self._seeker.waiting)

    # ------------------------------------------------------------ levels

    def next_level(self) -> None:
        """All lines, from warnings on, errors alone, from information on."""
        self.show_level(FILTERS[(FILTERS.index(self._least) + 1) % len(FILTERS)] if self._least in FILTERS else None)

    def show_level(self, least: Level | None) -> None:
        """Only lines of at least this level; None for all. What is at the top, or was found, stays in sight."""
        if least is self._least:
            return
        self.cancel()
        self._settle_top()
        found = self._top <= self._hit < self._top + self._rows
        at = self._hit if found else min(self._top, len(self._text.lines) - 1)
        line = self._text.lines[at] if self._least is not None and 0 <= at < len(self._text.lines) else ""
        place, follow = self._text.place(max(0, at)), self._follow and not line
        self._least, self._said = least, ""
        self._source = self._made_source()
        self._empty()
        if follow and self._source is not None:
            self._ask_end()
        elif line:
            self._seek(Line(line), 1, place)
        else:
            self._follow = False
            self._ask_after(place)
        self.paint()

    # ------------------------------------------------------------ searching

    def action_search(self) -> None:
        self._typing = ""
        self.paint()

    def look_for(self, word: str) -> None:
        """The first line that holds it: upwards from the end, down from anywhere else."""
        self._sought, self._hit, self._said = (Word(word) if word else None), -1, ""
        self._needle = word.casefold()
        if word:
            self._go(-1 if self._follow else 1)
        self.paint()

    def again(self, way: int) -> None:
        """The next hit below (1) or above (-1)."""
        if self._sought is not None:
            self._go(way)

    def next_error(self, way: int) -> None:
        """To the next error, and f and F go from one to the other too."""
        if not isinstance(self._sought, Errors):
            self._sought, self._hit, self._needle = Errors(), -1, ""
        self._go(way)

    def cancel(self) -> bool:
        """Give up the search that is under way. False where there is none."""
        if self._seeking is None:
            return False
        self._stop_seeking()
        self._said = "stopped"
        self.paint()
        return True

    def _go(self, way: int) -> None:
        if self._source is None or self._sought is None or self._seeking is not None:
            return
        self._settle_top()
        last = min(self._count(), self._top + self._rows)
        start = self._hit if self._hit >= 0 else (last if way < 0 else self._top - 1)
        hits = self._hits(self._sought)
        found = next((at for at in (hits if way > 0 else reversed(hits)) if (at - start) * way > 0), None)
        if found is not None:
            self._arrive(found)
        else:
            self._seek(self._sought, way)

    def _hits(self, sought: Sought) -> list[int]:
        lines = self._text.lines
        if self._known is None or self._known[0] is not lines or self._known[1] is not sought:
            self._known = (lines, sought, sought.among(lines, self._text.broken))
        return self._known[2]

    def _seek(self, sought: Sought, way: int, start: int = 0) -> None:
        """Through what is not held, in a thread."""
        source, text, generation = self._source, self._text, self._generation
        assert source is not None  # noqa: S101  where there is a log to look through
        stop = self._seeking = threading.Event()

        def say(reached: int, whole: int) -> None:
            self._reached = (reached, whole)

        def taken(found: Any, error: Exception | None) -> None:
            if stop.is_set() or generation != self._generation:
                return
            self._stop_seeking()
            if error is not None:
                self._error = str(error)
            else:
                self._found(found, sought, way, start)
            self.paint()

        self._ticker = self.set_interval(EVERY, self.paint)
        self._seeker.ask(
            lambda: seek(source, sought, text, way, stop.is_set, say, start=start), taken, patience=PATIENCE
        )

    def _stop_seeking(self) -> None:
        if self._seeking is not None:
            self._seeking.set()
            self._seeking = None
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None

    def _found(self, found: Found, sought: Sought, way: int, start: int) -> None:
        if found.line >= 0:
            size_now = self._text.size
            self._empty()
            self._text = found.text
            self._text.size = max(self._text.size, size_now)
            self._arrive(found.line)
        elif isinstance(sought, Line):
            self._follow = False
            self._ask_after(start)
        else:
            self._said = f"no further {'error' if isinstance(sought, Errors) else 'hit'} " + (
                "below" if way > 0 else "above"
            )

    def _arrive(self, line: int) -> None:
        self._hit, self._follow, self._said = line, False, ""
        self._top, self._skip = line, 0
        self._move(-(self._rows // 3))
        self._top = max(0, self._top)
        self._bound()

    def on_key(self, event: events.Key) -> None:
        if self._typing is None:
            return
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self._typing = None
        elif event.key == "enter":
            word, self._typing = self._typing, None
            self.look_for(word)
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
        self.cancel()
        self._fetcher.close()
        self._seeker.close()

    def _foot(self) -> list[Span]:
        if self._typing is not None:
            return [("/", "key"), (safe_text(self._typing), ""), ("▏", "accent")]
        if self._error:
            return [(safe_text(self._error), "bad")]
        if self._read is None:
            return [("no log", "dim")]
        text = self._text
        at_end = text.whole_tail and self._top + self._rows >= self._count()
        share = 100 if at_end else round(100 * text.place(self._top) / max(1, text.size))
        where = "end" if text.ended and at_end else "following" if self._follow else f"{share} %"
        parts = [f"{self.kind} {size(text.size)}", where]
        if not self._follow and self._timer is not None:
            parts.append("G follows")
        if self._least is not None:
            only = f"only {self._least.word} and above" if self._least < Level.CRITICAL else "only critical"
            parts.append(only if self._count() or self._fetcher.waiting else f"{only}: none")
        if self._seeking is not None:
            reached, whole = self._reached
            parts.append(f"looking … {100 * reached // max(1, whole)} %, esc stops")
        elif self._sought is not None:
            parts.append(" ".join(filter(None, (safe_text(self._sought.label, 30), self._said))))
        elif self._said:
            parts.append(self._said)
        return [(" · ".join(parts), "dim")]
