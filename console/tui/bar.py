"""An input line at the foot of the frame: what the command bar and the filter bar share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from console.safe import cell_length, safe_typed
from console.tui.frame import OneLine

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.strip import Strip

    from console.tui.app import ConsoleApp


class Line(Input):
    """Textual's input, still and quiet: no blinking, no border.

    Its value is what was typed or pasted; on the screen it and the completion behind it are as harmless as all else.
    """

    DEFAULT_CSS = """
    Line { height: 1; border: none; padding: 0; width: 1fr; background: $background; color: $foreground; }
    Line:focus { border: none; background: $background; background-tint: $background 0%; }
    Line > .input--suggestion, Line > .input--placeholder { color: $dim; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "accept", "complete", id="bar.complete", show=False, tooltip="Take the completion shown."),
    ]

    def on_mount(self) -> None:
        self.cursor_blink = False

    @property
    def _value(self) -> Text:
        return Text(safe_typed(self.value), no_wrap=True, overflow="ignore", end="")

    def render_line(self, y: int) -> Strip:
        offered = self._suggestion
        self.set_reactive(Input._suggestion, safe_typed(offered))
        try:
            return super().render_line(y)
        finally:
            self.set_reactive(Input._suggestion, offered)

    def _position_to_cell(self, position: int) -> int:
        return cell_length(safe_typed(self.value[:position]))

    def _cell_offset_to_index(self, offset: int) -> int:
        left = offset + self.scroll_offset.x
        for index, character in enumerate(safe_typed(self.value)):
            left -= cell_length(character)
            if left < 0:
                return index
        return len(self.value)

    def action_accept(self) -> None:
        if not self._suggestion:
            raise SkipAction  # in a form, tab goes to the next line
        self.action_cursor_right() if self.cursor_position == len(self.value) else self.action_end()


class Bar(Vertical):
    """The line, its sign, and a line of hints over it."""

    DEFAULT_CSS = """
    Bar { height: auto; width: 1fr; }
    Bar > Horizontal { height: 1; }
    Bar > Horizontal > .sign { width: 3; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape", "cancel", "cancel", id="bar.cancel", show=False, tooltip="Leave the line; nothing is changed."
        ),
    ]

    SIGN = ":"

    if TYPE_CHECKING:

        @property
        def app(self) -> ConsoleApp: ...  # type: ignore[override]

    def compose(self) -> ComposeResult:
        yield OneLine(id="bar-hint")
        self._sign = OneLine(id="bar-sign")
        self._sign.add_class("sign")
        self._line = self.line()
        yield Horizontal(self._sign, self._line)

    def line(self) -> Line:
        return Line(id="bar-line")

    def on_mount(self) -> None:
        self._sign.say([(f" {self.SIGN} ", "key")])
        self.app.frame.query_one("#footer").display = False
        self.call_after_refresh(self._take_keyboard)

    def _take_keyboard(self) -> None:
        # At once, where `focus` would do it later: an enter among what was typed belongs to this line.
        self.screen.set_focus(self._line, scroll_visible=False)
        # From the app, because a key made by this bar would not rise above it to where enter is bound.
        self.app.call_later(self.app.type_ahead.give, self._line)

    def on_unmount(self) -> None:
        if self.app.is_running and self.app.frame.is_mounted:
            self.app.frame.query_one("#footer").display = True

    def action_cancel(self) -> None:
        self.close()

    def close(self) -> None:
        self.remove()
        self.app.focus_list()
