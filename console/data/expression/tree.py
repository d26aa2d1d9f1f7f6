"""An expression as a tree, each node with its type and its place in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.entities import ColumnType


@dataclass(frozen=True)
class Node:
    """`type` is None for a bare null, which fits everywhere."""

    type: ColumnType | None
    start: int
    end: int


@dataclass(frozen=True)
class Literal(Node):
    value: Any


@dataclass(frozen=True)
class ColumnRef(Node):
    name: str


@dataclass(frozen=True)
class Call(Node):
    """Of one of `FUNCTIONS`."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Arithmetic(Node):
    sign: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Comparison(Node):
    sign: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Logic(Node):
    """`and`, `or`, `not` (of one)."""

    word: str
    sides: tuple[Node, ...]


@dataclass(frozen=True)
class IsNull(Node):
    value: Node
    negated: bool


@dataclass(frozen=True)
class Among(Node):
    """`x in (…)`."""

    value: Node
    choices: tuple[Literal, ...]
    negated: bool
