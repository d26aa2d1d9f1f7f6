"""Where in a text file something stands, in words: the line, the row and the column that a person can go to."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from backends.contract import Invalid
from console.data.stream import UTF8, ByteStream, TextFault

KEY = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:')
LONGEST_FIELD = 64 << 20
"""Python's csv stops at 128 KiB otherwise; what is longer is no field but a quote that is never closed."""


def told(
    fault: TextFault, path: Path, label: str, encoding: str = UTF8, delimiter: str = "", names: Sequence[str] = ()
) -> Invalid:
    """The fault with its file, row and column before it."""
    where = place_of(path, fault.offset, encoding, delimiter, names)
    return Invalid(f"{label}: {where}: {fault}", fault.field)


def utf8_fault(path: Path, label: str, delimiter: str = "", names: Sequence[str] = ()) -> Invalid:
    """Where the text stops being UTF-8, and what it might be instead."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with ByteStream(path, text=False) as stream:
        while True:
            data = stream.read(1 << 20)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                at = offset - pending + error.start
                byte = error.object[error.start]
                guess = "windows-1252" if byte >= 0x80 else "another encoding"
                fault = TextFault(
                    f"byte {at} (0x{byte:02x}) is not UTF-8. If the file came from Excel or Windows, it is likely "
                    f"{guess}: give --encoding {guess}, or convert it: iconv -f {guess.upper()} -t UTF-8 IN > OUT",
                    at,
                )
                return told(fault, path, label, delimiter=delimiter, names=names)
            if not data:
                return Invalid(f"{label}: its text is not UTF-8.", "path")
            offset += len(data)


def place_of(path: Path, offset: int, encoding: str = UTF8, delimiter: str = "", names: Sequence[str] = ()) -> str:
    """`row 2 (line 3), column 'b'` for the byte at `offset` of the unpacked UTF-8 text; rows count from 1 after a
    header. Without a delimiter it is JSON lines: the line, and the key before it."""
    lines = records = 0
    rest = b""
    with ByteStream(path, text=False, encoding=encoding) as stream:
        left = offset
        while left > 0 and (data := stream.read(min(left, 1 << 20))):
            left -= len(data)
            lines += data.count(b"\n")
            more, rest = _whole_records(rest + data) if delimiter else (0, (rest + data).rpartition(b"\n")[2])
            records += more
            if len(rest) > LONGEST_FIELD:
                return f"line {lines + 1}"
    if not delimiter:
        keys = KEY.findall(rest)
        return f"line {lines + 1}" + (f", column {keys[-1].decode(UTF8, 'replace')!r}" if keys else "")
    csv.field_size_limit(LONGEST_FIELD)
    fields = next(csv.reader(io.StringIO(rest.decode(UTF8, "replace"), newline=""), delimiter=delimiter), [""])
    at = len(fields) - 1
    column = f"column {names[at]!r}" if at < len(names) else f"value {at + 1}"
    if records == 0:
        return f"the header, {column}"
    return f"row {records}{f' (line {lines + 1})' if lines != records else ''}, {column}"


def _whole_records(text: bytes) -> tuple[int, bytes]:
    """How many records end in this text, and what follows them. Line breaks within quotes end none."""
    if b'"' not in text:
        head, ended, rest = text.rpartition(b"\n")
        return head.count(b"\n") + bool(ended), rest
    count = start = at = 0
    quoted = False
    while (end := text.find(b"\n", at)) >= 0:
        quoted ^= bool(text.count(b'"', at, end) % 2)
        at = end + 1
        if not quoted:
            count, start = count + 1, at
    return count, text[start:]
