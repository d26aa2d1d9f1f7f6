"""A stretch of a growing log, by byte offsets: whole chunks next to each other, never more than a few."""

from __future__ import annotations

from dataclasses import dataclass

from backends.entities import LogChunk

CHUNK = 65_536
"""Bytes asked for at a time."""

KEPT = 24
"""Chunks in memory: 1.5 MB of a log of any size."""


@dataclass(frozen=True)
class Piece:
    """One chunk, cut at its newlines; first and last part may belong to lines of the neighbours."""

    start: int
    end: int
    parts: tuple[str, ...]


class LogText:
    """Lines of the chunks that are held."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self.lines: list[str] = []
        self.size = 0
        """Bytes in the whole log, as last heard."""
        self.ended = False

    @property
    def start(self) -> int:
        """Byte at which the first held line begins."""
        return self._pieces[0].start if self._pieces else 0

    @property
    def end(self) -> int:
        """Byte after the last one held."""
        return self._pieces[-1].end if self._pieces else 0

    @property
    def whole_tail(self) -> bool:
        """Whether nothing is missing at the end."""
        return self.end >= self.size

    def append(self, chunk: LogChunk) -> int:
        """Take what follows; gives how many lines were let go at the front."""
        self.size, self.ended = chunk.size, chunk.ended
        if chunk.end <= chunk.start:
            return 0
        if self._pieces and chunk.start != self.end:
            self._pieces.clear()  # the log was cut or turned over: what was held is not before this
        self._pieces.append(_piece(chunk))
        # A follower brings a few bytes at a time: small neighbours become one chunk, so that the limit means bytes.
        if len(self._pieces) > 1 and self._pieces[-1].end - self._pieces[-2].start <= CHUNK:
            last, before = self._pieces.pop(), self._pieces.pop()
            joined = (*before.parts[:-1], before.parts[-1] + last.parts[0], *last.parts[1:])
            self._pieces.append(Piece(before.start, last.end, joined))
        gone = 0
        while len(self._pieces) > KEPT:
            gone += len(self._pieces.pop(0).parts) - 1
        self._join()
        return gone

    def prepend(self, chunk: LogChunk) -> int:
        """Take what comes before; gives how many lines there are more at the front. The far end is let go."""
        self.size = chunk.size
        if chunk.end <= chunk.start or chunk.end != self.start:
            return 0
        self._pieces.insert(0, _piece(chunk))
        del self._pieces[KEPT:]
        self._join()
        return len(self._pieces[0].parts) - 1

    def clear(self) -> None:
        self._pieces.clear()
        self.lines = []
        self.size, self.ended = 0, False

    def _join(self) -> None:
        lines: list[str] = []
        for piece in self._pieces:
            if lines:
                lines[-1] += piece.parts[0]
                lines.extend(piece.parts[1:])
            else:
                lines = list(piece.parts)
        self.lines = lines


def _piece(chunk: LogChunk) -> Piece:
    return Piece(chunk.start, chunk.end, tuple(chunk.text.split("\n")))
