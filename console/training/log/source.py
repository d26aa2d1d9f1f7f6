"""A log read from any place in both directions, whole or only its lines of a level. Offsets are bytes of the log.

What a source gives are `LogChunk`s that lie next to each other without a gap: a chunk's `start` and `end` say what was
looked at, its text what is shown of that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from backends.entities import LogChunk
from console.training.log.levels import TRACEBACK, Level, Levels, level_of, may_hold

CHUNK: Final = 65_536
"""Bytes read at a time."""

Read = Callable[[int, int], LogChunk]
"""(start byte, limit) → chunk; a negative start counts from the end. Blocks."""


class LogSource(Protocol):
    """Blocking; asked in a thread."""

    def after(self, start: int) -> LogChunk:
        """What comes from byte `start` on."""
        ...

    def before(self, end: int | None) -> LogChunk:
        """What comes up to byte `end`, or to the end of the log as it is now."""
        ...


class WholeLog:
    """Every line, `step` bytes at a time."""

    def __init__(self, read: Read, step: int = 0) -> None:
        self.read = read
        self.step = step or CHUNK

    def after(self, start: int) -> LogChunk:
        return self.read(start, self.step)

    def before(self, end: int | None) -> LogChunk:
        if end is None:
            return self.read(-self.step, self.step)
        start = max(0, end - self.step)
        chunk = self.read(start, max(1, end - start))
        if chunk.start <= end < chunk.end:  # fewer bytes were asked for than a log gives at least
            text = chunk.text.encode("utf-8")[: end - chunk.start].decode("utf-8", "replace")
            return LogChunk(text=text, start=chunk.start, end=end, size=chunk.size, ended=False)
        return chunk


ENOUGH: Final = 200
"""Lines that one question is content with."""
PATIENCE: Final = 0.2
"""Seconds that one question looks for more; its chunk then covers what was looked at, however little it holds."""
LONGEST: Final = 65_536
"""Characters of a line that are kept for what reads on from its middle."""
_PLACES: Final = 512
V = TypeVar("V")
_LOOKED_UP: Final = 200
"""Lines at the start of a stretch that may belong to a message before it."""


class FilteredLog:
    """Only lines of at least a level, with all lines of their tracebacks and messages, and that hold a word.

    A chunk's text is whole lines. What is cut at its two ends is remembered for whoever reads on from there.
    """

    def __init__(self, read: Read, least: Level | None, word: str = "") -> None:
        self._whole = WholeLog(read)
        self._least = least
        self._word = word.casefold()
        self._tails: dict[int, tuple[str, Levels]] = {}
        """By byte: the beginning of the line that goes on there, and what was read before it."""
        self._heads: dict[int, str] = {}
        """By byte: what stands there up to the first line that surely begins something."""

    def after(self, start: int) -> LogChunk:
        tail, before = self._tails.get(start, ("", Levels()))
        levels = before.copy()
        in_line = start > 0 and start not in self._tails
        kept: list[str] = []
        chunk = self._whole.after(start)
        first, at, until = chunk.start, chunk.start, time.monotonic() + PATIENCE
        if first != start:  # cut, or turned over: what came before is not before this
            tail, levels, in_line = "", Levels(), True
        while True:
            text, at = tail + chunk.text, chunk.end
            if in_line:
                cut = _first_beginning(text)
                _keep(self._heads, first, text[:cut][-LONGEST:])
                text = text[cut:]
                in_line = False
            if chunk.ended and text and not text.endswith("\n"):
                text += "\n"
            lines = text.split("\n")
            tail = lines.pop()[:LONGEST]
            self._take(lines, text, levels, kept)
            if at >= chunk.size or chunk.end <= chunk.start or len(kept) >= ENOUGH or time.monotonic() > until:
                break
            chunk = self._whole.after(at)
            if chunk.start != at:
                break
        _keep(self._tails, at, (tail, levels))
        return _chunk(kept, first, at, chunk.size, chunk.ended)

    def before(self, end: int | None) -> LogChunk:
        kept: list[list[str]] = []
        until = time.monotonic() + PATIENCE
        chunk = self._whole.before(end)
        last = start = chunk.end
        size, ended = chunk.size, chunk.ended
        head = "" if end is None else self._heads.get(end, "")
        while True:
            text, start = chunk.text + head, chunk.start
            head = ""
            if start > 0:
                cut = _first_beginning(text)
                head, text = text[:cut][-LONGEST:], text[cut:]
            lines = text.split("\n")
            rest, levels, found = lines.pop(), Levels(), list[str]()
            self._take(lines, text, levels, found)
            if rest and (end is not None or chunk.ended or chunk.end < last):
                self._take([rest], rest, levels, found)
            elif end is None and chunk.end == last:
                # The last line of a log that grows is whole once its end has come.
                _keep(self._tails, last, (rest[:LONGEST], levels))
            kept.insert(0, found)
            if start <= 0 or sum(map(len, kept)) >= ENOUGH or time.monotonic() > until:
                break
            earlier = self._whole.before(start)
            if earlier.end != start:  # what was before is cut
                break
            chunk = earlier
        _keep(self._heads, start, head)
        return _chunk([line for found in kept for line in found], start, last, size, ended)

    def rest(self, end: int) -> str:
        """The line that was read up to byte `end` and is not whole yet, where it is asked for; else nothing."""
        tail, levels = self._tails.get(end, ("", Levels()))
        kept: list[str] = []
        if tail:
            self._take([tail], tail, levels.copy(), kept)
        return "".join(kept)

    def _take(self, lines: list[str], text: str, levels: Levels, kept: list[str]) -> None:
        """Those of the lines that are asked for."""
        word, least = self._word, self._least
        if least is None:
            if not word or word in text.casefold():
                kept += [line for line in lines if word in line.casefold()] if word else lines
        elif not levels.awaits(least) and not may_hold(text, least):
            levels.pass_over()
        else:
            for line in lines:
                level = levels.told(line).level
                if level is not None and level >= least and (not word or word in line.casefold()):
                    kept.append(line)


def _keep(places: dict[int, V], at: int, value: V) -> None:
    """The newest ones; who comes back to an older place loses a line there at most."""
    places.pop(at, None)
    places[at] = value
    if len(places) > _PLACES:
        del places[next(iter(places))]


def _chunk(lines: list[str], start: int, end: int, size: int, ended: bool) -> LogChunk:
    text = "\n".join(lines) + "\n" if lines else ""
    return LogChunk(text=text, start=start, end=end, size=size, ended=ended)


def _first_beginning(text: str) -> int:
    """Where the first line begins that surely belongs to nothing before it: after the cut line, one that says a level
    of its own. Lines before it may be a traceback's."""
    at = text.find("\n") + 1
    if not at:
        return len(text)  # a piece out of the middle of a line
    for _ in range(_LOOKED_UP):
        end = text.find("\n", at)
        line = text[at : end if end >= 0 else len(text)]
        if (line[:1] not in (" ", "\t") and TRACEBACK not in line and level_of(line) is not None) or end < 0:
            break
        at = end + 1
    return at


__all__ = ["CHUNK", "FilteredLog", "LogSource", "Read", "WholeLog"]
