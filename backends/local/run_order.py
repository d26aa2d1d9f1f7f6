"""In which order runs are walked: the stretches of an index that make up a sort, and the same sort as one ORDER BY.

A sort by a key has up to three stretches, each a plain walk of an index: the numbers, the texts (parameters and tags
may mix the two), and last, in either direction, the runs that lack the key. Ties go by `seq`, as the key goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from backends.contract import Unsupported
from backends.query import Key, Order

NEWEST: Final = Order(Key("attribute", "created"), descending=True)
COLUMNS: Final = {
    "id": "id",
    "name": "name",
    "status": "status",
    "experiment": "experiment",
    "user": "created_by",
    "created": "created_at",
    "started": "started_at",
    "ended": "ended_at",
    "duration": "duration",
    "parent": "parent",
    "engine": "engine",
    "note": "note",
    "deleted": "deleted_at",
}
_NULLABLE: Final = frozenset({"started_at", "ended_at", "duration", "deleted_at"})
_TABLES: Final = {"metric": "latest_metric", "param": "params", "tag": "tags"}


class Stretch(NamedTuple):
    """A walk of one index. `sort` are its columns, the last of them the run's seq; all in one direction."""

    source: str
    where: str
    binds: tuple[Any, ...]
    sort: tuple[str, ...]
    holds: int
    """How many of the sort values lead, from `Place.values`: 0 for the runs that lack the key."""


class Place(NamedTuple):
    """Where a run stands in an order: its raw values for each key, and its seq."""

    values: tuple[Any, ...]
    seq: int


def raw_columns(order: Sequence[Order]) -> list[str]:
    """What `Place.values` holds, as expressions over the joins of `joins`."""
    found: list[str] = []
    for number, by in enumerate(order):
        if by.key.scope == "attribute":
            found.append(f"r.{_column(by.key)}")
        elif by.key.scope == "metric":
            found.append(f"o{number}.value")
        else:
            found += [f"o{number}.number", f"o{number}.value"]
    return found


def joins(order: Sequence[Order]) -> tuple[str, list[Any]]:
    """The tables a sort reads besides `runs AS r`."""
    text, binds = "", []
    for number, by in enumerate(order):
        if by.key.scope != "attribute":
            text += f" LEFT JOIN {_table(by.key)} o{number} ON o{number}.run = r.seq AND o{number}.key = ?"
            binds.append(by.key.name)
    return text, binds


def full_sort(order: Sequence[Order]) -> list[tuple[str, bool]]:
    """The whole sort as (expression, descending); every expression but those after a flag of its own is never NULL."""
    found: list[tuple[str, bool]] = []
    for number, by in enumerate(order):
        down = by.descending
        if by.key.scope == "attribute":
            column = f"r.{_column(by.key)}"
            if _column(by.key) in _NULLABLE:
                found.append((f"({column} IS NULL)", False))
            found.append((column, down))
        else:
            value, figure = f"o{number}.value", f"o{number}.number"
            found.append((f"({value} IS NULL)", False))
            if by.key.scope != "metric":
                found += [(f"({figure} IS NULL)", down), (figure, down)]
            found.append((value, down))
    return [*found, ("r.seq", order[-1].descending)]


def stretches(by: Order, seen: str = "r.deleted_at IS NULL", *, bare: str | None = None) -> list[Stretch]:
    """The walks that make up a sort by one key, in their order.

    `seen` is a condition on `runs AS r`. Where nothing else of a run is asked, `bare` says the same of `k.run` alone
    and the walk stays within one index.
    """
    if by.key.scope == "attribute":
        column = f"r.{_column(by.key)}"
        if _column(by.key) not in _NULLABLE:
            return [Stretch("runs r", seen, (), (column, "r.seq"), 1)]
        return [
            Stretch("runs r", f"{seen} AND {column} IS NOT NULL", (), (column, "r.seq"), 1),
            Stretch("runs r", f"{seen} AND {column} IS NULL", (), ("r.seq",), 0),
        ]
    table, name = _table(by.key), (by.key.name,)
    source = f"{table} k" if bare is not None else f"{table} k CROSS JOIN runs r ON r.seq = k.run"
    there = f"{seen if bare is None else bare} AND k.key = ?"
    lacking = Stretch(
        "runs r",
        # The plus keeps to the order of seq: an index on deleted_at would gather and sort them all.
        f"+{seen} AND NOT EXISTS (SELECT 1 FROM {table} l WHERE l.run = r.seq AND l.key = ? AND l.value IS NOT NULL)",
        name,
        ("r.seq",),
        0,
    )
    if by.key.scope == "metric":
        return [Stretch(source, f"{there} AND k.value IS NOT NULL", name, ("k.value", "k.run"), 1), lacking]
    numbers = Stretch(source, f"{there} AND k.number IS NOT NULL", name, ("k.number", "k.value", "k.run"), 2)
    texts = Stretch(source, f"{there} AND k.number IS NULL", name, ("k.value", "k.run"), 1)
    return [texts, numbers, lacking] if by.descending else [numbers, texts, lacking]


def width(order: Sequence[Order]) -> int:
    """How many values `Place.values` holds."""
    return sum(1 if by.key.scope in ("attribute", "metric") else 2 for by in order)


def full_values(order: Sequence[Order], place: Place) -> list[Any]:
    """The values of `full_sort`'s expressions at a place."""
    found: list[Any] = []
    raw = iter(place.values)
    for by in order:
        value = next(raw)
        if by.key.scope == "attribute" and _column(by.key) not in _NULLABLE:
            found.append(value)
        elif by.key.scope in ("attribute", "metric"):
            found += [int(value is None), value]
        else:
            text = next(raw)
            found += [int(text is None), int(value is None), value, text]
    return [*found, place.seq]


def place_in(by: Order, stretch: Stretch, row: Sequence[Any]) -> Place:
    """The place of a row that a stretch gave: its sort columns."""
    lead = tuple(row[: stretch.holds])
    return Place((None,) * (width((by,)) - len(lead)) + lead, row[-1])


def stretch_of(by: Order, found: Sequence[Stretch], place: Place) -> tuple[int, tuple[Any, ...]]:
    """In which stretch a place lies, and its values for that stretch's sort columns."""
    values = place.values
    if values[-1] is None:
        return len(found) - 1, (place.seq,)
    if by.key.scope not in ("param", "tag"):
        return 0, (values[0], place.seq)
    holds = 1 if values[0] is None else 2
    number = next(number for number, stretch in enumerate(found) if stretch.holds == holds)
    return number, (*values[-holds:], place.seq)


def _column(key: Key) -> str:
    column = COLUMNS.get(key.name)
    if column is None:
        raise Unsupported(f"runs have no {key.name!r} to sort by; take one of {', '.join(COLUMNS)}, or a metrics. key.")
    return column


def _table(key: Key) -> str:
    table = _TABLES.get(key.scope)
    if table is None:
        raise Unsupported(f"runs cannot be sorted by {key.scope}.{key.name}; take an attribute, metric, param or tag.")
    return table
