"""What every pane is: a view on one kind of thing that lives in the frame.

A pane asks in `fetch`, in a worker thread, and shows in `show`, on the event loop. It never asks a backend from a
handler and never touches a widget from a thread. Late answers are dropped by their generation; questions that pile up
become one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Container
from textual.message import Message
from textual.widget import Widget

from backends.contract import BackendError
from backends.query import Query
from console.tui.lines import Line, LineList

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult

    from console.config import Session
    from console.tui import ink
    from console.tui.app import ConsoleApp
    from console.tui.bar import Bar

WIDE = 110
"""From this width on, details stand beside the list."""


class Fetched(Message):
    """A worker's answer."""

    bubble = False

    def __init__(self, generation: int, data: object, error: Exception | None, *, whole: bool = True) -> None:
        super().__init__()
        self.generation = generation
        self.data = data
        self.error = error
        self.whole = whole
        """False for what is shown while the rest is still being asked for."""


class Pane(Widget):
    """Base of all panes. Subclasses set the class variables, and give `compose`, `fetch`, `show` and `selected`."""

    DEFAULT_CSS = """
    Pane { layout: vertical; height: 1fr; width: 1fr; background: $background; }
    Pane > .split { layout: vertical; height: 1fr; }
    Pane > .split > .master { height: 1fr; width: 1fr; }
    Pane > .split > .details { display: none; height: 1fr; width: 1fr; background: $background; }
    Pane.-wide > .split { layout: horizontal; }
    Pane.-wide > .split > .details { display: block; width: 42%; border-left: solid $rule; padding: 0 0 0 1; }
    Pane.-tall > .split > .details { display: block; height: 40%; border-top: solid $rule; }
    Pane.-bare > .split > .details { display: none; }
    Pane.-open > .split > .master { display: none; }
    Pane.-open > .split > .details { display: block; width: 1fr; height: 1fr; border: none; padding: 0; }
    """

    PANE: ClassVar[str] = ""
    """Its id in the registry, in actions and in the command bar."""
    TITLE: ClassVar[str] = ""
    FIELDS: ClassVar[Any] = None
    """`backends.query.Fields` of its filter, or None where it has none."""
    EMPTY: ClassVar[str] = ""
    """One sentence: what belongs here, and the key that makes the first one."""

    def __init__(self, session: Session) -> None:
        super().__init__(id=f"pane-{self.PANE}")
        self.session = session
        self.backend = session.backend
        self.query_text = ""
        self.filter = Query()
        self.dirty = True
        """Something may have changed since it was last shown."""
        self.loaded = False
        """An answer has come."""
        self.opened = False
        """The details take the whole pane."""
        self.ready = False
        """Its widgets stand, and may be asked."""
        self.wanted = ""
        """What it was asked for before it was ready."""
        self._generation = 0
        self._busy = False
        self._again = False
        self._out = 0
        """Questions that a thread is still at, those that were given up among them."""
        self._fetching = threading.local()

    if TYPE_CHECKING:

        @property
        def app(self) -> ConsoleApp: ...  # type: ignore[override]

    def on_mount(self) -> None:
        self.ready = True
        self.app.pane_ready(self)

    # ------------------------------------------------------------ to be given by the pane

    def fetch(self) -> Any:
        """Ask the backend. Runs in a worker thread: blocking is fine, widgets are not. Exceptions are shown."""
        return None

    def early(self, data: Any) -> None:
        """Called by `fetch`: show this already, the rest of the answer takes longer."""
        self.post_message(Fetched(self._fetching.generation, data, None, whole=False))

    def show(self, data: Any) -> None:
        """Put an answer on the screen. Runs on the event loop; keep the cursor on its identity."""

    def selected(self) -> object | None:
        """The record under the cursor (Run, ModelVersion, …): what actions act on."""
        return None

    def marked(self) -> tuple[object, ...]:
        """The records that are marked, in the order shown."""
        return ()

    def crumbs(self) -> tuple[str, ...]:
        """Where we are, for the lower right corner; raw names are fine."""
        return (self.TITLE,)

    def empty_text(self) -> str:
        return self.EMPTY

    def status(self) -> ink.Spans:
        """What stands above the list: the filter, how many."""
        return ()

    def details(self) -> Sequence[Line]:
        """Everything about what is selected: shown by `d`, and beside the list where the pane has `.details`."""
        return ()

    async def described(self) -> Sequence[Line] | None:
        """All of it, where asking tells more than `details`; `d` shows those meanwhile."""
        return None

    def copies(self) -> Sequence[tuple[str, str]]:
        """(label, raw value) that `y` offers; the first is what one means by copying the row."""
        return ()

    def exported(self) -> tuple[str, Sequence[str], Iterator[Sequence[object]]]:
        """(name, column titles, rows as shown, raw) for `e`. Called in a thread; the rows may ask the backend."""
        return (self.PANE, (), iter(()))

    def focus_list(self) -> None:
        """Put the keyboard on the list."""
        for widget in self.query("*"):
            if widget.can_focus and widget.display:
                widget.focus(scroll_visible=False)
                return

    # ------------------------------------------------------------ what the frame calls

    def go(self, argument: str) -> None:
        """`:runs status=failed`: the pane was asked for with an argument. A filter, unless the pane knows better."""
        if argument:
            self.app.apply_filter(self, argument)

    def filter_bar(self) -> Bar | None:
        """What `/` lays at the foot of the screen; None where it means nothing."""
        if self.FIELDS is None:
            return None
        from console.tui.filter_bar import FilterBar

        return FilterBar(self)

    def apply_query(self, query: Query, text: str) -> None:
        """Show only what the query matches. `text` is how the person wrote it."""
        self.filter, self.query_text = query, text
        self.refresh_data()

    def open_selected(self) -> None:
        """`enter`: details on the full screen."""
        self.set_open(True)

    def set_open(self, opened: bool) -> None:
        self.opened = opened
        self.set_class(opened, "-open")
        if opened:
            for widget in self.query(".details"):
                inner = widget if widget.can_focus else next((w for w in widget.query("*") if w.can_focus), None)
                if inner is not None:
                    inner.focus(scroll_visible=False)
                    break
        else:
            self.focus_list()
        self.app.refresh_frame()

    def back(self) -> bool:
        """`esc`: close one thing. False when nothing was open."""
        if self.opened:
            self.set_open(False)
            return True
        if self.query_text:
            self.apply_query(Query(), "")
            self.app.refresh_frame()
            return True
        return False

    def sort(self, *, reverse: bool = False, column: str = "") -> None:
        """`s`, `S`, `:sort column`."""

    def mark(self) -> None:
        """`space`."""

    def tick(self) -> None:
        """Half a minute has passed: say ages anew."""

    def refresh_data(self) -> None:
        """Ask again, in a thread. While a question is out, the next one waits, and several waiting are one."""
        self.dirty = False
        # A question that was given up goes on in a server: none is sent beside it.
        if self._busy or (self._out and self.backend.features.page_limit):
            self._again = True
            return
        self._busy = True
        self._out += 1
        self._generation += 1
        generation = self._generation
        self.app.asked(self, generation)
        self.run_worker(
            lambda: self._ask(generation),
            thread=True,
            group=f"fetch-{self.PANE}",
            exit_on_error=False,
            name=f"fetch {self.PANE}",
        )

    def noticed(self) -> None:
        """Something changed in the backend: ask again. A pane that costs much may let a moment pass."""
        self.refresh_data()

    def asks(self, generation: int) -> bool:
        """Whether this very question is still out."""
        return self._busy and generation == self._generation

    def stop_asking(self) -> bool:
        """Give up the question that is out: its answer will be dropped. False when there was none."""
        if not self._busy:
            return False
        self._generation += 1
        self._busy = self._again = False
        return True

    @property
    def busy(self) -> bool:
        return self._busy

    def _ask(self, generation: int) -> None:
        data, error = None, None
        self._fetching.generation = generation
        try:
            data = self.fetch()
        except Exception as problem:
            error = problem
        self.post_message(Fetched(generation, data, error))

    def on_fetched(self, answer: Fetched) -> None:
        if not answer.whole:
            if answer.generation == self._generation:
                self._answered(answer.data)
            return
        self._out -= 1
        if answer.generation == self._generation:
            self._busy = False
            if answer.error is not None:
                self.failed(answer.error)
            else:
                self._answered(answer.data)
        if self._again:
            self._again = False
            self.refresh_data()

    def _answered(self, data: object) -> None:
        self.loaded = True
        self.app.pane_answered(self)
        self.show(data)
        self.app.refresh_frame()

    def failed(self, error: Exception) -> None:
        """A question failed. What is on the screen stays; the frame says what is wrong."""
        self.app.pane_failed(self, error)

    def plain(self) -> str:
        """The pane as text, for screen readers and pipes."""
        lists = [widget.text() for widget in self.query(LineList) if widget.display]
        return "\n".join(text for text in lists if text)

    def fit(self, width: int, height: int) -> None:
        """Choose where details stand: as early as the size is known, so that nothing is laid out twice."""
        wide = width >= WIDE
        self.set_class(wide, "-wide")
        self.set_class(not wide and height >= 30, "-tall")

    def on_resize(self) -> None:
        self.fit(*self.size)


def split(master: Widget, details: Widget) -> ComposeResult:
    """Details beside the list when wide, below when tall, behind `enter` otherwise."""
    master.add_class("master")
    details.add_class("details")
    yield Container(master, details, classes="split")


def unexpected(error: Exception) -> bool:
    """Whether it is a fault of the program and not of the world."""
    return not isinstance(error, BackendError | OSError)
