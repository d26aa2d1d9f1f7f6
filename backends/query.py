"""One filter and sort language, parsed to a tree; each backend compiles the tree."""

from __future__ import annotations

from typing import Literal

import msgspec

Scope = Literal["attribute", "metric", "param", "tag", "dataset", "alias"]


class Key(msgspec.Struct, frozen=True):
    """What is compared: an attribute of the noun itself, or a named metric, parameter or tag."""

    scope: Scope
    name: str


class Compare(msgspec.Struct, frozen=True):
    key: Key
    op: Literal["=", "!=", "<", "<=", ">", ">=", "~", "!~", "like", "ilike"]
    value: str | float | int | bool


class In(msgspec.Struct, frozen=True):
    key: Key
    values: tuple[str | float | int, ...]
    negated: bool = False


class Has(msgspec.Struct, frozen=True):
    """The key is there at all."""

    key: Key


class Text(msgspec.Struct, frozen=True):
    """A bare word: anywhere in name, note, tags or parameters, any case."""

    value: str


class Not(msgspec.Struct, frozen=True):
    node: Node


class And(msgspec.Struct, frozen=True):
    nodes: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True):
    nodes: tuple[Node, ...]


Node = Compare | In | Has | Text | Not | And | Or


class Order(msgspec.Struct, frozen=True):
    key: Key
    descending: bool = False


class Query(msgspec.Struct, frozen=True):
    """`where` None is everything."""

    where: Node | None = None
    order: tuple[Order, ...] = ()
