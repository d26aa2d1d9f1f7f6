"""What is left out of an update changes nothing on the terminal, and is left out."""

from __future__ import annotations

from itertools import pairwise

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from console.safe import cell_length
from console.tui.wire import Wire, codes_of, difference

WIDTH, HEIGHT = 14, 4
CONSOLE = Console(force_terminal=True, color_system="truecolor", width=WIDTH)
STYLES = [
    None,
    Style(),
    Style(bold=True),
    Style(color="#102030"),
    Style(bgcolor="#405060"),
    Style(color="#102030", bgcolor="#405060"),
    Style(color="#a02030", bgcolor="#405060"),
    Style(color="#a02030", bgcolor="#405060", bold=True, underline=True),
    Style(color="#a02030", bgcolor="#000001", reverse=True),
    Style(color="default", bgcolor="#405060"),
]
LETTERS = "aab  1●表é"


@st.composite
def strips(draw, width: int) -> Strip:
    segments, left = [], width
    while left:
        text = draw(st.text(LETTERS, min_size=1, max_size=6))
        while cell_length(text) > left:
            text = text[:-1]
        if not text:
            text = " " * left
        segments.append(Segment(text, draw(st.sampled_from(STYLES))))
        left -= cell_length(text)
    return Strip(segments, width)


@st.composite
def frames(draw, cuts: list[int]) -> tuple[list[dict[int, Strip | None]], list[tuple[int, int, int]]]:
    """Some of the lines anew, each in the pieces that `cuts` gives."""
    chops: list[dict[int, Strip | None]] = []
    spans = []
    for y in range(HEIGHT):
        line: dict[int, Strip | None] = dict.fromkeys(cuts[:-1])
        if draw(st.booleans()):
            first, last = sorted(draw(st.tuples(st.integers(0, WIDTH), st.integers(0, WIDTH))))
            spans.append((y, first, last))
            for x, end in pairwise(cuts):
                line[x] = draw(strips(end - x))
        chops.append(line)
    return chops, spans


CUTS = st.sets(st.integers(1, WIDTH - 1), max_size=2).map(lambda found: [0, *sorted(found), WIDTH])


def shown(screen: pyte.Screen) -> list[list[tuple[object, ...]]]:
    """Each cell as one sees it: of a blank neither its letter's colour nor its weight."""
    rows = []
    for y in range(HEIGHT):
        row = []
        for x in range(WIDTH):
            cell = screen.buffer[y][x]
            letter = (cell.fg, cell.bold) if cell.data != " " or cell.reverse or cell.underscore else ()
            row.append((cell.data, cell.bg, cell.reverse, cell.underscore, *letter))
        rows.append(row)
    return rows


@settings(max_examples=80)
@given(st.data())
def test_the_screen_is_what_whole_lines_would_have_made_it(data: st.DataObject) -> None:
    plain, thrifty = pyte.Screen(WIDTH, HEIGHT), pyte.Screen(WIDTH, HEIGHT)
    whole, lean = pyte.Stream(plain), pyte.Stream(thrifty)
    wire = Wire()
    for number in range(data.draw(st.integers(2, 6))):
        cuts = data.draw(CUTS)
        update: ChopsUpdate | LayoutUpdate
        if number == 0 or data.draw(st.integers(0, 5)) == 0:
            lines = [[data.draw(strips(end - x)) for x, end in pairwise(cuts)] for _ in range(HEIGHT)]
            update = LayoutUpdate(lines, Region(0, 0, WIDTH, HEIGHT))  # type: ignore[arg-type]
        else:
            chops, spans = data.draw(frames(cuts))
            # As much as the whole piece is sent here, so as much is compared.
            spans = [(y, 0, WIDTH) for y, _, _ in spans]
            if not spans:
                continue
            update = ChopsUpdate(chops, spans, [cuts[1:]] * HEIGHT)
        whole.feed(update.render_segments(CONSOLE))
        lean.feed(wire.thrifty(update).render_segments(CONSOLE))  # type: ignore[union-attr]
        assert shown(thrifty) == shown(plain)


def sent(wire: Wire, *lines: Strip) -> str:
    chops: list[dict[int, Strip | None]] = [{0: line} for line in lines]
    update = ChopsUpdate(chops, [(y, 0, WIDTH) for y in range(len(lines))], [[WIDTH]] * len(lines))
    return str(wire.thrifty(update).render_segments(CONSOLE))  # type: ignore[union-attr]


def line(text: str, style: Style | None = None) -> Strip:
    return Strip([Segment(text.ljust(WIDTH), style)], WIDTH)


def test_of_a_line_only_what_changed_is_sent() -> None:
    wire, ink = Wire(), STYLES[5]
    assert sent(wire, line("run 12", ink)).count("run 12") == 1
    assert sent(wire, line("run 12", ink)) == ""
    assert sent(wire, line("run 13", ink)) == "\x1b[1;6H\x1b[38;2;16;32;48;48;2;64;80;96m3\x1b[0m"
    # Another background, and the next line in it: its colours are set already.
    assert sent(wire, line("run 13", STYLES[5]), line("run 14", STYLES[6])).count("48;2;64;80;96") == 1
    wire.forget()
    assert "run 13" in sent(wire, line("run 13", ink))
    assert wire.thrifty("text of somebody else") == "text of somebody else"
    assert "run 13" in sent(wire, line("run 13", ink))


def test_a_letter_of_several_signs_is_never_cut() -> None:
    old = Strip([Segment("e\u0301ab表c")], 6)
    new = Strip([Segment("e\u0300ab表d")], 6)
    assert difference(old, new) == (0, [Segment("e\u0300ab表d")])
    assert difference(Strip([Segment("●ab│c")], 5), Strip([Segment("●aX│c")], 5)) == (2, [Segment("X")])


@pytest.mark.parametrize("style", [style for style in STYLES if style is not None])
def test_codes_are_those_of_the_style(style: Style) -> None:
    parts = codes_of(style, ColorSystem.TRUECOLOR)
    assert ";".join(part for part in parts if part) == Strip.render_ansi(style, ColorSystem.TRUECOLOR)
