"""A log whose bad lines were mended where they stand: what was counted of it is found again around them, so that only
what stands in their place is new.

Between the lines that were left out every stretch is known by its length and sha256. A file that has them all in their
order, with other lines in between, is the same file; any other change makes it another one, which is counted from its
beginning and said to be. That is exact, and costs as much as there are bad lines: a digest of every line that was
counted would cost as much as the log. Light to import.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from backends.entities import Record
from console.monitoring.feeds.chunk import BLOCK, LeftOut, Progress
from console.monitoring.feeds.sifting import Line

MOST = 1000
"""Lines of a file that are remembered; of more it is known how many."""
MORE = 8
"""Lines that may stand in a place beyond those that were left out of it."""


class Mend(Record, frozen=True):
    """How far a file is the one that was counted, and what is new in it."""

    offset: int
    gaps: tuple[tuple[int, int], ...]
    """Begin and end of what stands where lines were left out."""


class Stretches:
    """The lines of a file that are left out, and what is between them, as they are met."""

    def __init__(self, entry: Progress | None = None) -> None:
        self.left_out = list(entry.left_out) if entry is not None else []
        self.left = entry.left if entry is not None else 0
        self._at = self.left_out[-1].end if self.left_out else 0
        self._running = hashlib.sha256()

    def ends(self, entry: Progress) -> bool:
        """Whether they are those of a file that is counted so far: else all since the last line is read again."""
        return (self._at, self.left, tuple(self.left_out)) == (entry.offset, entry.left, entry.left_out)

    def noted(self, progress: Progress, file: IO[bytes] | gzip.GzipFile, bad: Sequence[Line]) -> Progress:
        """The progress with these lines, all of them behind those noted before."""
        self.left += len(bad)
        for line in bad[: MOST - len(self.left_out)]:
            self._read_on(file, line.begin)
            before, own = self._running.hexdigest(), _sha256(file, line.begin, line.end)[:16]
            self.left_out.append(
                LeftOut(begin=line.begin, end=line.end, line=line.number, reason=line.reason, own=own, before=before)
            )
            self._at, self._running = line.end, hashlib.sha256()
        self._read_on(file, progress.offset)
        return msgspec.structs.replace(
            progress, left_out=tuple(self.left_out), left=self.left, stretch=self._running.hexdigest()
        )

    def _read_on(self, file: IO[bytes] | gzip.GzipFile, to: int) -> None:
        file.seek(self._at)
        while self._at < to and (block := file.read(min(BLOCK, to - self._at))):
            self._running.update(block)
            self._at += len(block)


def is_touched(path: Path, entry: Progress) -> bool:
    """Whether a line that was left out is another one, where it stood."""
    with path.open("rb") as file:
        return any(_sha256(file, line.begin, line.end)[:16] != line.own for line in entry.left_out)


def mend_of(path: Path, entry: Progress) -> Mend | None:
    """What is new in a file where lines were left out; None where it is another file."""
    gaps: list[tuple[int, int]] = []
    starts = [0, *(line.end for line in entry.left_out)]
    stops = [*(line.begin for line in entry.left_out), entry.offset]
    digests = [*(line.before for line in entry.left_out), entry.stretch]
    at = lines = 0
    with path.open("rb") as file:
        for number, (start, stop, digest) in enumerate(zip(starts, stops, digests, strict=True)):
            lines += number > 0
            if number and start == stop and stop != entry.offset:
                continue  # lines that were left out one behind the other are one place
            found = _find(file, at, stop - start, digest, lines + MORE if lines else 0)
            if found is None:
                return None
            if found > at:
                gaps.append((at, found))
            at, lines = found + stop - start, 0
    return Mend(offset=at, gaps=tuple(gaps))


def _find(file: IO[bytes] | gzip.GzipFile, at: int, length: int, digest: str, lines: int) -> int | None:
    """Where a stretch begins: at a place, or up to so many lines behind it."""
    for _ in range(lines + 1):
        if _sha256(file, at, at + length) == digest:
            return at
        file.seek(at)
        line = file.readline()
        if not line:
            return None
        at += len(line)
    return None


def _sha256(file: IO[bytes] | gzip.GzipFile, begin: int, end: int) -> str:
    found, left = hashlib.sha256(), end - begin
    file.seek(begin)
    while left and (block := file.read(min(BLOCK, left))):
        found.update(block)
        left -= len(block)
    return "" if left else found.hexdigest()
