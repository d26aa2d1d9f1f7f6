"""A query's characters, cut into tokens."""

from __future__ import annotations

from typing import Literal

import msgspec

from backends.query_nodes import QueryError

OPERATORS = ("!=", "!~", "<=", ">=", "<>", "==", "=", "<", ">", "~")
_SPELLINGS = {"<>": "!=", "==": "="}
_QUOTES = "'\"`"
_MARKS: dict[str, Literal["(", ")", ","]] = {"(": "(", ")": ")", ",": ","}


class Token(msgspec.Struct, frozen=True):
    """`text` is the meaning: unquoted, operators in their one spelling. `start` and `end` are places in the query."""

    kind: Literal["word", "quoted", "op", "(", ")", ",", "end"]
    text: str
    start: int
    end: int

    def says(self, *words: str) -> bool:
        """Whether this is one of the bare words, any case."""
        return self.kind == "word" and self.text.lower() in words


def tokens(text: str, *, tolerant: bool = False) -> list[Token]:
    """All tokens and a final `end`. `tolerant` closes an open quotation at the end, for completion."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character.isspace():
            at += 1
            continue
        if character in _QUOTES:
            token = _quoted(text, at, tolerant)
        elif operator := _operator_at(text, at):
            token = Token("op", _SPELLINGS.get(operator, operator), at, at + len(operator))
        elif character in _MARKS:
            token = Token(_MARKS[character], character, at, at + 1)
        else:
            token = _word(text, at)
        found.append(token)
        at = token.end
    found.append(Token("end", "", len(text), len(text)))
    return found


def _operator_at(text: str, at: int) -> str:
    return next((operator for operator in OPERATORS if text.startswith(operator, at)), "")


def _quoted(text: str, start: int, tolerant: bool) -> Token:
    """A quotation mark inside is written twice."""
    quote = text[start]
    at = start + 1
    pieces: list[str] = []
    while True:
        end = text.find(quote, at)
        if end < 0:
            if tolerant:
                return Token("quoted", "".join(pieces) + text[at:], start, len(text))
            raise QueryError("a quotation is not closed", start, text, f"close it with {quote} (twice for one inside)")
        pieces.append(text[at:end])
        if not text.startswith(quote, end + 1):
            return Token("quoted", "".join(pieces), start, end + 1)
        pieces.append(quote)
        at = end + 2


def _word(text: str, start: int) -> Token:
    """Ends at a space, bracket, comma or operator; an apostrophe inside belongs to it, a quotation after a dot not."""
    at = start
    while at < len(text):
        character = text[at]
        if character.isspace() or character in "()," or _operator_at(text, at):
            break
        if character in _QUOTES and text[at - 1] in ".:":
            break
        at += 1
    return Token("word", text[start:at], start, at)
