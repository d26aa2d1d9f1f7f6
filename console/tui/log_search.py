"""Looking through a log of any length for a word or an error: chunk by chunk from what is held, in a thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from backends.entities import LogChunk
from console.training.log.levels import Level, heads, may_hold
from console.training.log.source import LogSource
from console.tui.log_text import LINE, LogText, Piece


class Sought(Protocol):
    """What is looked for."""

    label: str

    def may(self, text: str) -> bool:
        """A quick look: False where no line of the text can be one."""
        ...

    def among(self, lines: Sequence[str], broken: Sequence[bool]) -> list[int]:
        """The numbers of the lines that are it."""
        ...


class Word:
    """Lines that hold a word, in small or capital letters."""

    def __init__(self, word: str) -> None:
        self.word = word.casefold()
        self.label = f"/{word}"

    def may(self, text: str) -> bool:
        return self.word in text.casefold()

    def among(self, lines: Sequence[str], broken: Sequence[bool]) -> list[int]:
        found = [at for at, line in enumerate(lines) if self.word in line.casefold()]
        # A line that was too long to be held as one may have been broken within the word.
        for at, goes_on in enumerate(broken):
            if goes_on and at:
                seam = lines[at - 1][-len(self.word) :] + lines[at][: len(self.word)]
                if self.word in seam.casefold():
                    found.append(at - 1)
        return sorted(set(found))


class Line:
    """The very line."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.label = ""

    def may(self, text: str) -> bool:
        return self.line in text

    def among(self, lines: Sequence[str], broken: Sequence[bool]) -> list[int]:  # noqa: ARG002
        return [at for at, line in enumerate(lines) if line == self.line]


class Errors:
    """Lines that begin an error; a traceback is one."""

    label = "error"

    def may(self, text: str) -> bool:
        return may_hold(text, Level.ERROR)

    def among(self, lines: Sequence[str], broken: Sequence[bool]) -> list[int]:
        return [at for at in heads(lines, Level.ERROR) if not broken[at]]


@dataclass(frozen=True)
class Found:
    """The stretch of the log that holds the hit, and its line there; without a line nothing was found as far as
    `reached`."""

    text: LogText
    line: int
    reached: int


def seek(
    source: LogSource,
    sought: Sought,
    text: LogText,
    way: int,
    stop: Callable[[], bool],
    say: Callable[[int, int], None] = lambda *_: None,
    *,
    start: int = 0,
) -> Found:
    """The next hit below (1) or above (-1) the stretch that is held, or byte `start` where nothing is. `say` is told
    the byte reached and the size."""
    edge: Piece | LogChunk | None = text.last_piece if way > 0 else text.first_piece
    reached = start if edge is None else edge.end if way > 0 else edge.start
    while not stop():
        if way > 0:
            chunk = source.after(reached)
        elif reached <= 0:
            break
        else:
            chunk = source.before(reached)
        if chunk.end <= chunk.start or (way < 0 and chunk.end != reached):
            break
        lap = _lap(edge, way)
        if sought.may(lap + chunk.text if way > 0 else chunk.text + lap):
            found, line = _look(sought, edge, chunk, way)
            if line is not None:
                return Found(found, line, chunk.start)
        edge = chunk
        reached = chunk.end if way > 0 else chunk.start
        say(reached, chunk.size)
    return Found(LogText(), -1, reached)


def _lap(edge: Piece | LogChunk | None, way: int) -> str:
    """The part of the text beside a chunk that may be of the same line."""
    if edge is None:
        return ""
    if isinstance(edge, Piece):
        return edge.parts[-1] if way > 0 else edge.parts[0]
    return edge.text.rpartition("\n")[2][-LINE:] if way > 0 else edge.text.partition("\n")[0][:LINE]


def _look(sought: Sought, edge: Piece | LogChunk | None, chunk: LogChunk, way: int) -> tuple[LogText, int | None]:
    """The hit in a chunk, with its neighbour on the side that we come from: a line may lie over the border."""
    held, both = _text(edge), _text(edge)
    known = set(sought.among(held.lines, held.broken))
    if way > 0:
        both.append(chunk)
        last = max(0, len(held.lines) - 1)
        first = (last + 1 if last in known else last) if edge is None or chunk.start == edge.end else 0
        hits = [at for at in sought.among(both.lines, both.broken) if at >= first]
        return both, hits[0] if hits else None
    if edge is None:
        both.append(chunk)
        more = len(both.lines)
    else:
        more = both.prepend(chunk)
    hits = [at for at in sought.among(both.lines, both.broken) if at < more or (at == more and 0 not in known)]
    return both, hits[-1] if hits else None


def _text(edge: Piece | LogChunk | None) -> LogText:
    if isinstance(edge, Piece):
        return LogText([edge])
    text = LogText()
    if edge is not None:
        text.append(edge)
    return text
