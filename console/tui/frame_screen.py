"""The one screen that stays, under all dialogs: lines around a pane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.containers import Container
from textual.screen import Screen
from textual.strip import Strip

from console.tui import frame
from console.tui.compositor import NearCompositor
from console.tui.errors import ErrorLine

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from console.tui.app import ConsoleApp

AROUND = 5
"""Lines of the frame around a pane."""

LEAST = (72, 20)
"""Columns and rows under which the frame says that it does not fit."""


class Frame(Screen[None]):
    """The one screen that stays: lines around a pane."""

    DEFAULT_CSS = """
    Frame { layout: vertical; background: $background; color: $foreground; }
    Frame > #panes { height: 1fr; width: 1fr; }
    Frame > #stale { display: none; }
    Frame > #work { display: none; }
    Frame.-small > * { display: none; }
    Frame.-small > #small { display: block; height: 3; }
    Frame > #small { display: none; }
    """

    if TYPE_CHECKING:

        @property
        def app(self) -> ConsoleApp: ...  # type: ignore[override]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._compositor = NearCompositor()

    def compose(self) -> ComposeResult:
        yield frame.OneLine(id="header")
        yield frame.Tabs(id="tabs")
        yield frame.Rule(id="rule-top")
        yield Container(id="panes")
        yield frame.OneLine(id="work")
        yield frame.OneLine(id="stale")
        yield ErrorLine(id="error")
        yield frame.Rule(id="rule-bottom")
        yield frame.OneLine(id="footer")
        yield frame.OneLine(id="small")

    def on_mount(self) -> None:
        self.app.begin()

    def _compositor_refresh(self) -> None:
        # While updates are held back Textual draws everything and throws it away; here it stays to be drawn.
        if not self.app._batch_count:
            super()._compositor_refresh()

    def texts(self) -> list[Strip]:
        """What is on the screen, line by line, with the first saying that it is not live."""
        strips = list(self._compositor.render_strips())
        width = self.size.width
        strips[0] = Strip([Segment(" mlops-console".ljust(width - 11) + " opening … ")])
        return strips

    def on_resize(self, event: events.Resize) -> None:
        small = event.size.width < LEAST[0] or event.size.height < LEAST[1]
        self.set_class(small, "-small")
        if small:
            self.query_one("#small", frame.OneLine).say(
                [(f" {event.size.width}x{event.size.height} is too small: this needs {LEAST[0]}x{LEAST[1]} ", "warn")]
            )
        self.app.refresh_frame()
