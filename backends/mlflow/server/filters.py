"""MLflow's filter and order words, read by the console's own query language."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from backends.mlflow import names
from backends.query import (
    And,
    Compare,
    Fields,
    Has,
    In,
    Key,
    Node,
    Not,
    Or,
    Order,
    Query,
    parse,
    parse_order,
)

_NATIVE: Final = {names.RUN_NAME: "name", names.NOTE: "note", names.PARENT: "parent"}
"""Tags of the protocol that our runs have as fields."""


def read_filter(text: str, fields: Fields) -> Node | None:
    """The condition; QueryError points at what cannot be read."""
    where = parse(text, fields).where if text.strip() else None
    return None if where is None else _native(where)


def read_order(words: Iterable[str], fields: Fields) -> tuple[Order, ...]:
    found: list[Order] = []
    for text in words:
        found += parse_order(text, fields)
    return tuple(msgspec.structs.replace(each, key=_native_key(each.key)) for each in found)


def both(*nodes: Node | None) -> Node | None:
    """All of the conditions that there are."""
    kept = tuple(node for node in nodes if node is not None)
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else And(kept)


def either_way() -> Node:
    """Deleted or not: a filter that names `deleted` says itself which runs are meant."""
    deleted = Key("attribute", "deleted")
    return Or((Compare(deleted, "=", True), Compare(deleted, "=", False)))


def among(name: str, values: Iterable[str]) -> Node:
    """An attribute that is one of these."""
    found = tuple(values)
    key = Key("attribute", name)
    return Compare(key, "=", found[0]) if len(found) == 1 else In(key, found)


def _native_key(key: Key) -> Key:
    return Key("attribute", _NATIVE[key.name]) if key.scope == "tag" and key.name in _NATIVE else key


def _native(node: Node) -> Node:
    match node:
        case And(nodes):
            return And(tuple(map(_native, nodes)))
        case Or(nodes):
            return Or(tuple(map(_native, nodes)))
        case Not(inner):
            return Not(_native(inner))
        case Compare() | In() | Has():
            return msgspec.structs.replace(node, key=_native_key(node.key))
        case _:
            return node


def query(where: Node | None, order: tuple[Order, ...]) -> Query:
    return Query(where=where, order=order)
