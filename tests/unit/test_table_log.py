"""The text of a growing log: bounded, without a gap, by byte offsets."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from backends.entities import LogChunk
from console.tui.log_text import CHUNK, KEPT, LogText


def chunk(data: bytes, start: int, limit: int = CHUNK) -> LogChunk:
    begin = max(0, len(data) + start) if start < 0 else start
    piece = data[begin : begin + limit]
    return LogChunk(text=piece.decode("ascii"), start=begin, end=begin + len(piece), size=len(data), ended=False)


@given(st.lists(st.text(alphabet="ab \n", max_size=30), max_size=40))
def test_text_that_comes_in_pieces_is_the_text_as_a_whole(pieces: list[str]) -> None:
    log, data = LogText(), b""
    for piece in pieces:
        data += piece.encode()
        log.append(chunk(data, log.end))
    assert "\n".join(log.lines) == data.decode()


def test_going_back_from_the_end_meets_every_line_once() -> None:
    data = "".join(f"line {n}\n" for n in range(40_000)).encode()
    log = LogText()
    log.append(chunk(data, -CHUNK))
    while log.start > 0:
        start = max(0, log.start - CHUNK)
        log.prepend(chunk(data, start, log.start - start))
    assert log.lines[:-1] == [f"line {n}" for n in range(40_000)]


def test_memory_stays_bounded_however_long_one_follows() -> None:
    dice, log, data = random.Random(1), LogText(), bytearray()
    gone = 0
    while len(data) < (KEPT + 10) * CHUNK:
        data += b"x" * dice.randrange(1, 4000) + b"\n"
        fresh = bytes(data[log.end :]).decode()
        gone += log.append(LogChunk(text=fresh, start=log.end, end=len(data), size=len(data), ended=False))
    assert log.end - log.start <= (KEPT + 1) * CHUNK
    assert log.end == len(data)
    assert gone > 0
    assert "\n".join(log.lines) == bytes(data[log.start :]).decode()


def test_log_that_was_cut_starts_anew() -> None:
    log = LogText()
    log.append(LogChunk(text="old\n", start=0, end=4, size=4, ended=False))
    log.append(LogChunk(text="new\n", start=100, end=104, size=104, ended=True))
    assert log.lines == ["new", ""]
    assert log.ended
