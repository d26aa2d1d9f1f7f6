"""What is in a file that a run left, as far as it can be shown: text, JSON, a table, a picture's measures, bytes.

Nothing here is more than a glance: no file is read whole but a small JSON one, and tables are read by a process of
their own (`console.data.table_file`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from backends.contract import Backend, Refused
from backends.entities import Artifact, LogChunk, Record
from console.wording import plural, size

FETCHED: Final = 50 * 1000 * 1000
"""Bytes of a file elsewhere that is fetched to be looked at."""
JSON_MOST: Final = 4 * 1000 * 1000
"""Bytes of a JSON file that is read whole and laid out."""
LINES_MOST: Final = 2_000
"""Lines of a laid out document; a longer one is folded."""
HEAD: Final = 8_192
BYTES_SHOWN: Final = 256


class Kind(StrEnum):
    TEXT = "text"
    JSON = "json"
    TABLE = "table"
    IMAGE = "image"
    OTHER = "other"


class Preview(Record, frozen=True, kw_only=True):
    """What a glance at a file says. `path` is where it lies on this machine."""

    name: str
    kind: Kind
    path: str
    bytes: int
    facts: tuple[str, ...] = ()
    """What is known of it beside its size, in words."""
    lines: tuple[str, ...] = ()
    """A laid out document, or bytes; a text and a table are read by whoever shows them."""
    trouble: str = ""
    """Why it is not shown as what its name says."""


def local(backend: Backend) -> bool:
    """Whether its files lie on this machine and cost nothing to open."""
    return not backend.features.page_limit


def look_at(backend: Backend, found: Artifact, fetched: Callable[[int], object] | None = None) -> Preview:
    """Blocks. Refused where a file elsewhere is too large to be fetched for a look."""
    if found.bytes > FETCHED and not local(backend):
        raise Refused(
            f"{found.path.rpartition('/')[2]} has {size(found.bytes)} and lies on a server; up to {size(FETCHED)} are "
            "fetched for a look. Save it, and look at the copy."
        )
    return preview(backend.need("artifacts").open(found.run, found.path, fetched=fetched), found.path)


def preview(path: Path, name: str) -> Preview:
    """A glance at a file; `name` is what it is called, which may say more than its content."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    count = path.stat().st_size
    last = name.rpartition("/")[2].lower()

    def made(kind: Kind, **more: Any) -> Preview:
        return Preview(name=name, kind=kind, path=str(path), bytes=count, **more)

    picture = image_measures(head)
    if picture is not None:
        form, width, height = picture
        return made(Kind.IMAGE, facts=(f"{form} picture", f"{width} × {height} pixels"), lines=hex_lines(head))
    if head[:4] == b"PAR1":
        return made(Kind.TABLE, facts=("Parquet",))
    if last.endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz")) and (last.endswith(".gz") or not _binary(head)):
        return made(Kind.TABLE, facts=("TSV" if ".tsv" in last else "CSV",))
    if _binary(head):
        said = "empty" if not count else f"the first {min(BYTES_SHOWN, count)} of {plural(count, 'byte')}"
        return made(Kind.OTHER, facts=(_signature(head), said), lines=hex_lines(head))
    if last.endswith((".json", ".ipynb", ".geojson")):
        return _laid_out(path, made, count)
    return made(Kind.TEXT)


def _laid_out(path: Path, made: Callable[..., Preview], count: int) -> Preview:
    if count > JSON_MOST:
        return made(Kind.TEXT, trouble=f"JSON over {size(JSON_MOST)} is shown as the text that it is")
    try:
        document = json.loads(path.read_bytes())
    except RecursionError:
        return made(Kind.TEXT, trouble="JSON that is nested too deeply; this is its text")
    except ValueError as error:
        return made(Kind.TEXT, trouble=f"no valid JSON: {error}; this is its text")
    lines = pretty(document)
    facts: tuple[str, ...] = ()
    if len(lines) > LINES_MOST:
        lines, facts = pretty(folded(document)), ("folded: long lists and deep values in short",)
        if len(lines) > LINES_MOST:
            lines = [*lines[:LINES_MOST], f"… {plural(len(lines) - LINES_MOST, 'line')} more"]
    return made(Kind.JSON, facts=facts, lines=tuple(lines))


def pretty(document: Any) -> list[str]:
    return json.dumps(document, indent=2, ensure_ascii=False).split("\n")


