"""Text with tones, turned into the strips that Textual writes.

What a pane draws is a sequence of `(text, tone)`: no markup is ever parsed, so nothing in a name can be styled or
clicked. The text comes from `safe_text` or is a literal of ours; `strip` checks once more, because what a control
character did to a terminal is not repaired afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.segment import Segment
from rich.style import Style  # noqa: TC002
from textual.strip import Strip

from console.safe import ELLIPSIS, cell_length, cut, safe_text
from console.tui.glyphs import drawn, utf8_screen
from console.tui.theme import DEFAULT, PALETTES, cursor_style, tones

Span = tuple[str, str]
Spans = Sequence[Span]


class Ink:
    """The tones of one theme."""

    def __init__(self, theme: str = DEFAULT) -> None:
        self.theme = theme if theme in PALETTES else DEFAULT
        self.palette = PALETTES[self.theme]
        self._styles = tones(self.palette)
        over = cursor_style(self.palette)
        self._cursor = {tone: style + over for tone, style in self._styles.items()}

    def style(self, tone: str = "", *, cursor: bool = False) -> Style:
        return (self._cursor if cursor else self._styles)[tone]

    def strip(self, spans: Iterable[Span], width: int, *, cursor: bool = False) -> Strip:
        """One line of exactly `width` cells; what does not fit ends in an ellipsis. Neighbours of one tone are one
        segment, because each segment costs its colour codes on the wire."""
        styles = self._cursor if cursor else self._styles
        utf8 = utf8_screen()
        left = width
        parts: list[str] = []
        tone = ""
        segments: list[Segment] = []
        following = iter(spans)
        for text, wanted in following:
            if not text:
                continue
            if not text.isprintable():
                text = safe_text(text)
            if not utf8:
                text = drawn(text)
            cells = cell_length(text)
            if cells == left and any(each.strip() for each, _ in following):
                text += ELLIPSIS  # it fits, and what comes after it does not
                cells += 1
            if cells > left:
                text = cut(text, left)
                cells = cell_length(text)
            if wanted != tone:
                if parts:
                    segments.append(Segment("".join(parts), styles[tone]))
                    parts = []
                tone = wanted
            parts.append(text)
            left -= cells
            if left <= 0:
                break
        if parts:
            segments.append(Segment("".join(parts), styles[tone]))
        if left > 0:
            segments.append(Segment(" " * left, styles[""]))
        return Strip(segments, width)


def width_of(spans: Iterable[Span]) -> int:
    return sum(cell_length(text) for text, _ in spans)


def plain(spans: Iterable[Span]) -> str:
    return "".join(text for text, _ in spans)


def fit(text: str, cells: int, *, right: bool = False) -> str:
    """The text cut or padded to exactly `cells`."""
    text = cut(text, cells)
    pad = " " * (cells - cell_length(text))
    return pad + text if right else text + pad


def spread(left: Spans, right: Spans, width: int) -> list[Span]:
    """`left` at the left edge, `right` at the right; where both do not fit, `left` gives way."""
    room = width - width_of(right)
    if room < 0:
        return list(right)
    out: list[Span] = []
    for text, tone in left:
        cells = cell_length(text)
        if cells > room:
            if room > 0:
                out.append((cut(text, room), tone))
                room -= cell_length(out[-1][0])
            break
        out.append((text, tone))
        room -= cells
    return [*out, (" " * room, ""), *right]


__all__ = ["ELLIPSIS", "Ink", "Span", "Spans", "fit", "plain", "spread", "width_of"]
