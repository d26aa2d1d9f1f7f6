"""A stretch of a growing log, by byte offsets: chunks next to each other, never more than a few.

A line longer than `LINE` is held as several, so that paging through a gigabyte without a newline is paging through
lines like any others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from backends.entities import LogChunk

CHUNK: Final = 65_536
"""Characters that small neighbours are joined up to."""

KEPT: Final = 24
"""Chunks in memory: 1.5 MB of a log of any size."""

MOST: Final = 2_000
"""Chunks at all."""

LINE: Final = 8_192
"""Characters of a line."""

COVERED: Final = 8 * 1024 * 1024
"""Bytes of the log that a chunk with few lines of many stands for at most: how exactly it knows where it is."""


@dataclass(frozen=True)
class Piece:
    """One chunk, cut at its newlines; first and last part may belong to lines of the neighbours."""

    start: int
    end: int
    parts: tuple[str, ...]
    broken: tuple[bool, ...]
    """Of each part, whether it goes on a line that the part before it began."""
    length: int

    @property
    def empty(self) -> bool:
        return not self.length


class LogText:
    """Lines of the chunks that are held."""

    def __init__(self, pieces: Iterable[Piece] = ()) -> None:
        self._pieces: list[Piece] = list(pieces)
        self.lines: list[str] = []
        self.broken: list[bool] = []
        """Of each line, whether it goes on the one before it."""
        self.size = 0
        """Bytes in the whole log, as last heard."""
        self.ended = False
        if self._pieces:
            self._join()

    @property
    def start(self) -> int:
        """Byte at which the first held line begins."""
        return self._pieces[0].start if self._pieces else 0

    @property
    def end(self) -> int:
        """Byte after the last one held."""
        return self._pieces[-1].end if self._pieces else 0

    @property
    def first_piece(self) -> Piece | None:
        return self._pieces[0] if self._pieces else None

    @property
    def last_piece(self) -> Piece | None:
        return self._pieces[-1] if self._pieces else None

    @property
    def whole_tail(self) -> bool:
        """Whether nothing is missing at the end."""
        return self.end >= self.size

    def place(self, line: int) -> int:
        """About the byte at which a line stands: exact to its share of the chunk that holds it."""
        for piece in self._pieces:
            count = max(1, len(piece.parts) - 1)
            if line < count or piece is self._pieces[-1]:
                return piece.start + (piece.end - piece.start) * min(line, count) // count
            line -= count
        return 0

    def append(self, chunk: LogChunk) -> int:
        """Take what follows; gives how many lines were let go at the front."""
        self.size, self.ended = chunk.size, chunk.ended
        if chunk.end <= chunk.start:
            return 0
        if self._pieces and chunk.start != self.end:
            self._pieces.clear()  # the log was cut or turned over: what was held is not before this
        self._pieces.append(_piece(chunk))
        # A follower brings a few bytes at a time: small neighbours become one chunk, so that the limit means bytes.
        if len(self._pieces) > 1 and _belong(self._pieces[-2], self._pieces[-1]):
            self._pieces[-2:] = [_joined(self._pieces[-2], self._pieces[-1])]
        self._join()
        if not self._too_many():
            return 0
        before = len(self.lines)
        while self._too_many():
            del self._pieces[0]
        self._join()
        return before - len(self.lines)

    def prepend(self, chunk: LogChunk) -> int:
        """Take what comes before; gives how many lines there are more at the front. The far end is let go."""
        self.size = chunk.size
        if chunk.end <= chunk.start or chunk.end != self.start:
            return 0
        before = len(self.lines)
        self._pieces.insert(0, _piece(chunk))
        if len(self._pieces) > 1 and _belong(self._pieces[0], self._pieces[1]):
            self._pieces[:2] = [_joined(self._pieces[0], self._pieces[1])]
        self._join()
        more = len(self.lines) - before
        if self._too_many():
            while self._too_many():
                del self._pieces[-1]
            self._join()
        return more

    def _too_many(self) -> bool:
        """Chunks that hold a line or two of very many take no room: a screen of them is to stay."""
        count = len(self._pieces)
        return count > KEPT and (count > MOST or sum(piece.length for piece in self._pieces) > CHUNK * (KEPT // 4))

    def clear(self) -> None:
        self._pieces.clear()
        self.lines, self.broken = [], []
        self.size, self.ended = 0, False

    def _join(self) -> None:
        lines: list[str] = []
        broken: list[bool] = []
        for piece in self._pieces:
            if not lines:
                lines, broken = list(piece.parts), list(piece.broken)
                continue
            if len(lines[-1]) + len(piece.parts[0]) <= LINE:
                lines[-1] += piece.parts[0]
                lines.extend(piece.parts[1:])
                broken.extend(piece.broken[1:])
            else:
                lines.extend(piece.parts)
                broken.append(True)
                broken.extend(piece.broken[1:])
        self.lines, self.broken = lines, broken


def _belong(first: Piece, second: Piece) -> bool:
    """Whether two neighbours are small enough to be one. What holds nothing takes no room."""
    if first.empty or second.empty:
        return True
    return first.length + second.length <= CHUNK and second.end - first.start <= max(COVERED, CHUNK)


def _joined(first: Piece, second: Piece) -> Piece:
    if len(first.parts[-1]) + len(second.parts[0]) <= LINE:
        parts = (*first.parts[:-1], first.parts[-1] + second.parts[0], *second.parts[1:])
        broken = (*first.broken, *second.broken[1:])
    else:
        parts, broken = first.parts + second.parts, (*first.broken, True, *second.broken[1:])
    return Piece(first.start, second.end, parts, broken, first.length + second.length)


def _piece(chunk: LogChunk) -> Piece:
    parts = chunk.text.split("\n")
    if max(map(len, parts)) <= LINE:
        return Piece(chunk.start, chunk.end, tuple(parts), (False,) * len(parts), len(chunk.text))
    cut: list[str] = []
    broken: list[bool] = []
    for part in parts:
        for at in range(0, max(1, len(part)), LINE):
            cut.append(part[at : at + LINE])
            broken.append(at > 0)
    return Piece(chunk.start, chunk.end, tuple(cut), tuple(broken), len(chunk.text))
