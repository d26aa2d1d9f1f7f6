"""Which level a line of a log has, in the ways that programs write it; a traceback is one error.

Known are the levels of Python's logging in any layout, log4j, loguru, glog and TensorFlow (`E0312`, `: E tensorflow`),
`level=error` (logfmt), JSON lines with a level, compilers' `error:` and Python's `UserWarning:`. A line that says none
has none: what a program prints is not information by itself.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple


class Level(IntEnum):
    """As in Python's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50

    @property
    def word(self) -> str:
        return self.name.lower()


WORDS: Final[dict[str, Level]] = {
    "trace": Level.DEBUG, "debug": Level.DEBUG, "verbose": Level.DEBUG,
    "info": Level.INFO, "notice": Level.INFO, "success": Level.INFO, "information": Level.INFO,
    "warn": Level.WARNING, "warning": Level.WARNING,
    "error": Level.ERROR, "err": Level.ERROR, "severe": Level.ERROR, "exception": Level.ERROR,
    "critical": Level.CRITICAL, "crit": Level.CRITICAL, "fatal": Level.CRITICAL, "panic": Level.CRITICAL,
    "emerg": Level.CRITICAL, "emergency": Level.CRITICAL, "alert": Level.CRITICAL,
}  # fmt: skip

TRACEBACK: Final = "Traceback (most recent call last)"
_CHAINED: Final = ("During handling of the above exception", "The above exception was the direct cause")

LOOKED_AT: Final = 2000
"""Characters of a JSON line in which its level is looked for; of any other line a tenth."""

_HEAD: Final = LOOKED_AT // 10
_JSON = re.compile(r'"(?:level|levelname|severity|lvl|log\.level|log_level)"\s*:\s*"?(\w+)', re.I)
_LOGFMT = re.compile(r'(?:^|[\s,{])(?:level|levelname|severity|lvl)=["\']?(\w+)', re.I)
_CAPITAL = re.compile(
    r"(?<![A-Za-z0-9_.])(TRACE|DEBUG|INFO|NOTICE|SUCCESS|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL)(?![A-Za-z0-9_.=])"
)
_LOW = re.compile(
    r"\s{0,8}(?:\[(debug|info|notice|warn|warning|err|error|crit|critical|fatal)\]|(debug|info|warning|warn|error|fatal|critical):)(?:\s|$)",
    re.I,
)
_GLOG = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: ([IWEF]) ")
_WARNED = re.compile(r"\S+:\d+: \w*Warning(?::|$)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_AROUND = re.compile(r"\[[^\]]*\]|\([^)]*\)|\S*\d\S*")
"""What stands before a level and is no word of a sentence: brackets, times, process numbers."""

_LETTERS = {"I": Level.INFO, "W": Level.WARNING, "E": Level.ERROR, "F": Level.CRITICAL}
_OPENING = tuple("[(<|:-{\"'\t=")
_NUMBERS = {10: Level.DEBUG, 20: Level.DEBUG, 30: Level.INFO, 40: Level.WARNING, 50: Level.ERROR, 60: Level.CRITICAL}
"""What JSON loggers (bunyan, pino) mean by a number: ten more than Python's."""


def level_named(word: str) -> Level | None:
    """`error`, `WARN`, …; None for any other word."""
    return WORDS.get(word.casefold())


def level_of(line: str) -> Level | None:
    """What the line itself says."""
    start = line.lstrip()[:1]
    if not start:
        return None
    if start == "{":
        found = _JSON.search(line, 0, LOOKED_AT)
        if found:
            return _NUMBERS.get(int(found[1])) if found[1].isdecimal() else level_named(found[1])
    head = line[:_HEAD]
    if "=" in head and (found := _LOGFMT.search(head)):
        return level_named(found[1])
    if found := _CAPITAL.search(head):
        return level_named(found[1]) if _stands_alone(head, found.start()) else None
    if found := _LOW.match(head):
        return level_named(found[1] or found[2])
    if found := _GLOG.match(head):
        return _LETTERS[found[1] or found[2]]
    if head.startswith(TRACEBACK):
        return Level.ERROR
    return Level.WARNING if "Warning" in head and _WARNED.match(head) else None


