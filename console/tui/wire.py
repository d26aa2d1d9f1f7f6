"""What goes to the terminal: only cells that differ from what stands there, and no colour that is set already.

Textual writes each changed line whole, and every stretch of a colour with all its codes and a reset. Over a slow line
that is most of what a key costs. Here the lines that were sent are remembered; of one that changes its beginning and
end that stay are left out. What stands on the terminal is known only as long as all goes through here: a whole screen
is always sent whole, and what was overwritten by anything else must be forgotten by `forget`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from console.safe import cell_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

Codes = tuple[str, str, str]
"""Attributes, foreground and background of a style, as parameters of SGR."""
PLAIN: Final[Codes] = ("", "", "")


class Wire:
    """What stands on the terminal, by line and first column, as far as it is known."""

    def __init__(self) -> None:
        self._sent: dict[int, dict[int, Strip]] = {}

    def forget(self) -> None:
        """Something else has written there."""
        self._sent.clear()

    def thrifty(self, update: RenderableType | None) -> RenderableType | None:
        """The same update, as it is written through here."""
        if isinstance(update, LayoutUpdate | ChopsUpdate):
            return _Thrifty(self, update)  # type: ignore[return-value]  # Textual asks it for its text alone
        if update is not None:
            self.forget()
        return update

    def whole(self, update: LayoutUpdate, pen: _Pen) -> None:
        self.forget()
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            kept = self._sent[y] = {}
            for strip in line:
                pen.put(x, y, strip)
                kept[x] = strip
                x += strip.cell_length

    def parts(self, update: ChopsUpdate, pen: _Pen) -> None:
        for y, first, last in update.spans:
            kept = self._sent.setdefault(y, {})
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is None or x > last or end <= first:
                    continue
                before = kept.get(x)
                if before is not None and before.cell_length == strip.cell_length:
                    at, segments = difference(before, strip)
                    if segments:
                        pen.put(x + at, y, segments)
                else:
                    _clear(kept, x, x + strip.cell_length)
                    pen.put(x, y, strip)
                kept[x] = strip


def _clear(kept: dict[int, Strip], start: int, end: int) -> None:
    """Forget whatever reaches into these columns."""
    for x in [x for x, strip in kept.items() if x < end and x + strip.cell_length > start]:
        del kept[x]


class _Thrifty(CompositorUpdate):
    def __init__(self, wire: Wire, update: LayoutUpdate | ChopsUpdate) -> None:
        self._wire = wire
        self._update = update

    def render_segments(self, console: Console) -> str:
        pen = _Pen(console._color_system or ColorSystem.TRUECOLOR)
        if isinstance(self._update, LayoutUpdate):
            self._wire.whole(self._update, pen)
        else:
            self._wire.parts(self._update, pen)
        return pen.written()


class _Pen:
    """Writes segments with as few codes as their colours need."""

    def __init__(self, system: ColorSystem) -> None:
        self._system = system
        self._out: list[str] = []
        self._now = PLAIN

    def put(self, x: int, y: int, segments: Strip | Sequence[Segment]) -> None:
        out = self._out
        out.append(f"\x1b[{y + 1};{x + 1}H")
        for text, style, _ in segments:
            if style is not None and style._link:
                self._set(PLAIN)
                out.append(Strip.render_style(style, text, self._system))
                continue
            codes = PLAIN if style is None else codes_of(style, self._system)
            if codes != self._now:
                if not codes[0] and not self._now[0] and codes[2] == self._now[2] and not text.strip(" "):
                    codes = self._now  # of blanks nobody sees in which colour they are written
                self._set(codes)
            out.append(text)

    def _set(self, codes: Codes) -> None:
        now = self._now
        if codes == now:
            return
        attributes, fore, back = codes
        # What is not named stays as it was: where something has to go, all is set anew.
        if attributes == now[0] and (fore or not now[1]) and (back or not now[2]):
            named = [each for each, old in ((fore, now[1]), (back, now[2])) if each != old]
        else:
            named = ["0", *(each for each in codes if each)] if now != PLAIN else [each for each in codes if each]
        self._out.append(f"\x1b[{';'.join(named)}m")
        self._now = codes

    def written(self) -> str:
        self._set(PLAIN)
        return "".join(self._out)


@lru_cache(4096)
def codes_of(style: Style, system: ColorSystem) -> Codes:
    parts = (
        Style(color=style.color) if style.color is not None else None,
        Style(bgcolor=style.bgcolor) if style.bgcolor is not None else None,
    )
    fore, back = ("" if part is None else Strip.render_ansi(part, system) for part in parts)
    whole = Strip.render_ansi(style, system)
    rest = len(whole) - len(fore) - len(back) - (1 if fore and back else 0)
    return whole[:rest].rstrip(";"), fore, back


def difference(old: Strip, new: Strip) -> tuple[int, list[Segment]]:
    """Of two lines of one width: the column from which on they differ, and the new segments as far as they do."""
    before, after = list(old), list(new)
    at = 0
    most = min(len(before), len(after))
    while at < most and _same(before[at], after[at]):
        at += 1
    if at == len(before) == len(after):
        return 0, []
    tail = 0
    while tail < most - at and _same(before[-1 - tail], after[-1 - tail]):
        tail += 1
    column = sum(cell_length(text) for text, _, _ in after[:at])
    left, right = before[at : len(before) - tail], after[at : len(after) - tail]
    if left and right and left[0].style == right[0].style:
        same = _shared(left[0].text, right[0].text)
        column += same
        left[0], right[0] = _cut(left[0], same, None), _cut(right[0], same, None)
    if left and right and left[-1].style == right[-1].style:
        same = _shared(left[-1].text, right[-1].text, backwards=True)
        if same:
            right[-1] = _cut(right[-1], 0, -same)
    return column, [segment for segment in right if segment.text]


def _same(old: Segment, new: Segment) -> bool:
    return old.text == new.text and (old.style is new.style or old.style == new.style)


def _cut(segment: Segment, start: int, end: int | None) -> Segment:
    return Segment(segment.text[start:end], segment.style)


def _shared(old: str, new: str, *, backwards: bool = False) -> int:
    """How many letters, and so columns, two texts have in common at their beginning or end."""
    if not (single(old) and single(new)):
        return 0
    if backwards:
        old, new = old[::-1], new[::-1]
    return next(
        (at for at, (was, now) in enumerate(zip(old, new, strict=False)) if was != now), min(len(old), len(new))
    )


@lru_cache(4096)
def single(text: str) -> bool:
    """Whether each letter takes one column: then it can be cut anywhere."""
    return text.isascii() or all(cell_length(letter) == 1 for letter in text)
