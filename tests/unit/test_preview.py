"""What a glance at a file says: its kind, its measures, its document, and what is wrong with it."""

from __future__ import annotations

import json
import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from backends.contract import Backend, Features, Invalid, Refused
from backends.entities import Artifact
from console.data.table_file import FIRST, opened
from console.training.preview import FETCHED, Kind, folded, hex_lines, image_measures, look_at, preview, read_text


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + b"\0" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def glance(folder: Path, name: str, content: bytes | str):
    path = folder / "content"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return preview(path, name)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("notes.txt", "hello", Kind.TEXT),
        ("model/MLmodel", "flavors:\n  sklearn: {}\n", Kind.TEXT),
        ("a.json", '{"a": 1}', Kind.JSON),
        ("a.csv", "a,b\n1,2\n", Kind.TABLE),
        ("deep/a.parquet", b"PAR1\0\0\0\0", Kind.TABLE),
        ("plot.png", png(640, 480), Kind.IMAGE),
        ("m.pkl", b"\x80\x04\x95\0\0", Kind.OTHER),
        ("empty", b"", Kind.OTHER),
        ("a.csv", b"PK\x03\x04\0\0", Kind.OTHER),
        ("latin.txt", "é".encode("latin-1") * 100, Kind.OTHER),
    ],
)
def test_a_file_is_what_its_content_says(tmp_path: Path, name: str, content: bytes | str, kind: Kind) -> None:
    assert glance(tmp_path, name, content).kind is kind


def test_pictures_tell_their_measures_as_pillow_reads_them(tmp_path: Path) -> None:
    for form in ("PNG", "GIF", "BMP", "WebP", "JPEG"):
        path = tmp_path / f"a.{form.lower()}"
        Image.new("RGB", (321, 123), (200, 30, 30)).save(path, form)
        assert image_measures(path.read_bytes()[:8192]) == (form, 321, 123)
        assert image_measures(path.read_bytes()[:9]) is None
    path = tmp_path / "lossless.webp"
    Image.new("RGBA", (321, 123), (200, 30, 30, 9)).save(path, "WebP", lossless=True)
    assert image_measures(path.read_bytes()[:8192]) == ("WebP", 321, 123)


def test_measures_of_noise_are_none_and_never_an_error() -> None:
    dice = random.Random(1)
    for start in (b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBPVP8 ", b"\xff\xd8\xff", b""):
        for length in range(40):
            image_measures(start + dice.randbytes(length))


def test_json_is_laid_out_and_folded_where_it_is_big(tmp_path: Path) -> None:
    document = {"name": "é", "values": [1, 2.5, None]}
    assert json.loads("\n".join(glance(tmp_path, "a.json", json.dumps(document)).lines)) == document
    big = glance(tmp_path, "a.json", json.dumps({"rows": [{"n": n} for n in range(5_000)]}))
    assert len(big.lines) < 2_100
    assert "4980 more" in "\n".join(big.lines)
    assert "folded" in big.facts[0]
    assert folded([[[[[1, 2]]]]]) == [[[["[… 2 items]"]]]]


@pytest.mark.parametrize("text", ['{"a": }', "[" * 100_000, "[1" + "0" * 9_999 + "]", "{", "\ufeff{}"])
def test_invalid_json_is_told_and_shown_as_text(tmp_path: Path, text: str) -> None:
    seen = glance(tmp_path, "a.json", text)
    if seen.kind is Kind.TEXT:
        assert "JSON" in seen.trouble
        assert "text" in seen.trouble
    else:
        assert text == "\ufeff{}"


def test_bytes_are_shown_as_hexdump_shows_them() -> None:
    assert hex_lines(b"PK\x03\x04" + b"a" * 14) == (
        "00000000  50 4b 03 04 61 61 61 61 61 61 61 61 61 61 61 61  PK..aaaaaaaaaaaa",
        "00000010  61 61                                            aa",
    )


@pytest.mark.parametrize("seed", range(20))
def test_text_in_pieces_is_the_text_as_a_whole(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    text = "".join(dice.choice("aé€😀\n") for _ in range(300))
    path = tmp_path / "t"
    path.write_text(text)
    at, found = 0, ""
    while (chunk := read_text(path, at, dice.randrange(1, 40))).end > at:
        assert chunk.start == at
        found, at = found + chunk.text, chunk.end
    assert found == text
    assert text.endswith(read_text(path, -50, 50).text)


def test_a_csv_is_typed_and_a_large_one_read_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,day,x\n" + "".join(f"{n},2013-01-0{n % 9 + 1},{n / 2}\n" for n in range(FIRST + 5)))
    page = opened(path, "a.csv").page(FIRST - 1, 10)
    assert [(column.name, column.type.value) for column in page.columns] == [
        ("n", "int"), ("day", "date"), ("x", "float")
    ]  # fmt: skip
    assert (page.rows[0][0], page.total, page.whole) == (FIRST - 1, FIRST, False)


def test_a_parquet_file_is_read_by_row_groups(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": list(range(1_000)), "s": ["x"] * 1_000}), path, row_group_size=100)
    page = opened(path, "a.parquet").page(250, 100)
    assert [row[0] for row in page.rows] == list(range(250, 350))
    assert (page.total, page.whole) == (1_000, True)


@pytest.mark.parametrize(("name", "content"), [("a.csv", "a,b\n1\n"), ("a.parquet", "PAR1 nothing"), ("b.csv", "\n\n")])
def test_a_table_that_is_none_says_so(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(Invalid):
        opened(path, name)


def test_a_large_file_on_a_server_is_not_fetched_for_a_look() -> None:
    server = Backend(name="far", url="mlflow:", features=Features(page_limit=100), changed=int, close=int)
    large = Artifact(run="r", path="big/model.bin", bytes=FETCHED + 1, sha256="")
    with pytest.raises(Refused, match=r"model\.bin has 50 MB and lies on a server"):
        look_at(server, large)
