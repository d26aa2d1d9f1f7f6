"""The log of a local run: written without bound on what comes in, read by byte offset.

Offsets count every byte that was ever written. `out.log` holds the newest stretch; when it is full it becomes
`out.log.<offset of its first byte>`. The first stretch and the newest are kept, those between are cut, and a line in
the log says so.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from backends.entities import LogChunk

SEGMENT = 16 * 1024 * 1024
"""Bytes of one stretch; a log takes at most three of them."""

_TAIL = 8192


def _older(path: Path) -> list[tuple[int, Path]]:
    """The full stretches: (offset of the first byte, file), oldest first."""
    prefix = f"{path.name}."
    found = []
    for entry in path.parent.iterdir():
        suffix = entry.name.removeprefix(prefix)
        if entry.name.startswith(prefix) and suffix.isdigit():
            found.append((int(suffix), entry))
    return sorted(found)


def log_files(path: Path) -> list[Path]:
    """Every file of a log that is there."""
    return [file for file in (*(older for _, older in _older(path)), path) if file.exists()]


class LogWriter:
    """Appends what a command prints, in stretches of `segment` bytes."""

    def __init__(self, path: Path, segment: int = SEGMENT) -> None:
        self._path = path
        self._segment = segment
        self._lock = threading.Lock()
        self._tail = b""
        self._line_open = False
        self._unwritten = 0
        self.lost = 0
        """Bytes of output that are not in the log any more."""
        older = _older(path)
        self._base = older[-1][0] + older[-1][1].stat().st_size if older else 0
        self._file = self._open()
        self._size = os.fstat(self._file).st_size
        if self._size:  # another writer was killed, maybe within a line
            with path.open("rb") as written:
                written.seek(-1, os.SEEK_END)
                self._line_open = written.read(1) != b"\n"

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        """Append; what a full disk refuses is counted and told once there is room again."""
        with self._lock:
            self._tail = (self._tail + data)[-_TAIL:]
            self._tell_lost()
            self._append(data)
            self._line_open = not data.endswith(b"\n")

    def note(self, text: str) -> None:
        """A line of our own, told apart by its brackets."""
        with self._lock:
            self._note(text)

    def last_line(self) -> str:
        """The last line with anything on it that the command printed, at most 300 characters."""
        with self._lock:
            lines = self._tail.decode("utf-8", "replace").replace("\r", "\n").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1][:300] if said else ""

    @property
    def end(self) -> int:
        """Bytes that were ever written."""
        return self._base + self._size

    def close(self) -> None:
        with self._lock:
            self._tell_lost()
            os.close(self._file)

    def _tell_lost(self) -> None:
        missing, self._unwritten = self._unwritten, 0
        if missing:
            lost = self.lost
            self._note(f"{missing:,} bytes of output were lost here: the log could not be written")
            if self._unwritten:  # still no room, and the note itself is no output
                self._unwritten, self.lost = missing, lost

    def _note(self, text: str) -> None:
        self._append(b"\n" * self._line_open + f"[mlops-console: {text}]\n".encode("utf-8", "replace"))
        self._line_open = False

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            room = self._segment - self._size
            if room <= 0:
                if not self._rotate():
                    self._drop(len(view))
                    return
                continue
            try:
                written = os.write(self._file, view[:room])
            except OSError:
                self._drop(len(view))
                return
            self._size += written
            view = view[written:]

    def _drop(self, count: int) -> None:
        self._unwritten += count
        self.lost += count

    def _rotate(self) -> bool:
        """Begin the next stretch and cut the one in the middle; False when the disk will not have it."""
        full = self._path.with_name(f"{self._path.name}.{self._base:015d}")
        try:
            self._path.rename(full)
        except OSError:
            return False
        try:
            fresh = self._open()
        except OSError:
            full.rename(self._path)
            return False
        os.close(self._file)
        self._file = fresh
        self._base += self._size
        self._size = 0
        for base, path in _older(self._path)[1:-1]:
            size = path.stat().st_size
            path.unlink()
            self.lost += size
            self._note(
                f"bytes {base:,} to {base + size:,} of this log were cut: its first and its newest part are kept"
            )
        return True


def read_log(path: Path, *, start: int = 0, limit: int = 65_536, ended: bool = True) -> LogChunk:
    """The log from byte `start` (negative: from the end), at most `limit` bytes, cut between characters.

    Bytes that are no UTF-8 come as U+FFFD. A start within a part that was cut moves to the next that is kept.
    `ended` says whether the log can still grow; the chunk's own `ended` also needs its end to be reached.
    """
    limit = max(limit, 4)  # less than one character would never get on
    with ExitStack() as stack:
        stretches = _stretches(path, stack)
        if not stretches:
            return LogChunk(text="", start=0, end=0, size=0, ended=ended)
        size = stretches[-1].end
        begin = min(max(size + start, 0) if start < 0 else start, size)
        begin = next((max(begin, part.first) for part in stretches if begin < part.end), size)
        before = next(
            (piece for back in (3, 2, 1) if len(piece := _bytes(stretches, begin - back, begin)) == back), b""
        )
        data = before + _bytes(stretches, begin, begin + limit)
        skip = _rest_of_character(data, len(before))
        data = data[len(before) + skip :]
        begin += skip
        complete = ended and begin + len(data) >= size
        cut_follows = not _bytes(stretches, begin + len(data), begin + len(data) + 1) and begin + len(data) < size
        if not complete and not cut_follows:
            data = data[: len(data) - _open_character(data)]
        end = begin + len(data)
        return LogChunk(
            text=data.decode("utf-8", "replace"), start=begin, end=end, size=size, ended=ended and end >= size
        )


class _Stretch(NamedTuple):
    first: int
    end: int
    file: int


def _stretches(path: Path, stack: ExitStack) -> list[_Stretch]:
    """What is kept of a log, oldest first, opened."""
    for _ in range(10):
        try:
            newest = stack.enter_context(path.open("rb")).fileno()
        except FileNotFoundError:
            return []
        state = os.fstat(newest)
        found = []
        base = 0
        rotated = False
        for first, place in _older(path):
            try:
                file = stack.enter_context(place.open("rb")).fileno()
            except FileNotFoundError:  # cut meanwhile
                continue
            held = os.fstat(file)
            rotated = rotated or held.st_ino == state.st_ino
            base = first + held.st_size
            found.append(_Stretch(first, base, file))
        if not rotated:
            return [*found, _Stretch(base, base + state.st_size, newest)]
    raise OSError(f"{path} is rotated faster than it can be read")


def _bytes(stretches: list[_Stretch], begin: int, end: int) -> bytes:
    """The bytes from `begin` on, up to `end` or to where something was cut."""
    data = b""
    for part in stretches:
        if part.first <= begin < part.end:
            piece = os.pread(part.file, min(end, part.end) - begin, begin - part.first)
            data += piece
            begin += len(piece)
    return data


def _length(lead: int) -> int:
    """How many bytes the character has that begins with this byte; 1 for a byte that begins none."""
    if 0xC2 <= lead <= 0xDF:
        return 2
    if 0xE0 <= lead <= 0xEF:
        return 3
    return 4 if 0xF0 <= lead <= 0xF4 else 1


def _rest_of_character(data: bytes, at: int) -> int:
    """How many bytes from `at` on belong to a character that began before it."""
    for lead in range(at - 1, max(at - 4, -1), -1):
        if data[lead] & 0xC0 != 0x80:
            stop = lead + _length(data[lead])
            following = data[at:stop]
            return len(following) if stop > at and all(byte & 0xC0 == 0x80 for byte in following) else 0
    return 0


def _open_character(data: bytes) -> int:
    """How many bytes at the end begin a character that is not complete."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            return back if _length(byte) > back else 0
    return 0
