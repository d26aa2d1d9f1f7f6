"""A query's tree as SQL conditions on `runs AS r`, in the two shapes that `schema` describes. Every value is bound.

By row, columns stand behind a unary plus: the index that is walked must be the one that is used. By set, the rarest
condition drives from its own index, and the others are asked of each row that it gives.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import product
from typing import Final, Literal, NamedTuple

from backends.contract import Unsupported
from backends.local.run_order import COLUMNS
from backends.query import And, Compare, Has, In, Key, Node, Not, Or, Text
from backends.query_match import SHORT
from backends.query_values import number_of

Bind = str | float | int


class Part(NamedTuple):
    """A piece of SQL and what it binds."""

    sql: str
    binds: tuple[Bind, ...] = ()


FEW: Final = 20_000
"""Hits beyond this number are not counted when the rarest of several conditions is chosen."""

_TABLES: Final = {"metric": "latest_metric", "param": "params", "tag": "tags"}
_NULLABLE: Final = frozenset({"started", "ended", "duration"})
_TEXTS: Final = frozenset({"id", "name", "status", "experiment", "user", "parent", "engine", "note"})
_EQUAL: Final = frozenset({"id", "name", "status", "experiment", "parent"})
"""Attributes whose equality an index answers."""
_RANGED: Final = frozenset({"created", "started", "ended", "duration"})
_SEARCHED: Final = frozenset({"name", "note", "experiment"})
"""Attributes that `run_text` holds."""
_INPUTS: Final = {
    "name": "x.dataset",
    "version": "x.version",
    "digest": "x.digest",
    "context": "x.context",
    "ref": "(x.dataset || '@' || x.version)",
}


def compile_runs(
    where: Node, *, by: Literal["row", "set"], connection: sqlite3.Connection | None = None
) -> tuple[str, list[Bind]]:
    """(condition, binds). With a connection, `set` looks which of several conditions is rarest."""
    part = (_select(where, connection) if by == "set" else None) or _row(where)
    if by == "set" and part.sql.startswith("SELECT"):
        part = Part(f"r.seq IN ({part.sql})", part.binds)
    return part.sql, list(part.binds)


def compile_hits(where: Node, *, connection: sqlite3.Connection | None = None) -> tuple[str, list[Bind]] | None:
    """(SELECT of the hits' `seq`, binds) that gives them one by one, some perhaps twice, or None where no index serves.

    For those who want only the first of them: a set must be complete before it says anything.
    """
    part = _select(where, connection)
    return None if part is None else (part.sql, list(part.binds))


# ---------------------------------------------------------------- by row


def _row(node: Node) -> Part:
    """True or false of one run, never NULL, so that NOT is the complement."""
    match node:
        case And(nodes):
            return _joined([_row(part) for part in nodes], " AND ")
        case Or(nodes):
            return _joined([_row(part) for part in nodes], " OR ")
        case Not(inner):
            part = _row(inner)
            return Part(f"NOT ({part.sql})", part.binds)
        case Text(value):
            return _text(value.lower())
        case Compare(key, _, _) | In(key, _, _) | Has(key):
            if key.scope == "attribute":
                return _attribute(node, f"+r.{_column(key)}")
            if key.scope == "dataset":
                part = _tested(_INPUTS[key.name], node)
                return Part(f"EXISTS (SELECT 1 FROM run_inputs x WHERE x.run = r.seq AND {part.sql})", part.binds)
            part = _keyed(node, key)
            return Part(
                f"EXISTS (SELECT 1 FROM {_table(key)} x WHERE x.run = r.seq AND x.key = ? AND {part.sql})",
                (key.name, *part.binds),
            )


def _text(needle: str) -> Part:
    if len(needle) < SHORT:
        spellings = _spellings(needle)
        return Part(f"substr(r.name, 1, {len(needle)}) IN ({_marks(spellings)})", tuple(spellings))
    return Part("instr((SELECT t.text FROM run_text t WHERE t.run = r.seq), ?) > 0", (needle,))


def _attribute(node: Compare | In | Has, column: str) -> Part:
    name = node.key.name
    if name == "deleted":
        return _deleted(node)
    guard = f"{column} IS NOT NULL AND " if name in _NULLABLE else ""
    if isinstance(node, Has):
        return Part(f"{column} <> ''" if name in _TEXTS else f"{column} IS NOT NULL")
    if name == "duration":
        node = _in_milliseconds(node)
    part = _tested(column, node)
    return Part(f"({guard}{part.sql})", part.binds)


def _deleted(node: Compare | In | Has) -> Part:
    if isinstance(node, Compare):
        wanted = bool(node.value) == (node.op == "=")
        return Part(f"+r.deleted_at IS {'NOT ' if wanted else ''}NULL")
    return Part("+r.deleted_at IS NOT NULL")


def _in_milliseconds(node: Compare | In) -> Compare | In:
    """The language says seconds, the table milliseconds; rounded, so that 1.001 s is 1001 ms."""
    if isinstance(node, In):
        return In(node.key, tuple(round(float(value) * 1_000, 6) for value in node.values), node.negated)
    return Compare(node.key, node.op, round(float(node.value) * 1_000, 6))


def _keyed(node: Compare | In | Has, key: Key) -> Part:
    """The test of a metric's, parameter's or tag's row `x`."""
    if key.scope == "metric":
        return Part("1") if isinstance(node, Has) else _guarded(_tested("x.value", node))
    return _tested("x.value", node, number="x.number")


def _guarded(part: Part) -> Part:
    return Part(f"x.value IS NOT NULL AND {part.sql}", part.binds)


def _tested(column: str, node: Compare | In | Has, number: str = "") -> Part:
    """A comparison of one column; numbers are compared with the column `number` where there is one."""
    if isinstance(node, Has):
        return Part(f"{column} <> ''")
    if isinstance(node, In):
        return _tested_in(column, node, number)
    value, numeric = node.value, not isinstance(node.value, str)
    match node.op:
        case "!=" if numeric and number:
            return Part(f"({number} IS NULL OR {number} <> ?)", (value,))
        case "=" | "!=" | "<" | "<=" | ">" | ">=":
            asked = number if numeric and number else column
            guard = f"{asked} IS NOT NULL AND " if asked == number else ""
            return Part(f"({guard}{asked} {'<>' if node.op == '!=' else node.op} ?)", (value,))
        case "~" | "!~":
            patterns = [f"%{_escaped(spelling)}%" for spelling in _cases(str(value))]
            either = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for _ in patterns)
            return Part(f"{'NOT ' if node.op == '!~' else ''}({either})", tuple(patterns))
        case "like":
            return Part(f"{column} GLOB ?", (_glob(str(value)),))
        case "ilike":
            return Part(f"{column} LIKE ?", (str(value),))


