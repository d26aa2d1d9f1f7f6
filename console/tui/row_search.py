"""Looking for rows of a version: `/` takes what is looked for, `f` and `F` go from hit to hit, esc gives up."""

from __future__ import annotations

import bisect
import threading
from typing import TYPE_CHECKING, Any

from textual import on
from textual.widgets import Input

from backends.contract import BackendError
from console.data.reading import RowReader
from console.offload import Cancelled
from console.safe import safe_text
from console.tui.bar import Bar, Line
from console.tui.frame import OneLine
from console.wording import thousands

if TYPE_CHECKING:
    from console.data.reading import FoundRows
    from console.tui.panes.datasets import DatasetsPane


class RowSearch:
    """What is looked for in the rows that a pane shows, and the hits that are known."""

    def __init__(self, pane: DatasetsPane) -> None:
        self._pane = pane
        self._reader: RowReader | None = None
        self._hits: list[int] = []
        self._known = (0, -1)
        """First and last row of the stretch in which all hits are known."""
        self._stop: threading.Event | None = None
        self.text = ""
        self.said = ""
        """Where we are among the hits, in a few words."""

    @property
    def busy(self) -> bool:
        return self._stop is not None

    def begin(self, text: str) -> None:
        """Look for something else."""
        self.cancel()
        self.text, self._hits, self._known, self.said = text.strip(), [], (0, -1), ""

    def cancel(self) -> bool:
        """Give up the search that is under way. False where there is none."""
        if self._stop is None:
            return False
        self._stop.set()
        return True

    def close(self) -> None:
        """Another version is shown, or none."""
        self.begin("")
        reader, self._reader = self._reader, None
        if reader is not None:
            threading.Thread(target=reader.close, daemon=True).start()  # it may have a question out

    def go(self, step: int, *, here: bool = False) -> None:
        """To the next hit down (1) or up (-1); with `here`, the row under the cursor may be it."""
        version, table = self._pane.version, self._pane.table
        if not self.text or version is None or self.busy or table.cursor_key is None:
            return
        start = int(table.cursor_key) + (0 if here else step)
        if not 0 <= start < version.rows:
            self._tell("no further hit above" if step < 0 else "no further hit below")
            return
        if self._known[0] <= start <= self._known[1]:
            at = bisect.bisect_left(self._hits, start) if step > 0 else bisect.bisect_right(self._hits, start) - 1
            if 0 <= at < len(self._hits):
                self._arrive(self._hits[at])
                return
            start = self._known[1] + 1 if step > 0 else self._known[0] - 1
            if not 0 <= start < version.rows:
                self._tell("no further hit above" if step < 0 else "no further hit below")
                return
        self._ask(version.ref, start, step)

    def _ask(self, ref: str, start: int, step: int) -> None:
        pane = self._pane
        reader = self._reader = self._reader or RowReader(pane.backend)
        stop = self._stop = threading.Event()
        text = self.text
        progress = pane.app.report(f"looking for {safe_text(text, 30)}   esc stops")

        def work() -> None:
            found: FoundRows | None = None
            error: Exception | None = None
            try:
                found = reader.find(ref, text, start, backwards=step < 0, on_progress=progress, cancel=stop.is_set)
            except Cancelled:
                pass
            except BackendError as problem:
                error = problem
            pane.app.call_from_thread(self._answered, stop, start, step, found, error)

        pane.run_worker(work, thread=True, group="find", exit_on_error=False)

    def _answered(
        self, stop: threading.Event, start: int, step: int, found: FoundRows | None, error: Exception | None
    ) -> None:
        if self._stop is stop:
            self._stop = None
        self._pane.app.say_work(())
        if error is not None:
            self._pane.app.show_problem(error, f"looking for {self.text}")
        elif found is None or stop.is_set():
            self._tell("stopped")
        else:
            stretch = (start, found.reached) if step > 0 else (found.reached, start)
            joins = self._known[0] - 1 <= stretch[1] and stretch[0] <= self._known[1] + 1
            if joins and self._known[1] >= 0:
                self._hits = sorted({*self._hits, *found.rows})
                self._known = (min(stretch[0], self._known[0]), max(stretch[1], self._known[1]))
            else:
                self._hits, self._known = sorted(found.rows), stretch
            if found.rows:
                self._arrive(found.rows[0])
            else:
                self._tell("no further hit above" if step < 0 else "no further hit below")
        self._pane.app.refresh_frame()

    def _arrive(self, row: int) -> None:
        self.said = f"hit in row {thousands(row + 1)}"
        self._pane.table.go_to(str(row))

    def _tell(self, said: str) -> None:
        self.said = said
        self._pane.app.tell(f"{self.text}: {said}")


class SearchBar(Bar):
    """Takes what is looked for."""

    SIGN = "/"

    def __init__(self, search: RowSearch, columns: Any) -> None:
        super().__init__(id="search-bar")
        self._search = search
        self._columns = columns

    def line(self) -> Line:
        return Line(self._search.text, id="bar-line")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#bar-hint", OneLine).say(
            [(" a word, a number, a day, or an expression such as dep_delay > 60 · f next · F above", "dim")]
        )

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self._search.begin(event.value)
            self._search.go(1, here=True)
        self.close()
