"""Lines on a canvas of characters: two by four dots to a braille cell.

Our own, because a plotting library costs 0.2 s to import and 5 ms a line: more than a redraw of eight runs may take in
all. Coordinates are dots of the canvas from the lower left.
"""

from __future__ import annotations

from collections.abc import Sequence

DOTS_X = 2
DOTS_Y = 4
"""Dots of a braille character."""

Cell = tuple[int, int, str]
"""Row from above, column, character."""

_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)
"""Bits of a braille character, from its lowest dot."""

_BRAILLE = tuple(
    chr(
        0x2800
        + sum(_LEFT[i] for i in range(4) if bits >> i & 1)
        + sum(_RIGHT[i] for i in range(4) if bits >> 4 + i & 1)
    )
    for bits in range(256)
)


def trace(
    lines: Sequence[Sequence[tuple[float, float]]], columns: int, rows: int, *, marker: str = "braille"
) -> list[Cell]:
    """The cells that the lines touch; each line is in order of x.

    Coordinates are 0 … 2·columns-1 and 0 … 4·rows-1; others are moved to the edge. Any other marker than `braille` is
    the character that stands in each cell.
    """
    right, top = DOTS_X * columns - 1, DOTS_Y * rows - 1
    dots = [0] * (right + 1)
    """For each column of dots the rows that are set, as bits."""
    for line in lines:
        last_x, last_y = -1, 0.0
        for at_x, at_y in line:
            x = 0 if at_x < 0 else right if at_x > right else int(at_x + 0.5)
            y = 0.0 if at_y < 0 else float(top) if at_y > top else at_y
            if last_x < 0:
                if len(line) == 1:  # a lone point would be one dot: make it visible
                    _stroke(dots, x, max(0.0, y - 1), min(float(top), y + 1))
            elif x <= last_x:
                _stroke(dots, x, last_y, y)
            else:
                # Each column takes the stretch of the line from half a dot before it to half a dot behind.
                slope = (y - last_y) / (x - last_x)
                since = int(last_y + 0.5)
                upto = last_y + slope / 2 + 0.5
                for here in range(last_x, x):
                    until = int(upto)
                    # Written out: this is where all the time of a picture goes.
                    dots[here] |= (2 << until) - (1 << since) if since <= until else (2 << since) - (1 << until)
                    since = until
                    upto += slope
                _stroke(dots, x, since, y)
            last_x, last_y = x, y
    found: list[Cell] = []
    for column in range(columns):
        first, second = dots[2 * column], dots[2 * column + 1]
        row = rows - 1
        while first or second:
            bits = first & 15 | (second & 15) << 4
            if bits:
                found.append((row, column, _BRAILLE[bits] if marker == "braille" else marker))
            first >>= 4
            second >>= 4
            row -= 1
    return found


def _stroke(dots: list[int], x: int, one: float, other: float) -> None:
    low, high = (int(one + 0.5), int(other + 0.5)) if one <= other else (int(other + 0.5), int(one + 0.5))
    dots[x] |= (2 << high) - (1 << low)