def _tested_in(column: str, node: In, number: str) -> Part:
    figures = [value for value in node.values if not isinstance(value, str)] if number else []
    texts = [value for value in node.values if isinstance(value, str)] if number else list(node.values)
    either = [Part(f"{column} IN ({_marks(texts)})", tuple(texts))] if texts else []
    if figures:
        # The guard keeps NOT the complement; without NOT it would only keep the index away.
        guard = f"{number} IS NOT NULL AND " if node.negated else ""
        either.append(Part(f"({guard}{number} IN ({_marks(figures)}))", tuple(figures)))
    part = _joined(either, " OR ")
    return Part(f"NOT {part.sql}", part.binds) if node.negated else part


# ---------------------------------------------------------------- by set


def _select(node: Node, connection: sqlite3.Connection | None) -> Part | None:
    """A SELECT of the seqs that an index gives for the condition, or None where none serves."""
    match node:
        case And(nodes):
            return _rarest(nodes, connection)
        case Or(nodes):
            parts = [_select(part, connection) for part in nodes]
            if any(part is None for part in parts) or len(parts) > _MOST:
                return None
            return _union([part for part in parts if part is not None])
        case Not():
            return None
        case Text(value):
            return _searched(value.lower(), node) if len(value.lower()) >= SHORT else _begun(value.lower())
        case Compare(key, op, value) if op == "~" and len(str(value).lower()) >= SHORT:
            in_text = key.scope in ("param", "tag") or (key.scope == "attribute" and key.name in _SEARCHED)
            return _searched(str(value).lower(), node) if in_text else None
        case Compare(key, _, _) | In(key, _, _) | Has(key):
            if key.scope == "attribute":
                return _select_attribute(node)
            if key.scope == "dataset":
                return _select_input(node)
            return _select_keyed(node, key)


_MOST: Final = 100
"""SQLite joins at most 500 SELECTs."""


def _union(parts: Sequence[Part]) -> Part:
    sql = " UNION ALL ".join(f"SELECT * FROM ({part.sql})" for part in parts)
    return Part(sql, tuple(bind for part in parts for bind in part.binds))


def _rarest(nodes: Sequence[Node], connection: sqlite3.Connection | None) -> Part | None:
    found = [(part, at) for at, node in enumerate(nodes) if (part := _select(node, connection)) is not None]
    if not found:
        return None
    driver, chosen = found[0]
    if connection is not None and len(found) > 1:
        sizes = [_size(part, connection) for part, _ in found]
        driver, chosen = found[sizes.index(min(sizes))]
    rest = _joined([_row(node) for at, node in enumerate(nodes) if at != chosen], " AND ")
    return _nested(driver, rest)


def _size(part: Part, connection: sqlite3.Connection) -> int:
    row = connection.execute(f"SELECT count(*) FROM ({part.sql} LIMIT {FEW})", part.binds).fetchone()
    size: int = row[0]
    return size


def _nested(driver: Part, rest: Part) -> Part:
    """Those of the driver's runs for which the rest holds; this `r` stands before the one outside."""
    return Part(
        f"SELECT r.seq FROM ({driver.sql}) d CROSS JOIN runs r ON r.seq = d.seq WHERE {rest.sql}",
        (*driver.binds, *rest.binds),
    )


