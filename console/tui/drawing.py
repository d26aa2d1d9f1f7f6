"""A widget that is a list of finished lines, and sends to the terminal only those that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from console.tui.ink import Ink

if TYPE_CHECKING:
    from collections.abc import Sequence


class Drawing(Widget):
    """Subclasses make the lines in `drawn_lines` and call `paint` when something changed; nothing else is ever sent."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: list[Strip] = []
        self._own_ink: Ink | None = None

    @property
    def ink(self) -> Ink:
        """The tones of the theme that is on."""
        if self._own_ink is None:
            self._own_ink = Ink(self.app.theme)
        return self._own_ink

    def drawn_lines(self, width: int, height: int) -> Sequence[Strip]:  # noqa: ARG002
        """Up to `height` lines of exactly `width` cells. What is missing is blank."""
        return ()

    def restyled(self) -> None:
        """The theme is another: what was kept in the old colours is void."""

    def patch(self, changed: dict[int, Strip]) -> None:
        """Change single lines of what is drawn."""
        width = self.size.width
        regions = []
        for y, strip in changed.items():
            if 0 <= y < len(self._lines) and self._lines[y] != strip:
                self._lines[y] = strip
                regions.append(Region(0, y, width, 1))
        if regions:
            self.refresh(*regions)

    def paint(self) -> None:
        """Bring the lines up to date and send those that read differently."""
        width, height = self.size
        if not width or not height or not self.is_mounted:
            return
        lines = list(self.drawn_lines(width, height))[:height]
        if len(lines) < height:
            lines.extend([Strip.blank(width, self.ink.style())] * (height - len(lines)))
        old, self._lines = self._lines, lines
        if len(old) != len(lines):
            self.refresh()
            return
        # Neighbouring lines go as one region, since each region is positioned by itself.
        regions: list[Region] = []
        for y, (before, after) in enumerate(zip(old, lines, strict=True)):
            if before is after or before == after:
                continue
            if regions and regions[-1].bottom == y:
                regions[-1] = Region(0, regions[-1].y, width, regions[-1].height + 1)
            else:
                regions.append(Region(0, y, width, 1))
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        if y < len(self._lines):
            return self._lines[y]
        return Strip.blank(self.size.width, self.ink.style())

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines as they are: there is no border or padding to add, and for every key that changes two lines of
        the screen Textual asks each widget for all of its own."""
        width, height = self.size
        strips = self._lines[crop.y : crop.bottom]
        if len(strips) < crop.height:
            blank = Strip.blank(width, self.ink.style())
            strips = strips + [blank] * (min(height, crop.bottom) - crop.y - len(strips))
        filters = self.get_line_filters()
        if filters:
            background = self.background_colors[1]
            for each in filters:
                strips = [strip.apply_filter(each, background) for strip in strips]
        if crop.x or crop.width != width:
            strips = [strip.crop(crop.x, crop.right) for strip in strips]
        return strips

    def on_resize(self) -> None:
        self._lines = []
        self.paint()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self._own_ink is not None and self._own_ink.theme == Ink(self.app.theme).theme:
            return  # styles were computed anew, the colours are the same
        self._own_ink = None
        self.restyled()
        self.paint()
