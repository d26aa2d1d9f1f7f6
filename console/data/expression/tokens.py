"""The words of an expression, each with the place where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from backends.contract import Invalid

LONGEST: Final = 10_000
"""Characters of an expression."""
_SHOWN: Final = 60


class ExpressionError(Invalid):
    """An expression is wrong at characters `start` to `end`, counted from 0."""

    def __init__(self, message: str, text: str, start: int, end: int) -> None:
        first = max(0, start - _SHOWN // 2)
        near = text[first : first + _SHOWN].replace("\n", " ")
        dots = ("…" if first else "", "…" if first + _SHOWN < len(text) else "")
        super().__init__(f"{message} (at character {start + 1}: {dots[0]}{near}{dots[1]})", "expression")
        self.text, self.start, self.end = text, start, max(end, start + 1)

    @property
    def pointed(self) -> str:
        """The line at fault, and below it a caret under each character that is meant."""
        before = self.text.rfind("\n", 0, self.start) + 1
        line = self.text[before:].split("\n", 1)[0]
        width = min(self.end, before + len(line) + 1) - self.start
        return f"{line}\n{' ' * (self.start - before)}{'^' * max(width, 1)}"


class Word(Enum):
    NUMBER = "number"
    TEXT = "text"
    NAME = "name"
    COLUMN = "column"
    """A name in double quotes or backticks: never a keyword or a function."""
    SIGN = "sign"
    END = "end"


class Token(NamedTuple):
    kind: Word
    value: str
    start: int
    end: int


_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<text>'(?:[^']|'')*')
    |(?P<column>"(?:[^"]|"")*"|`[^`]*`)
    |(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
    |(?P<sign>\*\*|//|==|!=|<>|<=|>=|\|\||[-+*/%^<>=(),])""",
    re.VERBOSE,
)


def tokens(text: str) -> Iterator[Token]:
    """The words of `text`, and an END. ExpressionError at what is none."""
    if len(text) > LONGEST:
        raise ExpressionError(
            f"an expression may have {LONGEST:,} characters, and this has {len(text):,}", text, LONGEST, LONGEST + 1
        )
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionError(_stray(text, at), text, at, at + 1)
        kind, value = str(found.lastgroup), found[0]
        if kind == "text":
            value = value[1:-1].replace("''", "'")
        elif kind == "column":
            value = value[1:-1].replace('""', '"') if value[0] == '"' else value[1:-1]
        if kind != "space":
            yield Token(Word(kind), value, at, found.end())
        at = found.end()
    yield Token(Word.END, "", len(text), len(text))


def _stray(text: str, at: int) -> str:
    char = text[at]
    if char == "'":
        return "a text in single quotes is not closed"
    if char in '"`':
        return f"a column name in {char} is not closed"
    if char in "&|":
        return f"{char} is no operator; write {'and' if char == '&' else 'or'}"
    if char == "!":
        return "! is no operator; write not, or != for unequal"
    return f"{char!r} cannot stand here"
