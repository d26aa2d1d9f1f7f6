"""The text of a growing log: bounded, without a gap, by byte offsets."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.entities import LogChunk
from console.tui.log_text import CHUNK, KEPT, LINE, LogText


def chunk(data: bytes, start: int, limit: int = CHUNK) -> LogChunk:
    begin = max(0, len(data) + start) if start < 0 else start
    piece = data[begin : begin + limit]
    return LogChunk(text=piece.decode("ascii"), start=begin, end=begin + len(piece), size=len(data), ended=False)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


def test_a_line_without_an_end_is_held_as_lines_that_can_be_paged() -> None:
    data = b"x" * (3 * CHUNK)
    log = LogText()
    for _ in range(3):
        log.append(chunk(data, log.end))
    assert max(map(len, log.lines)) == LINE
    assert "".join(log.lines) == data.decode()
    assert log.broken == [False] + [True] * (len(log.lines) - 1)


def test_rare_lines_of_a_long_log_stay_held_though_much_was_passed_over() -> None:
    log, step = LogText(), 50_000_000
    for at in range(300):
        text = f"ERROR {at}\n" if at % 10 == 0 else ""
        log.append(LogChunk(text=text, start=at * step, end=(at + 1) * step, size=300 * step, ended=True))
    assert log.lines[:-1] == [f"ERROR {at}" for at in range(0, 300, 10)]
    assert log.place(5) <= 50 * step < log.place(6)


def test_a_place_is_where_its_line_stands() -> None:
    log, data = LogText(), "".join(f"line {n:05}\n" for n in range(20_000)).encode()
    while not log.whole_tail or not log.size:
        log.append(chunk(data, log.end))
    assert all(abs(log.place(at) - 11 * at) < 200 for at in range(0, 20_000, 777))