def _searched(needle: str, node: Node) -> Part:
    """By trigrams, then by the condition itself: the index folds a few letters more than `lower` does."""
    phrase = '"' + needle.replace('"', '""') + '"'
    return _nested(Part("SELECT rowid AS seq FROM run_search WHERE run_search MATCH ?", (phrase,)), _row(node))


def _begun(needle: str) -> Part:
    spellings = _spellings(needle)
    ranges = [
        Part(
            "SELECT s.seq FROM runs s WHERE s.deleted_at IS NULL AND s.name >= ? AND s.name < ?",
            (spelling, spelling + "\U0010ffff"),
        )
        for spelling in spellings
    ]
    hidden = f"SELECT s.seq FROM runs s WHERE s.deleted_at IS NOT NULL AND substr(s.name, 1, {len(needle)})"
    return _union([*ranges, Part(f"{hidden} IN ({_marks(spellings)})", tuple(spellings))])


def _select_attribute(node: Compare | In | Has) -> Part | None:
    name = node.key.name
    equal = (isinstance(node, Compare) and node.op == "=") or (isinstance(node, In) and not node.negated)
    ranged = isinstance(node, Compare) and node.op not in ("!=", "=") and name in _RANGED
    if not (ranged or (equal and name in _EQUAL | _RANGED)):
        return None
    test = _attribute(node, f"s.{_column(node.key)}")
    if name in ("id", "parent"):
        kept = " AND s.parent <> ''" if name == "parent" else ""
        if name == "parent" and "" in test.binds:
            return None
        return Part(f"SELECT s.seq FROM runs s WHERE {test.sql}{kept}", test.binds)
    return _union(
        [
            Part(f"SELECT s.seq FROM runs s WHERE s.deleted_at IS {state} AND {test.sql}", test.binds)
            for state in ("NULL", "NOT NULL")
        ]
    )


def _select_input(node: Compare | In | Has) -> Part | None:
    if not isinstance(node, Compare) or node.op != "=" or node.key.name not in ("name", "digest", "ref"):
        return None
    test = _tested(_INPUTS[node.key.name], node)
    if node.key.name == "ref":
        name, _, version = str(node.value).rpartition("@")
        test = Part("x.dataset = ? AND x.version = ?", (name, version))
    return Part(f"SELECT DISTINCT x.run AS seq FROM run_inputs x WHERE {test.sql}", test.binds)


def _select_keyed(node: Compare | In | Has, key: Key) -> Part | None:
    select = f"SELECT x.run AS seq FROM {_table(key)} x WHERE x.key = ? AND "
    if isinstance(node, Compare) and node.op == "!~":
        return None
    if isinstance(node, Compare) and node.op == "=" and isinstance(node.value, str):
        return _equal_text(select, key, node.value)
    if isinstance(node, In) and not node.negated and key.scope != "metric":
        texts = [value for value in node.values if isinstance(value, str)]
        if len(texts) < _MOST:
            figures = In(key, tuple(value for value in node.values if not isinstance(value, str)))
            parts = [_equal_text(select, key, text) for text in dict.fromkeys(texts)]
            if figures.values:
                test = _keyed(figures, key)
                parts.append(Part(select + test.sql, (key.name, *test.binds)))
            return Part(f"SELECT DISTINCT seq FROM ({(whole := _union(parts)).sql})", whole.binds)
    test = _keyed(node, key)
    return Part(select + test.sql, (key.name, *test.binds))


def _equal_text(select: str, key: Key, text: str) -> Part:
    """The index has the number before the text."""
    number = number_of(text)
    if number is None:
        return Part(f"{select}x.number IS NULL AND x.value = ?", (key.name, text))
    return Part(f"{select}x.number = ? AND x.value = ?", (key.name, number, text))


# ---------------------------------------------------------------- small pieces


def _joined(parts: Sequence[Part], word: str) -> Part:
    if len(parts) == 1:
        return Part(f"({parts[0].sql})", parts[0].binds)
    return Part("(" + word.join(part.sql for part in parts) + ")", tuple(bind for part in parts for bind in part.binds))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _column(key: Key) -> str:
    column = COLUMNS.get(key.name)
    if column is None:
        raise Unsupported(
            f"runs have no {key.name!r} to filter by; take one of {', '.join(COLUMNS)}, or a metrics. key."
        )
    return column


def _table(key: Key) -> str:
    table = _TABLES.get(key.scope)
    if table is None:
        raise Unsupported(
            f"runs cannot be filtered by {key.scope}.{key.name}; take an attribute, metric, param or tag."
        )
    return table


def _spellings(needle: str) -> list[str]:
    """A short needle in every mixture of case."""
    return list(dict.fromkeys("".join(letters) for letters in product(*((c.lower(), c.upper()) for c in needle))))


def _cases(needle: str) -> list[str]:
    """SQLite's LIKE folds ASCII alone: other letters are tried in the spellings that people use."""
    if needle.isascii():
        return [needle]
    forms: tuple[Callable[[], str], ...] = (needle.lower, needle.upper, needle.title)
    return list(dict.fromkeys((needle, *(form() for form in forms))))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _glob(pattern: str) -> str:
    """SQL's LIKE as GLOB, which knows case."""
    return "".join({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}.get(c, c) for c in pattern)
