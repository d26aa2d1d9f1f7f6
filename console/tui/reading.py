"""A full screen of text to read: a description, an error, a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from console.safe import safe_text
from console.tui.frame import OneLine, Rule
from console.tui.lines import Line, LineList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from console.tui import ink
    from console.tui.app import ConsoleApp


class ReadingScreen(ModalScreen[None]):
    """Lines that scroll; esc goes back, y copies all of it."""

    DEFAULT_CSS = "ReadingScreen { layout: vertical; background: $background; }"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "back", id="reading.back", tooltip="Back."),
        Binding("y", "copy", "copy all", id="reading.copy", tooltip="Copy the whole text."),
    ]

    if TYPE_CHECKING:

        @property
        def app(self) -> ConsoleApp: ...  # type: ignore[override]

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self.heading = title
        self.initial = lines

    def compose(self) -> ComposeResult:
        yield OneLine(id="reading-title")
        yield Rule()
        yield LineList(id="reading")
        yield Rule()
        yield OneLine(id="reading-keys")

    @property
    def body(self) -> LineList:
        return self.query_one("#reading", LineList)

    def on_mount(self) -> None:
        self.query_one("#reading-title", OneLine).say([(f" {safe_text(self.heading, 200)}", "head")])
        self.query_one("#reading-keys", OneLine).say(self.keys())
        self.body.set_lines(self.initial)
        self.body.focus(scroll_visible=False)

    def show(self, lines: Sequence[Line]) -> None:
        """Other lines in the place of these; nothing where it was left meanwhile."""
        self.initial = lines
        for body in self.query("#reading").results(LineList):
            body.set_lines(lines)

    def keys(self) -> ink.Spans:
        return [
            (" esc", "key"),
            (" back   ", "dim"),
            ("y", "key"),
            (" copy all   ", "dim"),
            ("↑ ↓", "key"),
            (" scroll", "dim"),
        ]

    def action_close(self) -> None:
        self.dismiss(None)

    def action_copy(self) -> None:
        from console.tui.clipboard import copy

        self.app.tell(copy(self.app, self.body.text()))
