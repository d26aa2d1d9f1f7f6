"""The tree of a query, the fields a noun can be asked for, and the error that points at the wrong character."""

from __future__ import annotations

import unicodedata
from typing import Literal

import msgspec

Scope = Literal["attribute", "metric", "param", "tag", "dataset", "alias"]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~", "!~", "like", "ilike"]
Kind = Literal["text", "number", "time", "bool"]


class Key(msgspec.Struct, frozen=True):
    """What is compared: an attribute of the noun itself, or a named metric, parameter or tag."""

    scope: Scope
    name: str


class Compare(msgspec.Struct, frozen=True):
    """False wherever the key is not there, also for `!=` and `!~`; `Not` is the plain complement.

    A number is compared with the number that a parameter or tag spells ("0.10" = 0.1), a string with its text. `~` is
    "contains", any case; `=` is exact; `like` knows case, `ilike` does not; both read `%` and `_` as SQL does.
    """

    key: Key
    op: Operator
    value: str | float | int | bool


class In(msgspec.Struct, frozen=True):
    key: Key
    values: tuple[str | float | int, ...]
    negated: bool = False


class Has(msgspec.Struct, frozen=True):
    """The key is there at all; of an attribute: it is not empty."""

    key: Key


class Text(msgspec.Struct, frozen=True):
    """A bare word: anywhere in name, note, tags or parameters, any case; under three characters: the name begins so."""

    value: str


class Not(msgspec.Struct, frozen=True):
    node: Node


class And(msgspec.Struct, frozen=True):
    nodes: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True):
    nodes: tuple[Node, ...]


Node = Compare | In | Has | Text | Not | And | Or


def asks(node: Node, key: Key) -> bool:
    """Whether the key stands anywhere in the tree."""
    match node:
        case Compare() | In() | Has():
            return node.key == key
        case Not():
            return asks(node.node, key)
        case And() | Or():
            return any(asks(part, key) for part in node.nodes)
    return False


class Order(msgspec.Struct, frozen=True):
    """Rows without the key come last either way."""

    key: Key
    descending: bool = False


class Query(msgspec.Struct, frozen=True):
    """`where` None is everything."""

    where: Node | None = None
    order: tuple[Order, ...] = ()


class Fields(msgspec.Struct, frozen=True):
    """What a noun can be asked for."""

    noun: str
    attributes: dict[str, Kind]
    scopes: tuple[Scope, ...] = ()
    aliases: dict[str, str] = {}
    """Other spelling, lower case → attribute."""
    values: dict[str, tuple[str, ...]] = {}
    """Attribute → the only values it can have."""
    value_aliases: dict[str, dict[str, str]] = {}
    """Attribute → other spelling of a value, lower case → value."""
    refused: dict[str, str] = {}
    """Key that elsewhere exists, lower case → what to ask for instead."""


class Suggestion(msgspec.Struct, frozen=True):
    """One way to go on: put `text` in place of the characters `start` to `end`."""

    text: str
    start: int
    end: int
    kind: Literal["key", "operator", "value", "word"] = "key"


class QueryError(ValueError):
    """The query cannot be read. `position` counts from 0; `str()` shows a caret under the place."""

    def __init__(self, message: str, position: int, text: str, hint: str = "") -> None:
        self.message = f"{message} at character {position + 1}"
        self.position = position
        self.text = text
        self.hint = hint
        super().__init__(self.message)

    @property
    def summary(self) -> str:
        """One line: the message and what to do."""
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __str__(self) -> str:
        start = max(0, self.position - 60)
        shown = "".join(" " if c.isspace() or not c.isprintable() else c for c in self.text[start : self.position + 40])
        before = shown[: self.position - start]
        return f"{self.summary}\n  {shown}\n  {' ' * sum(_cells(c) for c in before)}^"


def _cells(character: str) -> int:
    """Terminal cells, closely enough to stand a caret under the right place."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
