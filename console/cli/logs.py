"""The log of a run on stdout: whole, its end, or only the lines that are asked for."""

from __future__ import annotations

import sys
import time

from backends.entities import LogChunk
from console.cli.follow import POLL_SECONDS, ProgressLine
from console.cli.output import coloured, print_json, print_json_line
from console.cli.verb import Invocation, interruptible
from console.safe import safe_lines
from console.training.log.levels import Level, Levels
from console.training.log.source import FilteredLog, LogSource, WholeLog

STEP = 262_144
"""Bytes of log read at once where all of it is asked for."""

_COLOURS = {Level.DEBUG: "2", Level.WARNING: "33", Level.ERROR: "31", Level.CRITICAL: "31;1"}


def print_log(
    invocation: Invocation, run: str, *, follow: bool, tail: int | None, least: Level | None, word: str
) -> None:
    """The lines of at least a level that hold a word, of these the last `tail`; with `follow` until the run has
    ended."""
    launcher = invocation.need("launcher")

    def read(start: int, limit: int) -> LogChunk:
        found: LogChunk = launcher.log(run, start=start, limit=limit)
        return found

    chosen = least is not None or bool(word)
    out = _Out(invocation.json, follow)
    with interruptible(), ProgressLine() as line:
        source: LogSource = FilteredLog(read, least, word) if chosen or tail else WholeLog(read, STEP)
        position, ended, size = 0, False, 0
        if tail:
            found, position, size, ended = _last(source, tail, line)
            text = "".join(f"{each}\n" for each in found)
            out.piece(LogChunk(text=text, start=0, end=position, size=size, ended=ended))
        while not ended:
            chunk = source.after(position)
            position, size = chunk.end, chunk.size
            if chosen and not out.told:
                line.update(fraction=position / max(1, size), stage="looking")
            if chunk.text:
                line.close()
                out.piece(chunk)
            if chunk.end < chunk.size and chunk.end > chunk.start:
                continue
            if not follow or chunk.ended:
                break
            # A log grows without a change in the store: there is nothing but time to wait for.
            time.sleep(POLL_SECONDS)
    out.close(run, size, source.rest(position) if not follow and isinstance(source, FilteredLog) else "")


def _last(source: LogSource, count: int, line: ProgressLine) -> tuple[list[str], int, int, bool]:
    """The last lines, the byte after them, the log's size, and whether it has ended."""
    chunk = source.before(None)
    end, size, ended = chunk.end, chunk.size, chunk.ended
    pieces = [chunk.text]
    lines = chunk.text.count("\n")
    while lines < count and chunk.start > 0:
        start = chunk.start
        line.update(fraction=1 - start / max(1, size), stage="looking")
        chunk = source.before(start)
        if chunk.end != start or chunk.start >= start:
            break
        pieces.append(chunk.text)
        lines += chunk.text.count("\n")
    found = "".join(reversed(pieces)).split("\n")[:-1]
    return found[-count:], end, size, ended


class _Out:
    """Whole lines on stdout as they come; one document, or a line of JSON for each piece that is followed."""

    def __init__(self, json: bool, follow: bool) -> None:
        self._json, self._follow = json, follow
        self._whole: list[str] = []
        self._pending = ""
        self._levels = Levels()
        self._paint = coloured() and not json
        self.told = False

    def piece(self, chunk: LogChunk) -> None:
        self.told = self.told or bool(chunk.text)
        if not chunk.text:
            return
        if self._json and self._follow:
            print_json_line(chunk)
        elif self._json:
            self._whole.append(chunk.text)
        else:
            # A piece may end within a line: what follows the last line break waits for its rest.
            lines, found, self._pending = (self._pending + chunk.text).rpartition("\n")
            if found:
                self._print(lines)

    def close(self, run: str, size: int, rest: str = "") -> None:
        """`rest` is the line that nobody has ended yet."""
        if self._json:
            self._whole.append(rest)
        else:
            self._pending += rest
        if self._pending:
            self._print(self._pending)
        if self._json and not self._follow:
            print_json({"run": run, "text": "".join(self._whole), "size": size})

    def _print(self, lines: str) -> None:
        raw = lines.replace("\r\n", "\n")
        for source, shown in zip(raw.split("\n"), safe_lines(raw), strict=True):
            colour = ""
            if self._paint:
                level = self._levels.told(source).level
                colour = _COLOURS.get(level, "") if level is not None else ""
            sys.stdout.write(f"\x1b[{colour}m{shown}\x1b[0m\n" if colour else f"{shown}\n")
        sys.stdout.flush()
