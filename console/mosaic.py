"""A picture in characters: four pixels to a cell, told apart by two colours and one of the quadrant blocks.

Of a cell's four pixels eight divisions in two groups exist; the one whose groups differ least from their own mean is
drawn (least squares, as k-means with two groups solved by trying each).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUADRANTS: Final = " ▘▝▀▖▌▞▛"
"""By the bits of the pixels in the first colour: upper left 1, upper right 2, lower left 4. The lower right one is
always in the second: the other eight blocks are these with their colours changed over."""
SHADES: Final = " ░▒▓█"
LETTERS: Final = " .:-=+*#%@"

Run = tuple[str, str, str]
"""Characters beside each other with the same colours, as `rrggbb`; empty: the terminal's own."""

_MASKS = np.array([[bool(mask & bit) for bit in (1, 2, 4, 8)] for mask in range(8)])


def quadrants(pixels: NDArray[np.uint8]) -> list[list[Run]]:
    """Rows of runs for pixels of shape (2·rows, 2·columns, 3)."""
    rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
    cells = pixels.reshape(rows, 2, columns, 2, 3).transpose(0, 2, 1, 3, 4).reshape(rows, columns, 4, 3).astype(float)
    best = np.full((rows, columns), np.inf)
    chosen = np.zeros((rows, columns), dtype=int)
    first = np.zeros((rows, columns, 3))
    second = np.zeros((rows, columns, 3))
    for number, mask in enumerate(_MASKS):
        back = cells[:, :, ~mask].mean(axis=2)
        fore = cells[:, :, mask].mean(axis=2) if mask.any() else back
        miss = ((cells[:, :, ~mask] - back[:, :, None]) ** 2).sum(axis=(2, 3))
        miss += ((cells[:, :, mask] - fore[:, :, None]) ** 2).sum(axis=(2, 3))
        # Fewer colours where it is as good: `mask` 0 comes first and stays.
        nearer = miss < best - 1e-6
        best[nearer], chosen[nearer] = miss[nearer], number
        first[nearer], second[nearer] = fore[nearer], back[nearer]
    signs = [[QUADRANTS[number] for number in row] for row in chosen.tolist()]
    return _runs(signs, _hex(first), _hex(second))


def shades(pixels: NDArray[np.uint8], signs: str = SHADES) -> list[list[Run]]:
    """Rows of runs without colour for grey pixels of shape (rows, columns): the brighter, the more of the cell is
    set."""
    at = (pixels.astype(int) * len(signs)) // 256
    return [[("".join(signs[each] for each in row), "", "")] for row in at.tolist()]


def _hex(colours: NDArray[np.float64]) -> list[list[str]]:
    whole = np.rint(colours).astype(np.uint32)
    packed = whole[:, :, 0] << 16 | whole[:, :, 1] << 8 | whole[:, :, 2]
    return [[f"{each:06x}" for each in row] for row in packed.tolist()]


def _runs(signs: list[list[str]], first: list[list[str]], second: list[list[str]]) -> list[list[Run]]:
    found = []
    for row in zip(signs, first, second, strict=True):
        runs: list[Run] = []
        for sign, fore, back in zip(*row, strict=True):
            if runs and (runs[-1][1], runs[-1][2]) == (fore, back):
                runs[-1] = (runs[-1][0] + sign, fore, back)
            else:
                runs.append((sign, fore, back))
        found.append(runs)
    return found
