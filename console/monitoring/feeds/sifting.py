"""The lines of a log that can be rows, and those that cannot, with why: one by one, so that it does not matter which
others are read with them.

A row of a CSV ends where a line does outside quotes; a quote opens only at the beginning of a field, as Arrow has it.
A row with more or fewer fields than the header is left out; a quote that nobody closes costs its own line, and what
follows is looked at as if that was not there. Light to import.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from console.wording import plural

LONGEST = 1 << 20
"""Bytes of a row with line ends within its quotes; a quote that is open for longer is none."""
JSON_LINES = ("jsonl", "ndjson")
SAID = 3
"""Lines that are named; of more, how many there are."""


@dataclass(frozen=True)
class Line:
    """A row, or a line that is none."""

    begin: int
    end: int
    number: int
    """Of its first line in the file, from 1."""
    reason: str = ""
    """Why it is left out."""


@dataclass
class Sifted:
    """What a stretch of a log holds."""

    stop: int
    """Up to where it was looked at: behind it a quote is open, which may still be closed."""
    good: list[Line] = field(default_factory=list)
    bad: list[Line] = field(default_factory=list)
    timed: bool = False
    """Rows of the file have a time that can be read: one that has none is wrong then."""

    def rows_of(self, data: bytes, at: int) -> bytes:
        """The good lines, one behind the other. data begins at `at`."""
        return b"".join(data[line.begin - at : line.end - at] for line in self.good)


def sift(
    data: bytes,
    kind: str,
    header: str,
    *,
    at: int = 0,
    number: int = 1,
    closed: bool = False,
    time_column: str = "",
    timed: bool = False,
) -> Sifted:
    """data: whole lines without the header, which begin at `at` of the file with line `number`. closed: what is open at
    the end is closed by nobody. time_column: whose values must be times where any of them is, or (timed) was before."""
    if kind in JSON_LINES:
        found, times = _objects(data, at, number, time_column)
    else:
        found, times = _records(data, "\t" if kind == "tsv" else ",", header, at, number, closed, time_column)
    found.timed = timed
    if times:
        _leave_timeless(found, times, time_column)
    return found


def json_row(line: bytes) -> dict[str, Any] | None:
    """The row that a line of JSON is, or None. NaN and Infinity are numbers, as Python writes them."""
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            row = json.loads(line.decode())
            json.dumps(row, ensure_ascii=False).encode()  # half of a pair of surrogates is no text
        except (ValueError, RecursionError):
            return None
    return row if isinstance(row, dict) else None


def said_of(bad: Sequence[Line], name: str, total: int) -> str:
    """Which lines were left out, and why: the first few. total: of the whole file so far."""
    if not bad:
        return ""
    named = ", ".join(f"line {line.number} ({line.reason})" for line in bad[:SAID])
    more = f" and {len(bad) - SAID} more" if len(bad) > SAID else ""
    ever = f"; {total} of the file so far" if total > len(bad) else ""
    return f"{plural(len(bad), 'line')} of {name} left out: {named}{more}{ever}."


def _lines(data: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(data):
        end = data.find(b"\n", at) + 1 or len(data)
        yield at, end
        at = end


def _objects(data: bytes, at: int, number: int, time_column: str) -> tuple[Sifted, list[Any]]:
    found, times = Sifted(stop=at + len(data)), []
    for begin, end in _lines(data):
        line = data[begin:end]
        if line.strip():
            row = json_row(line)
            if row is None:
                found.bad.append(Line(at + begin, at + end, number, "no JSON object"))
            else:
                found.good.append(Line(at + begin, at + end, number))
                if time_column:
                    times.append(row.get(time_column))
        number += 1
    return found, times


def _records(
    data: bytes, mark: str, header: str, at: int, number: int, closed: bool, time_column: str
) -> tuple[Sifted, list[Any]]:
    names = fields_of(header, mark)
    place = names.index(time_column) if time_column in names else -1
    sign, wanted = mark.encode(), len(names)
    found, times = Sifted(stop=at + len(data)), []
    try:
        data.decode()
        text = True
    except UnicodeDecodeError:
        text = False
    begin = 0
    while begin < len(data):
        line_end = data.find(b"\n", begin) + 1 or len(data)
        end, fields = line_end, data.count(sign, begin, line_end) + 1
        if data.find(b'"', begin, line_end) >= 0:
            end, fields = _quoted(data, begin, sign)
            if not end and not closed and len(data) - begin < LONGEST:
                found.stop = at + begin
                break
        end, whole = (end, True) if end > 0 else (line_end, False)
        record = data[begin:end]
        if end == line_end and not record.strip(b"\r\n"):
            reason = None
        elif not whole:
            reason = "a quote is not closed"
        elif fields != wanted:
            reason = f"{plural(fields, 'field')}, the header has {wanted}"
        else:
            reason = "" if text or _is_text(record) else "not UTF-8"
        if reason:
            found.bad.append(Line(at + begin, at + end, number, reason))
        elif reason == "":
            found.good.append(Line(at + begin, at + end, number))
            if place >= 0:
                times.append(_field(record, mark, place) or None)
        number += data.count(b"\n", begin, end)
        begin = end
    return found, times


def _quoted(data: bytes, begin: int, sign: bytes) -> tuple[int, int]:
    """(end of the row that begins here, how many fields it has); end 0 where a quote is not closed within `LONGEST`
    bytes, -1 where it never is: what follows the next quote tells that this one opens a field of another line."""
    at, fields, last = begin, 1, min(len(data), begin + LONGEST)
    while True:
        if data[at : at + 1] == b'"':
            opened = at
            at = data.find(b'"', at + 1, last)
            while at >= 0 and data[at + 1 : at + 2] == b'"':
                at = data.find(b'"', at + 2, last)
            if at < 0:
                return 0, 0
            if b"\n" in data[opened:at] and data[at + 1 : at + 2] not in (sign, b"\r", b"\n", b""):
                return -1, 0
        end = data.find(b"\n", at) + 1 or len(data)
        at = data.find(sign, at, end) + 1
        if not at:
            return end, fields
        fields += 1


def fields_of(record: str, mark: str) -> list[str]:
    """The fields of one row."""
    import csv

    return next(csv.reader([record], delimiter=mark), [])


def is_row(record: bytes, mark: str, fields: int) -> bool:
    """Whether a line without its end can be taken for a row of a CSV: with as many fields, and every quote closed."""
    end, found = _quoted(record, 0, mark.encode())
    return end == len(record) and found == fields and _is_text(record)


def _field(record: bytes, mark: str, place: int) -> str:
    if b'"' not in record:
        return record.rstrip(b"\r\n").split(mark.encode(), place + 1)[place].decode()
    import csv
    import io

    return next(csv.reader(io.StringIO(record.decode(), newline=""), delimiter=mark))[place]


def _is_text(record: bytes) -> bool:
    try:
        record.decode()
    except UnicodeDecodeError:
        return False
    return True


def _leave_timeless(found: Sifted, times: Sequence[Any], time_column: str) -> None:
    """Rows whose time nobody can read are none, where others of the file have one."""
    import pandas as pd  # a worker has it by now

    from console.monitoring.feeds.batch import times_of

    lost = times_of(pd.Series(times, dtype="object")).isna().to_numpy(dtype=bool)
    found.timed |= not lost.all()
    if not lost.any() or not found.timed:
        return
    for line, value, gone in zip(found.good, times, lost, strict=True):
        if gone:
            why = (
                f"no time in {time_column!r}" if value is None else f"{str(value)[:40]!r} in {time_column!r} is no time"
            )
            found.bad.append(Line(line.begin, line.end, line.number, why))
    found.good = [line for line, gone in zip(found.good, lost, strict=True) if not gone]
    found.bad.sort(key=lambda line: line.begin)