def _stands_alone(head: str, at: int) -> bool:
    """Whether what stands before the word is a time, a name or a bracket, and no sentence that happens to hold it."""
    before = head[:at].rstrip(" ")
    if not before or before.endswith(_OPENING):
        return True
    words = _AROUND.sub("", before).strip(" .,-|:[](){}<>Z").split()
    # `2013-04-12 10:00:00 my.module ERROR …`: after a time one word may be the logger's name.
    return len(words) <= (before[0] in "0123456789[(")


class Told(NamedTuple):
    """What is known of a line once its neighbours before it were read."""

    level: Level | None
    head: bool
    """It begins something of that level; False for what goes on: a traceback's lines, a message's further ones."""


class Levels:
    """Reads line after line. A traceback is an error from its first line to its exception, with the message before it
    where that is an error too, and with the exceptions that it was raised from; indented lines belong to the message
    above them."""

    def __init__(self) -> None:
        self._before: Level | None = None
        """Level of what the next line may belong to."""
        self._inside = False
        """In a traceback's frames."""
        self._ended = False
        """A traceback ended, and another that it caused may follow."""

    def awaits(self, least: Level) -> bool:
        """Whether the next line may belong to something of that level."""
        return self._inside or self._ended or (self._before is not None and self._before >= least)

    def copy(self) -> Levels:
        """To read on from here more than once."""
        return copy.copy(self)

    def pass_over(self) -> None:
        """Lines are left out that hold nothing of interest."""
        self._before = None

    def told(self, line: str) -> Told:
        if "\x1b" in line or "\r" in line:
            line = _COLOUR.sub("", line).rstrip("\r").rpartition("\r")[2]
        plain = line.strip()
        if TRACEBACK in line:
            begins = not (self._ended or (self._before is not None and self._before >= Level.ERROR))
            self._inside, self._ended = True, False
            self._before = max(self._before or Level.ERROR, Level.ERROR)
            return Told(self._before, begins)
        indented = line[:1] in (" ", "\t")
        if self._inside:
            if not indented and plain and plain[0] not in "|+│╭╰":
                self._inside, self._ended = False, True
            return Told(self._before, False)
        if self._ended:
            if not plain or plain.startswith(_CHAINED):
                return Told(self._before, False)
            self._ended = False
            if not indented:
                self._before = None
        level = level_of(line)
        if level is not None and not (indented and self._before is not None and plain[:1] not in "{["):
            self._before = level
            return Told(level, True)
        if indented and self._before is not None:
            return Told(self._before, False)
        self._before = None
        return Told(None, True)


def told_lines(lines: Iterable[str]) -> Iterator[Told]:
    """Of each line of a stretch."""
    levels = Levels()
    for line in lines:
        yield levels.told(line)


def heads(lines: Sequence[str], least: Level) -> list[int]:
    """The lines that begin something of at least this level."""
    return [at for at, (level, head) in enumerate(told_lines(lines)) if head and level is not None and level >= least]


_SIGNS: Final = {
    Level.DEBUG: ("",),
    Level.INFO: ("",),
    Level.WARNING: ("arn", "ARN", "level", "everity", "rror", "RROR", "itical", "CRIT", "FATAL", "atal", "anic",
                    "Traceback", "SEVERE", "[err", "[ERR", "[crit", "\nE", "\nW", ": E", ": W", "\nF", ": F"),
    Level.ERROR: ("ERROR", "[err", "[ERR", "[crit", "rror:", "rror]", "Traceback", "CRIT", "FATAL", "SEVERE",
                  "level", "everity", "itical", "atal", "lvl", "LEVEL", "\nE", "\nF", ": E", ": F"),
    Level.CRITICAL: ("CRIT", "[crit", "FATAL", "itical", "atal", "anic", "level", "everity", "lvl", "LEVEL",
                     "\nF", ": F"),
}  # fmt: skip


def may_hold(text: str, least: Level) -> bool:
    """A quick no: False where no line of the text can have that level."""
    text = "\n" + text
    return any(sign in text for sign in _SIGNS[least])
