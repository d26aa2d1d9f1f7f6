"""A query's tree, back to text that parses to the same tree."""

from __future__ import annotations

import re

from backends.query_fields import SCOPE_NAMES
from backends.query_nodes import And, Compare, Has, In, Key, Node, Not, Or, Order, Query, Text

KEYWORDS = frozenset({"and", "or", "not", "in", "like", "ilike", "is", "order", "by", "asc", "desc"})
_PLAIN = re.compile(r"[A-Za-z0-9_@/+-][A-Za-z0-9_.@/+-]*")


def to_text(query: Query) -> str:
    """`parse(to_text(query), fields) == query` for every query that `parse` can give."""
    where = node_text(query.where) if query.where is not None else ""
    order = "order by " + ", ".join(order_text(part) for part in query.order) if query.order else ""
    return " ".join(part for part in (where, order) if part)


def key_text(key: Key) -> str:
    if key.scope == "attribute":
        return key.name
    name = key.name if _PLAIN.fullmatch(key.name) else "`" + key.name.replace("`", "``") + "`"
    return f"{SCOPE_NAMES[key.scope]}.{name}"


def order_text(order: Order) -> str:
    return f"{key_text(order.key)}{' desc' if order.descending else ''}"


def node_text(node: Node) -> str:
    match node:
        case Compare(key, op, value):
            return f"{key_text(key)} {op} {value_text(value)}"
        case In(key, values, negated):
            return (
                f"{key_text(key)} {'not in' if negated else 'in'} ({', '.join(value_text(value) for value in values)})"
            )
        case Has(key):
            return f"has:{key_text(key)}"
        case Text(value):
            plain = _PLAIN.fullmatch(value) and value.lower() not in KEYWORDS and "." not in value
            return value if plain else _quote(value)
        case Not(inner):
            return f"not {_grouped(inner, (And, Or))}"
        case And(nodes):
            return " and ".join(_grouped(part, (And, Or)) for part in nodes)
        case Or(nodes):
            return " or ".join(_grouped(part, (Or,)) for part in nodes)


def value_text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quote(value) if isinstance(value, str) else repr(value)


def _grouped(node: Node, kinds: tuple[type, ...]) -> str:
    text = node_text(node)
    return f"({text})" if isinstance(node, kinds) else text


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
