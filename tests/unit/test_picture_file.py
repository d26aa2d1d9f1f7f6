"""Pictures drawn in cells: the division of each cell against every possible one, shapes, and files that are damaged."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backends.contract import Invalid
from console.mosaic import QUADRANTS, quadrants, shades
from console.training.picture_file import Ink, PictureReader, Question, Window, drawn, opened, view

SET = {sign: [bool(number & bit) for bit in (1, 2, 4, 8)] for number, sign in enumerate(QUADRANTS)}


def painted(rows: list[list[tuple[str, str, str]]], columns: int) -> np.ndarray:
    """The pixels that a terminal shows: each cell four."""
    out = np.zeros((2 * len(rows), 2 * columns, 3), dtype=int)
    for y, row in enumerate(rows):
        cells = [(sign, fore, back) for text, fore, back in row for sign in text]
        assert len(cells) == columns
        for x, (sign, fore, back) in enumerate(cells):
            for at, on in enumerate(SET[sign]):
                out[2 * y + at // 2, 2 * x + at % 2] = list(bytes.fromhex(fore if on else back))
    return out


def least(cell: np.ndarray) -> float:
    """The smallest sum of squares that any two groups of the four pixels leave."""
    found = []
    for groups in itertools.product((0, 1), repeat=4):
        miss = 0.0
        for group in (0, 1):
            inside = cell[[each == group for each in groups]]
            if len(inside):
                miss += float(((inside - inside.mean(axis=0)) ** 2).sum())
        found.append(miss)
    return min(found)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_every_cell_is_the_best_that_two_colours_give(rows: int, columns: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (2 * rows, 2 * columns, 3), dtype=np.uint8)
    shown = painted(quadrants(pixels), columns)
    for y, x in itertools.product(range(rows), range(columns)):
        part = np.s_[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        miss = float(((pixels[part].astype(float) - shown[part]) ** 2).sum())
        # Colours are whole numbers: each of twelve values may be off by half.
        assert miss <= least(pixels[part].reshape(4, 3).astype(float)) + 12 * 0.25 + 1e-6


def test_two_colours_in_any_division_are_shown_exactly_and_one_colour_is_one_run() -> None:
    for groups in itertools.product((0, 200), repeat=4):
        pixels = np.repeat(np.array(groups, dtype=np.uint8).reshape(2, 2, 1), 3, axis=2)
        assert (painted(quadrants(pixels), 1) == pixels).all()
    assert quadrants(np.full((4, 20, 3), 7, dtype=np.uint8)) == [[(" " * 10, "070707", "070707")]] * 2


def test_without_colour_brighter_is_fuller() -> None:
    grey = np.array([[0, 60, 120, 180, 255]], dtype=np.uint8)
    assert shades(grey) == [[(" ░▒▓█", "", "")]]
    assert shades(grey, " .#") == [[("  .##", "", "")]]


@given(
    st.tuples(st.integers(1, 5_000), st.integers(1, 5_000)),
    st.integers(1, 300),
    st.integers(1, 100),
    st.floats(1, 64),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_view_lies_in_the_picture_and_stretches_nothing(size, columns, rows, zoom, x, y) -> None:
    (left, upper, right, lower), wide, high = view(size, Window(x=x, y=y, zoom=zoom), columns, rows)
    assert -1e-6 <= left < right <= size[0] + 1e-6
    assert -1e-6 <= upper < lower <= size[1] + 1e-6
    assert 1 <= wide <= columns
    assert 1 <= high <= rows
    # A cell more or less is rounding; beyond that a pixel is as wide as it is high.
    across, down = wide / (right - left), 2 * high / (lower - upper)
    assert abs(across - down) <= 1.01 * max(1 / (right - left), 2 / (lower - upper))


def file(folder: Path, name: str, picture: Image.Image, **more: object) -> Path:
    picture.save(folder / name, **more)  # type: ignore[arg-type]
    return folder / name


def first(path: Path, columns: int = 8, rows: int = 4) -> tuple[int, ...]:
    """The colour of the upper left cell."""
    found = drawn(opened(path), Question(Window(), columns, rows, Ink.COLOURS))
    return tuple(bytes.fromhex(found.rows[0][0][2]))


@pytest.mark.parametrize("form", ["png", "jpg", "gif", "bmp", "webp"])
def test_each_format_is_decoded(tmp_path: Path, form: str) -> None:
    path = file(tmp_path, f"a.{form}", Image.new("RGB", (40, 40), (200, 30, 90)))
    assert np.abs(np.array(first(path)) - (200, 30, 90)).max() <= 6


def test_odd_kinds_of_pixels(tmp_path: Path) -> None:
    assert first(file(tmp_path, "clear.png", Image.new("RGBA", (10, 10), (0, 0, 0, 0)))) == (255, 255, 255)
    assert first(file(tmp_path, "grey.png", Image.new("L", (10, 10), 77))) == (77, 77, 77)
    assert first(file(tmp_path, "bits.png", Image.new("1", (10, 10), 1))) == (255, 255, 255)
    deep = Image.fromarray(np.linspace(0, 65_535, 64 * 64).astype(np.uint16).reshape(64, 64))
    found = drawn(opened(file(tmp_path, "deep.png", deep)), Question(Window(), 8, 4, Ink.SHADES))
    assert found.rows[0][0][0][0] == " "
    assert found.rows[-1][0][0][-1] == "█"
    turned = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera that was held upright
    assert opened(file(tmp_path, "turned.jpg", turned, exif=exif)).size == (20, 40)
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "white")]
    moving = file(tmp_path, "moving.gif", frames[0], save_all=True, append_images=frames[1:])
    assert drawn(opened(moving), Question(Window(), 4, 2, Ink.COLOURS)).frames == 3


@pytest.fixture
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PictureReader]:
    path = tmp_path / "picture"
    path.write_bytes(request.param)
    made = PictureReader(str(path))
    yield made
    made.close()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


BOMB = header(60_000, 60_000) + chunk(b"IDAT", zlib.compress(b"\0" * 10_000)) + chunk(b"IEND", b"")
CUT = header(100, 100) + chunk(b"IDAT", zlib.compress(b"\0" * 30_100)[:20])


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (BOMB, "up to 100 million are decoded"),
        (CUT, "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "."),
        (b"<svg/>", "no such picture"),
        (b"", "no such picture"),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4, "."),
    ],
    indirect=["reader"],
    ids=["bomb", "cut", "header", "svg", "empty", "noise"],
)
def test_a_picture_that_cannot_be_drawn_says_why(reader: PictureReader, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        reader.draw(Window(), 20, 10, Ink.COLOURS)
    with pytest.raises(Invalid, match=words):  # and lives on
        reader.draw(Window(), 10, 5, Ink.LETTERS)
