"""Which level a line has, in the ways that programs write it, and where an error begins."""

from __future__ import annotations

import logging
import random
from io import StringIO

import pytest

from backends.entities import LogChunk
from console.training.log import source
from console.training.log.levels import Level, Levels, heads, level_named, level_of, may_hold, told_lines
from console.training.log.source import FilteredLog, WholeLog

E, W, I, D, C = Level.ERROR, Level.WARNING, Level.INFO, Level.DEBUG, Level.CRITICAL  # noqa: E741

LINES = [
    ("ERROR:root:no such file", E),
    ("ERROR no such file", E),
    ("2013-04-12 10:00:00,123 - my.module - ERROR - no such file", E),
    ("2013-04-12 10:00:00 my.module WARNING slow", W),
    ("[2013-04-12T10:00:00Z ERROR my_crate] no", E),
    ("10:00:00 | CRITICAL | module:main:12 - gone", C),
    ("13/04/12 10:00:00 ERROR Executor: lost", E),
    ("Apr 12 10:00:00 host app[12]: ERROR: no", E),
    ("(pid=12) WARNING worker.py:3 -- slow", W),
    ("[INFO] ready", I),
    ("INFO: GPU available", I),
    ("\x1b[31mERROR\x1b[0m: red", E),
    ("ts=1 level=warn msg=slow", W),
    ('level="error" msg=no', E),
    ('{"level": "error", "msg": "no"}', E),
    ('{"msg": "no", "severity":"WARNING"}', W),
    ('{"level":50,"msg":"no"}', E),
    ('{"loss": 0.1}', None),
    ("E0412 10:00:00.123456 12 file.cc:7] no", E),
    ("2013-04-12 10:00:00.123: W tensorflow/core/a.cc:1] slow", W),
    ("error: cannot find crate", E),
    ("[warn] slow", W),
    ("[ERR] no", E),
    ("/env/lib/a.py:12: FutureWarning: will change", W),
    ("DEBUG:x:fine", D),
    ("Traceback (most recent call last):", E),
    ("epoch 3 ERROR rate 0.2", None),
    ("no ERROR found", None),
    ("mean_squared_error: 0.21", None),
    ("the warning was ignored", None),
    ("", None),
]


@pytest.mark.parametrize(("line", "level"), LINES)
def test_a_line_has_the_level_that_its_program_gave_it(line: str, level: Level | None) -> None:
    assert Levels().told(line).level == level


@pytest.mark.parametrize(("line", "level"), LINES)
def test_a_quick_look_never_overlooks_a_level(line: str, level: Level | None) -> None:
    for least in Level:
        if level is not None and level >= least:
            assert may_hold(f"a\n{line}\nb", least)


@pytest.mark.parametrize("layout", [
    logging.BASIC_FORMAT, "%(asctime)s %(levelname)s %(message)s",
    "%(asctime)s - %(name)s - %(levelname)s - %(message)s",
    "[%(asctime)s] [%(levelname)s] %(message)s", "%(asctime)s [%(process)d] %(levelname)-8s %(message)s",
    "%(asctime)s %(name)s %(levelname)s: %(message)s", "%(levelname)s %(asctime)s %(filename)s:%(lineno)d] %(message)s",
])  # fmt: skip
def test_what_logging_itself_writes_is_understood_in_any_layout(layout: str) -> None:
    out = StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter(layout))
    logger = logging.Logger("my.module")
    logger.addHandler(handler)
    for level in Level:
        logger.log(level, "some words of a message")
    try:
        raise KeyError("a")
    except KeyError:
        logger.exception("it broke")
    lines = out.getvalue().rstrip("\n").split("\n")
    assert [level_of(line) for line in lines[:5]] == list(Level)
    told = list(told_lines(lines))[5:]
    assert [each.level for each in told] == [E] * len(told)
    assert [each.head for each in told] == [True] + [False] * (len(told) - 1)


