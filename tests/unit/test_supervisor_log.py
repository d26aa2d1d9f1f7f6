"""The log of a run: bounded on disk and in memory, and read between characters."""

from __future__ import annotations

import errno
from itertools import pairwise
from pathlib import Path

import pytest  # noqa: TC002
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.entities import LogChunk
from backends.local import run_log
from backends.local.run_log import LogWriter, read_log


def read_through(path: Path, limit: int, *, ended: bool = True) -> tuple[str, list[LogChunk]]:
    chunks: list[LogChunk] = []
    at = 0
    for _ in range(100_000):
        chunk = read_log(path, start=at, limit=limit, ended=ended)
        chunks.append(chunk)
        if chunk.ended or chunk.end == at:
            break
        at = chunk.end
    return "".join(chunk.text for chunk in chunks), chunks


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=400), limit=st.integers(1, 40), segment=st.integers(120, 200))
def test_reading_in_pieces_never_cuts_a_character(
    tmp_path_factory: pytest.TempPathFactory, text: str, limit: int, segment: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "out.log"
    writer = LogWriter(path, segment=segment)
    writer.write(text.encode()[: segment * 2])  # two stretches: nothing is cut away
    writer.close()
    expected = text.encode()[: segment * 2].decode("utf-8", "replace")
    assert read_through(path, limit)[0] == expected


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), limit=st.integers(1, 30))
def test_binary_output_is_shown_with_replacements_and_read_to_its_end(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, limit: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "out.log"
    path.write_bytes(data)
    _, chunks = read_through(path, limit)
    assert chunks[-1].ended
    assert chunks[-1].end == len(data)
    assert all(before.end == after.start for before, after in pairwise(chunks))


@given(text=st.text(min_size=1, max_size=60), back=st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_a_negative_start_counts_from_the_end_and_begins_at_a_character(
    tmp_path_factory: pytest.TempPathFactory, text: str, back: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "out.log"
    path.write_bytes(text.encode())
    chunk = read_log(path, start=-back)
    assert text.endswith(chunk.text)
    assert len(chunk.text.encode()) <= back
    assert len(chunk.text.encode()) > back - 4 or chunk.text == text


def test_a_character_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    path.write_bytes("aé模".encode()[:-1])
    growing = read_log(path, ended=False)
    assert (growing.text, growing.end, growing.ended) == ("aé", 3, False)
    finished = read_log(path, start=growing.end, ended=True)
    assert (finished.text, finished.ended) == ("�", True)


def test_a_long_log_keeps_its_beginning_and_its_newest_part_and_says_what_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    writer = LogWriter(path, segment=1000)
    for number in range(2000):
        writer.write(f"line {number}\n".encode())
    writer.close()
    on_disk = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert on_disk <= 3000
    text, chunks = read_through(path, 300)
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("line 1999\n")
    assert "bytes 1,000 to 2,000 of this log were cut" in path.with_name("out.log").read_text() or "were cut" in text
    assert chunks[-1].size > 19_000, "offsets count what was cut too"
    assert writer.lost > 15_000


def test_a_start_within_what_was_cut_moves_to_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    writer = LogWriter(path, segment=1000)
    writer.write(b"x" * 10_000)
    writer.close()
    chunk = read_log(path, start=4000)
    assert chunk.start > 7000
    assert chunk.text


def test_an_endless_line_stays_within_its_room(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    writer = LogWriter(path, segment=65_536)
    block = b"y" * 65_000
    for _ in range(1000):
        writer.write(block)
    writer.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 3 * 65_536
    assert len(writer.last_line()) == 300


def test_what_a_full_disk_refuses_is_counted_and_told_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(tmp_path / "out.log")
    writer.write(b"before\n")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_log.os, "write", full)
        writer.write(b"lost line\n")
        assert writer.last_line() == "lost line", "the reason of a failure is known even so"
    writer.write(b"after\n")
    writer.close()
    text = (tmp_path / "out.log").read_text()
    assert text == "before\n[mlops-console: 10 bytes of output were lost here: the log could not be written]\nafter\n"
    assert writer.lost == 10


def test_notes_stand_on_lines_of_their_own_and_are_not_the_last_line_of_the_command(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "out.log")
    writer.write(b"ValueError: no such column")
    writer.note("stopped by \udc80 someone")
    writer.write(b"\n")
    writer.close()
    assert writer.last_line() == "ValueError: no such column"
    assert (tmp_path / "out.log").read_text().splitlines()[1] == "[mlops-console: stopped by ? someone]"


def test_a_log_that_is_not_there_yet_is_empty_and_goes_on(tmp_path: Path) -> None:
    chunk = read_log(tmp_path / "out.log", ended=False)
    assert (chunk.text, chunk.size, chunk.ended) == ("", 0, False)
    assert list(tmp_path.iterdir()) == []
