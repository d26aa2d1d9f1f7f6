"""A picture on the full screen, drawn in cells; what a terminal can't show well is read nearer."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

from backends.contract import BackendError
from console.safe import safe_text
from console.training.picture_file import Drawn, Ink, PictureReader, Window, view
from console.training.preview import Preview
from console.tui.actions import BY_ID, shown_key
from console.tui.frame import OneLine
from console.tui.glyphs import utf8_screen
from console.tui.reading import ReadingScreen
from console.wording import plural, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult

    from console.mosaic import Run
    from console.tui import ink
    from console.tui.lines import Line

ZOOM = 1.5
FARTHEST, NEAREST = 1.0, 64.0
PAN = 0.25
"""Part of what is shown."""
KEYS: dict[str, str] = {"chart.in": "zoom(1)", "chart.out": "zoom(-1)", "chart.whole": "whole"}
"""What is done to a picture, by the action that does it to a chart: the keys are the same, own ones too."""


class PictureView(Widget, can_focus=True):
    """The rows of a view, in its middle."""

    DEFAULT_CSS = "PictureView { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._strips: list[Strip] = []

    def put(self, rows: Sequence[Sequence[Run]]) -> None:
        width = self.size.width
        lines = [Strip([Segment(text, _style(fore, back)) for text, fore, back in row]) for row in rows]
        above = max(0, self.size.height - len(lines)) // 2
        empty = Strip.blank(width)
        self._strips = [empty] * above
        for line in lines:
            left = max(0, width - line.cell_length) // 2
            self._strips.append(Strip([Segment(" " * left), *line]).adjust_cell_length(width))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def plain(self) -> str:
        return "\n".join(strip.text.rstrip() for strip in self._strips)


def _style(fore: str, back: str) -> Style:
    return Style(color=_colour(fore), bgcolor=_colour(back))


def _colour(code: str) -> Color | None:
    return Color.from_rgb(*bytes.fromhex(code)) if code else None


class PictureScreen(ReadingScreen):
    """Drawn by a process of its own, again with every size and window; its bytes and measures where it can't be."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "pan(-1, 0)", "left", id="picture.left", show=False, tooltip="Move to the left."),
        Binding("right,l", "pan(1, 0)", "right", id="picture.right", show=False, tooltip="Move to the right."),
        Binding("up,k", "pan(0, -1)", "up", id="picture.up", show=False, tooltip="Move up."),
        Binding("down,j", "pan(0, 1)", "down", id="picture.down", show=False, tooltip="Move down."),
    ]

    def __init__(self, title: str, seen: Preview, lines: Sequence[Line]) -> None:
        super().__init__(title, lines)
        self._seen = seen
        self._reader = PictureReader(seen.path)
        self._wanted = Window()
        self._drawn: Drawn | None = None
        self._asked: tuple[Window, int, int] | None = None
        self._drawing = False

    def compose(self) -> ComposeResult:
        for widget in super().compose():
            if widget.id == "reading":
                yield OneLine(id="reading-facts")
                yield PictureView(id="reading-picture")
            yield widget

    @property
    def view(self) -> PictureView:
        return self.query_one("#reading-picture", PictureView)

    def on_mount(self, event: events.Mount) -> None:  # type: ignore[override]
        event.prevent_default()  # the lines come only where it cannot be drawn
        self.query_one("#reading-title", OneLine).say([(f" {safe_text(self.heading, 200)}", "head")])
        self.body.display = False
        for action, does in KEYS.items():
            if keys := self.app.keymap.keys.get(action, BY_ID[action].key):
                self._bindings.bind(keys, does, show=False)
        self.query_one("#reading-keys", OneLine).say(self.keys())
        self._say("drawing…")
        self.view.focus(scroll_visible=False)

    def keys(self) -> ink.Spans:
        if self.body.display:
            return super().keys()
        shown: list[ink.Span] = [(" esc", "key"), (" back   ", "dim")]
        for action, label in (("chart.in", "nearer"), ("chart.out", "farther"), ("chart.whole", "whole")):
            if key := self.app.keymap.keys.get(action, BY_ID[action].key).split(",")[0]:
                shown += [(shown_key(key), "key"), (f" {label}   ", "dim")]
        return [*shown, ("← → ↑ ↓", "key"), (" move", "dim")]

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    # ------------------------------------------------------------ window

    def action_zoom(self, by: int) -> None:
        zoom = min(max(self._wanted.zoom * ZOOM**by, FARTHEST), NEAREST)
        self._look(replace(self._wanted, zoom=zoom))

    def action_whole(self) -> None:
        self._look(Window())

    def action_pan(self, across: int, down: int) -> None:
        if self.body.display:
            if down:
                self.body.action_step(down)
            return
        if self._drawn is None:
            return
        whole = self._drawn.width, self._drawn.height
        # Of what is wanted, which may not be drawn yet.
        (left, upper, right, lower), _, _ = view(whole, self._wanted, *self.view.size)
        wide, high = (right - left) / whole[0], (lower - upper) / whole[1]
        x = min(max(self._wanted.x + across * PAN * wide, wide / 2), 1 - wide / 2)
        y = min(max(self._wanted.y + down * PAN * high, high / 2), 1 - high / 2)
        self._look(replace(self._wanted, x=x, y=y))

    def _look(self, window: Window) -> None:
        self._wanted = window
        self._draw()

    # ------------------------------------------------------------ drawing

    def _draw(self) -> None:
        """One view after another: while one is drawn the newest that is wanted waits."""
        if not self._drawing and not self.body.display:
            self._drawing = True
            self.run_worker(self._go_on(), group="picture", exit_on_error=True)

    async def _go_on(self) -> None:
        try:
            while (asked := (self._wanted, *self.view.size)) != self._asked and asked[1] and asked[2]:
                self._asked = asked
                window, columns, rows = asked
                try:
                    drawn = await self.app.look_up(lambda: self._reader.draw(window, columns, rows, self._ink()))  # noqa: B023
                except BackendError as error:
                    self._give_up(error)
                    return
                self._drawn = drawn
                self.view.put(drawn.rows)
                self._say("")
        finally:
            self._drawing = False

    def _ink(self) -> Ink:
        if not utf8_screen():
            return Ink.LETTERS
        few = self.app.console.color_system not in ("256", "truecolor")
        return Ink.SHADES if few or "NO_COLOR" in os.environ else Ink.COLOURS

    def _give_up(self, error: BackendError) -> None:
        self.view.display = False
        self.body.display = True
        self.body.set_lines(self.initial)
        self.body.focus(scroll_visible=False)
        self.query_one("#reading-facts", OneLine).say([(f" {safe_text(error, 300)}", "warn")])
        self.query_one("#reading-keys", OneLine).say(self.keys())

    def _say(self, doing: str) -> None:
        parts = [*self._seen.facts, size(self._seen.bytes)]
        if self._drawn is not None:
            if self._drawn.frames > 1:
                parts.append(f"the first of {plural(self._drawn.frames, 'frame')}")
            left, upper, right, lower = self._drawn.shown
            if (right - left, lower - upper) != (self._drawn.width, self._drawn.height):
                parts.append(f"columns {left} … {right}, rows {upper} … {lower}")
        words = ", ".join([*parts, *([doing] if doing else [])])
        self.query_one("#reading-facts", OneLine).say([(f" {safe_text(words, 300)}", "dim")])

    def action_copy(self) -> None:
        from console.tui.clipboard import copy

        self.app.tell(copy(self.app, self.body.text() if self.body.display else self.view.plain()))

    def on_unmount(self) -> None:
        threading.Thread(target=self._reader.close, daemon=True).start()  # it may have a question out