def test_a_chained_traceback_is_one_error_and_the_next_is_another() -> None:
    text = """ERROR:root:failed
Traceback (most recent call last):
  File "a", line 1, in f
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b", line 2, in g
ValueError: b
plain
Traceback (most recent call last):
  File "c", line 2, in g
ZeroDivisionError: c
Traceback (most recent call last):
  File "d", line 2, in g
OSError: d"""
    lines = text.split("\n")
    assert heads(lines, E) == [0, 11]
    assert [told.level for told in told_lines(lines)][10] is None


def test_an_indented_line_belongs_to_the_message_above_it() -> None:
    lines = ["WARNING:x:these columns", "  a", "\tb", "else"]
    assert [told.level for told in told_lines(lines)] == [W, W, W, None]


def test_words_for_levels_are_those_that_people_write() -> None:
    assert level_named("WARN") is W
    assert level_named("fatal") is C
    assert level_named("loud") is None


# ---------------------------------------------------------------- reading by level


def reader(data: bytes, ended: bool = True):
    def read(start: int, limit: int) -> LogChunk:
        begin = max(0, len(data) + start) if start < 0 else min(start, len(data))
        while begin < len(data) and data[begin] & 0xC0 == 0x80:
            begin += 1
        end = min(len(data), begin + max(limit, 4))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        return LogChunk(
            text=data[begin:end].decode(), start=begin, end=end, size=len(data), ended=ended and end >= len(data)
        )

    return read


POOL = [
    "INFO:a:fine\n", "loss=0.2\n", "WARNING:x:slow\n", "ERROR:y:only\n", "  indented\n", "é" * 30 + "\n", "\n",
    "ERROR:x:bad\nTraceback (most recent call last):\n  File 'x'\n    y\nKeyError: 1\n", '{"level": "error"}\n',
]  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_reading_in_pieces_in_either_direction_finds_what_reading_all_at_once_finds(seed: int, monkeypatch) -> None:
    monkeypatch.setattr(source, "CHUNK", 150)
    monkeypatch.setattr(source, "ENOUGH", 5)
    dice = random.Random(seed)
    text = "".join(dice.choice(POOL) for _ in range(dice.randrange(60)))
    text = text[: len(text) - (seed % 3 == 0)]
    ended, least = seed % 2 == 0, dice.choice([W, E])
    lines = text.split("\n")
    rest = lines.pop()
    lines += [rest] if ended and rest else []
    wanted = [line for line, told in zip(lines, told_lines(lines), strict=True) if told.level and told.level >= least]
    down, at, found = FilteredLog(reader(text.encode(), ended), least), 0, []
    while (chunk := down.after(at)).end > at:
        assert chunk.start == at
        found += chunk.text.split("\n")[:-1]
        at = chunk.end
    assert found == wanted
    up = FilteredLog(reader(text.encode(), ended), least)
    chunk = up.before(None)
    back = chunk.text.split("\n")[:-1]
    while chunk.start > 0:
        start = chunk.start
        chunk = up.before(start)
        assert chunk.end == start
        back = chunk.text.split("\n")[:-1] + back
    assert back == wanted


def test_the_line_that_nobody_has_ended_yet_is_told_apart() -> None:
    log = FilteredLog(reader(b"ERROR a\nok\nERROR b", ended=False), E)
    chunk = log.after(0)
    assert (chunk.text, chunk.end) == ("ERROR a\n", 18)
    assert log.rest(18) == "ERROR b"
    assert FilteredLog(reader(b"ERROR a\nERROR b", ended=True), E).after(0).text == "ERROR a\nERROR b\n"


def test_words_are_found_in_small_and_capital_letters() -> None:
    assert (
        FilteredLog(reader("Loss 1\nloss 2\ngain\nÄPFEL\n".encode()), None, "LOSS").after(0).text == "Loss 1\nloss 2\n"
    )
    assert FilteredLog(reader("ÄPFEL\n".encode()), None, "äpfel").after(0).text == "ÄPFEL\n"


def test_a_whole_log_reads_back_to_its_first_bytes() -> None:
    log = WholeLog(reader(b"ab\ncd\n"), 4)
    assert [log.before(None).text, log.before(2).text, log.before(2).end] == ["\ncd\n", "ab", 2]