def folded(document: Any, depth: int = 0, *, items: int = 20, deepest: int = 4) -> Any:
    """The document with its first items of each list, and what is deeper as a count."""
    if isinstance(document, dict):
        if depth >= deepest:
            return f"{{… {plural(len(document), 'key')}}}"
        inner = {key: folded(document[key], depth + 1) for key in list(document)[: 10 * items]}
        more = len(document) - len(inner)
        return {**inner, "…": f"{more} more"} if more else inner
    if isinstance(document, list):
        if depth >= deepest and document:
            return f"[… {plural(len(document), 'item')}]"
        more = len(document) - items
        return [folded(each, depth + 1) for each in document[:items]] + ([f"… {more} more"] if more > 0 else [])
    if isinstance(document, str) and len(document) > 500:
        return f"{document[:500]}… {len(document) - 500} more characters"
    return document


def _binary(head: bytes) -> bool:
    """NUL, or much that is no UTF-8: not text."""
    if b"\0" in head or not head:
        return True
    text = head.decode("utf-8", "replace")
    return text.count("\N{REPLACEMENT CHARACTER}") > len(text) // 10


def hex_lines(head: bytes, count: int = BYTES_SHOWN) -> tuple[str, ...]:
    """`00000010  50 4b 03 04 …  PK..`, as hexdump writes it."""
    lines = []
    for at in range(0, min(count, len(head)), 16):
        row = head[at : min(at + 16, count)]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:08x}  {row.hex(' '):<47}  {shown}")
    return tuple(lines)


_SIGNATURES: Final = (
    (b"PK\x03\x04", "ZIP archive, which a skops, Keras or PyTorch model is too"), (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstandard"), (b"\x89HDF", "HDF5"), (b"%PDF", "PDF"), (b"\x80\x02", "pickle"),
    (b"\x80\x03", "pickle"), (b"\x80\x04", "pickle"), (b"\x80\x05", "pickle"), (b"\x93NUMPY", "NumPy array"),
    (b"SQLite format 3", "SQLite"), (b"\x7fELF", "program"), (b"ARROW1", "Arrow file"), (b"GGUF", "GGUF model"),
)  # fmt: skip


def _signature(head: bytes) -> str:
    return next((name for start, name in _SIGNATURES if head.startswith(start)), "no text")


def image_measures(head: bytes) -> tuple[str, int, int] | None:
    """Format, width and height, from the first bytes of a PNG, GIF, BMP, WebP or JPEG."""
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
            return "PNG", *struct.unpack(">II", head[16:24])
        if head[:6] in (b"GIF87a", b"GIF89a"):
            return "GIF", *struct.unpack("<HH", head[6:10])
        if head[:2] == b"BM" and head[14:18] == b"\x28\0\0\0":
            width, height = struct.unpack("<ii", head[18:26])
            return "BMP", width, abs(height)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp(head)
        if head[:3] == b"\xff\xd8\xff":
            return _jpeg(head)
    except (struct.error, IndexError):
        return None
    return None


def _webp(head: bytes) -> tuple[str, int, int] | None:
    form = head[12:16]
    if form == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return "WebP", width & 0x3FFF, height & 0x3FFF
    if form == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return "WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8X":
        return "WebP", int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None


def _jpeg(head: bytes) -> tuple[str, int, int] | None:
    at = 2
    while at + 9 < len(head):
        mark = head[at + 1]
        if head[at] != 0xFF:
            return None
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return "JPEG", width, height
        at += 2 + struct.unpack(">H", head[at + 2 : at + 4])[0]
    return None


def read_text(path: Path, start: int, limit: int) -> LogChunk:
    """A stretch of a text file as a log is read: from byte `start` (negative: from the end), between characters."""
    with path.open("rb") as file:
        count = file.seek(0, 2)
        begin = max(0, count + start) if start < 0 else min(start, count)
        file.seek(begin)
        data = file.read(max(limit, 4))
    skip = 0
    while begin > 0 and skip < min(3, len(data)) and data[skip] & 0xC0 == 0x80:
        skip += 1
    data, begin = data[skip:], begin + skip
    end = begin + len(data)
    if end < count:
        for back in range(1, min(4, len(data)) + 1):
            lead = data[-back]
            if lead & 0xC0 == 0xC0:
                whole = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
                data = data[: len(data) - back] if whole > back else data
                break
            if lead < 0x80:
                break
        end = begin + len(data)
    return LogChunk(text=data.decode("utf-8", "replace"), start=begin, end=end, size=count, ended=end >= count)


def found_file(backend: Backend, owner: str, path: str) -> Artifact | None:
    """The file with this path, where it is one and no folder."""
    beside = backend.need("artifacts").children(owner, path.rpartition("/")[0])
    return next((each for each in beside if each.path == path and not each.folder), None)


__all__ = ["Kind", "Preview", "found_file", "look_at", "preview", "read_text"]
