"""A screen that something is worked out for while one reads: `esc` ends that first, and leaves after."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from backends.entities import Progress
from console.tui.frame import OneLine, progress_spans
from console.tui.reading import ReadingScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

T = TypeVar("T")


class SearchingScreen(ReadingScreen):
    """A reading screen with a line of progress above its keys."""

    DEFAULT_CSS = "SearchingScreen #searching { display: none; }"

    _end: threading.Event | None = None
    """Ends the search that is under way."""

    def compose(self) -> ComposeResult:
        *before, rule, keys = super().compose()
        yield from before
        yield OneLine(id="searching")
        yield rule
        yield keys

    async def search(self, what: str, question: Callable[[Callable[[Progress], None], Callable[[], bool]], T]) -> T:
        """What `question` finds in a thread; it is given whom to tell of progress, and what says that it is to end.
        Raises Cancelled where the person ended it, and whatever `question` raises. It ends with the screen."""
        if self._end is not None:
            self._end.set()  # one at a time: the later one counts
        end = threading.Event()
        self._end = end
        told = 0.0

        def tell(progress: Progress) -> None:
            nonlocal told
            at = monotonic()
            if at - told >= 0.5 and not end.is_set():
                told = at
                self.app.call_from_thread(self._tell, what, progress)

        # A process that loads models says nothing for its first seconds.
        self._tell(what, Progress(at=0, stage="starting"))
        try:
            return await self.app.look_up(lambda: question(tell, end.is_set))
        finally:
            end.set()
            if self._end is end:
                self._end = None
                self._tell("", None)

    def _tell(self, what: str, progress: Progress | None) -> None:
        for line in self.query("#searching").results(OneLine):
            line.display = progress is not None
            line.say(progress_spans(what, progress, "escape") if progress is not None else ())

    @property
    def searching(self) -> bool:
        return self._end is not None and not self._end.is_set()

    def action_close(self) -> None:
        if self._end is not None and self.searching:
            self._end.set()
        else:
            super().action_close()
