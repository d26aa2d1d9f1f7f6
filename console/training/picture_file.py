"""Draws a picture file in cells: `python -m console.training.picture_file FILE`, which stays (see `standing`).

Pictures come from outside: they are decoded here, by few decoders, under a limit of pixels and of memory, and never in
the console.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from backends.contract import Invalid
from backends.entities import Record
from console.mosaic import LETTERS, SHADES, Run, quadrants, shades
from console.speaker import Speaker, answer
from console.standing import Standing

if TYPE_CHECKING:
    from PIL.Image import Image

MODULE: Final = "console.training.picture_file"

FORMATS: Final = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
PIXELS: Final = 100_000_000
MEMORY: Final = 2 * 1024**3
"""Bytes of address space: a picture of as many pixels, and what decodes it."""
COLOURS: Final = 64
"""A view is drawn in as many: what is alike becomes one run, and less goes through the line."""
CELLS: Final = 1_000
"""Columns or rows of a view."""
CELL_SHAPE: Final = 2.0
"""Height of a character by its width."""


class Ink(StrEnum):
    """What the terminal can show."""

    COLOURS = "colours"
    SHADES = "shades"
    LETTERS = "letters"


class Window(Record, frozen=True, kw_only=True):
    """The part of a picture that is looked at: its middle as shares of width and height, and how many times nearer
    than the whole."""

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0


class Drawn(Record, frozen=True, kw_only=True):
    """A view: rows of runs, narrower or lower than asked where the picture's shape wants it."""

    rows: tuple[tuple[Run, ...], ...]
    width: int
    height: int
    """Pixels of the picture."""
    frames: int = 1
    shown: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Left, upper, right and lower edge of what is seen, in pixels."""


class Question(msgspec.Struct):
    window: Window
    columns: int
    rows: int
    ink: Ink


class PictureReader:
    """Safe to use from threads. The process begins with the first question."""

    def __init__(self, path: str) -> None:
        self._process = Standing(MODULE, [path])

    def draw(self, window: Window, columns: int, rows: int, ink: Ink) -> Drawn:
        """Invalid where the file is damaged, larger than is decoded, or no such picture."""
        return msgspec.convert(self._process.ask(Question(window, columns, rows, ink)), Drawn)

    def close(self) -> None:
        self._process.close()


def view(size: tuple[int, int], window: Window, columns: int, rows: int) -> tuple[list[float], int, int]:
    """What is seen of a picture of this size in so many cells, as left, upper, right, lower in pixels; and how many
    columns and rows it takes. No side is stretched against the other, and nothing beyond the edge is seen."""
    width, height = size
    whole = min(columns / width, rows * CELL_SHAPE / height)  # cells' widths a pixel
    scale = whole * max(1.0, window.zoom)
    across, down = min(width, columns / scale), min(height, rows * CELL_SHAPE / scale)
    left = min(max(window.x * width - across / 2, 0), width - across)
    upper = min(max(window.y * height - down / 2, 0), height - down)
    taken = max(1, min(columns, round(across * scale))), max(1, min(rows, round(down * scale / CELL_SHAPE)))
    return [left, upper, left + across, upper + down], *taken


def drawn(picture: Image, question: Question) -> Drawn:
    """The view that is asked for."""
    import numpy as np
    from PIL.Image import Resampling

    columns, rows = (min(max(1, each), CELLS) for each in (question.columns, question.rows))
    box, columns, rows = view(picture.size, question.window, columns, rows)
    fine = 2 if question.ink is Ink.COLOURS else 1
    # Nearer than the pixels themselves they stay squares; else each cell is the mean of what it covers.
    nearer = columns * fine > box[2] - box[0]
    how = Resampling.NEAREST if nearer else Resampling.BOX
    small = picture.resize((columns * fine, rows * fine), how, box=(box[0], box[1], box[2], box[3]))
    found: list[list[Run]]
    if question.ink is Ink.COLOURS:
        found = quadrants(np.asarray(small.quantize(COLOURS).convert("RGB")))
    else:
        found = shades(np.asarray(small.convert("L")), SHADES if question.ink is Ink.SHADES else LETTERS)
    return Drawn(
        rows=tuple(tuple(row) for row in found),
        width=picture.size[0],
        height=picture.size[1],
        frames=int(getattr(picture, "frames", 1)),
        shown=(round(box[0]), round(box[1]), round(box[2]), round(box[3])),
    )


def opened(path: Path) -> Image:
    """The first frame on white, in RGB; the number of frames as its `frames`. Invalid where it cannot be decoded."""
    import PIL
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and told in our words
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture: Any = Image.open(path, formats=FORMATS)
        width, height = picture.size
        if width * height > PIXELS:
            raise Invalid(
                f"it has {width} × {height} pixels; up to {PIXELS // 1_000_000} million are decoded for a look. "
                "Save it, and look at the copy.",
                "path",
            )
        frames = getattr(picture, "n_frames", 1)
        picture.seek(0)
        picture = ImageOps.exif_transpose(picture)
        picture = _on_white(picture)
    except PIL.UnidentifiedImageError as error:
        raise Invalid("it is no such picture, or damaged at its beginning.", "path") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, ZeroDivisionError, MemoryError) as error:
        # All of these come out of decoders that meet a damaged file.
        raise Invalid(f"it cannot be decoded: {str(error) or type(error).__name__}.", "path") from error
    picture.frames = frames
    return picture  # type: ignore[no-any-return]


def _on_white(picture: Image) -> Image:
    """What is transparent is white: plots are made for paper."""
    from PIL import Image

    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        paper.alpha_composite(seen)
        return paper.convert("RGB")
    if picture.mode.startswith("I") or picture.mode == "F":  # more than eight bits: `convert` would cut, not scale
        low, high = picture.getextrema()
        span = float(high) - float(low) or 1.0  # type: ignore[arg-type]
        scaled = picture.convert("F").point(lambda each: (each - low) * (255.0 / span))
        return scaled.convert("L").convert("RGB")
    return picture.convert("RGB")


def main(argv: list[str]) -> int:
    with contextlib.suppress(ValueError, OSError):  # where less is allowed already, that holds
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    picture: Image | None = None

    def work(question: Question, _: Speaker) -> Drawn:
        nonlocal picture
        picture = picture or opened(Path(argv[0]))
        return drawn(picture, question)

    return answer(Question, work)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
