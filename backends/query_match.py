"""The meaning of a query, in plain Python: what every compiler is tested against, and how short lists are filtered."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key, partial
from typing import TypeVar

from backends.entities import Dataset, Deployment, JournalEntry, Model, ModelVersion, Monitor, Run
from backends.query_nodes import And, Compare, Has, In, Key, Node, Not, Or, Order, Query, Text
from backends.query_values import number_of

Value = str | float | int | bool | None
Lookup = Callable[[Key], Value | tuple[str, ...]]
"""What a record holds under a key: None where nothing is, a tuple where there are several (any may match)."""

WORDS = Key("attribute", "")
"""Asked of a lookup for everything that a bare word is searched in, one line each."""

R = TypeVar("R", Run, Dataset, Model, ModelVersion, JournalEntry, Monitor, Deployment)

SHORT = 3
"""A bare word of fewer characters is looked for only at the beginning of the name."""


def matches(node: Node | None, lookup: Lookup) -> bool:
    """Whether a record is among those a query means. None means all."""
    match node:
        case None:
            return True
        case And(nodes):
            return all(matches(part, lookup) for part in nodes)
        case Or(nodes):
            return any(matches(part, lookup) for part in nodes)
        case Not(inner):
            return not matches(inner, lookup)
        case Has(key):
            found = lookup(key)
            return any(found) if isinstance(found, tuple) else found is not None and found is not False and found != ""
        case Text(value):
            return _text(value.lower(), lookup)
        case In(key, values, negated):
            return any(any(_equal(found, value) for value in values) != negated for found in _found(lookup, key))
        case Compare(key, op, value):
            return any(_compare(found, op, value) for found in _found(lookup, key))


def select(query: Query | None, records: Iterable[R]) -> list[R]:
    """The records a query means, in its order; without one, in theirs."""
    if query is None:
        return list(records)
    kept = [record for record in records if matches(query.where, lookup_of(record))]
    return sort(query.order, kept)


def sort(order: tuple[Order, ...], records: list[R]) -> list[R]:
    """By each key in turn; records without the key come last either way; ties stay as they were."""
    for part in reversed(order):
        records = sorted(records, key=cmp_to_key(partial(_before, part)))
    return records


def _found(lookup: Lookup, key: Key) -> tuple[str | float | bool, ...]:
    found = lookup(key)
    if found is None or (isinstance(found, float) and math.isnan(found)):
        return ()
    return found if isinstance(found, tuple) else (found,)


def _text(needle: str, lookup: Lookup) -> bool:
    if len(needle) < SHORT:
        return str(lookup(Key("attribute", "name")) or "").lower().startswith(needle)
    words = lookup(WORDS)
    return needle in "\n".join(words if isinstance(words, tuple) else ()).lower()


def _equal(found: str | float | bool, value: str | float | bool) -> bool:
    if isinstance(found, str) and not isinstance(value, str):
        number = number_of(found)
        return number is not None and number == value
    return found == value


def _compare(found: str | float | bool, op: str, value: str | float | bool) -> bool:
    match op:
        case "=":
            return _equal(found, value)
        case "!=":
            return not _equal(found, value)
        case "~":
            return str(value).lower() in str(found).lower()
        case "!~":
            return str(value).lower() not in str(found).lower()
        case "like" | "ilike":
            return like(str(value), op == "ilike").fullmatch(str(found)) is not None
    number = number_of(found) if isinstance(found, str) else found
    if number is None or isinstance(value, str):
        return False
    return {"<": number < value, "<=": number <= value, ">": number > value, ">=": number >= value}[op]


def like(pattern: str, any_case: bool) -> re.Pattern[str]:
    """SQL's LIKE: `%` is anything, `_` one character; there is no escape, as in MLflow."""
    pieces = ["".join("." if c == "_" else re.escape(c) for c in piece) for piece in pattern.split("%")]
    first, *middle = pieces
    text = first
    if middle:
        # Atomic groups: each piece is found at its first place and never again, so no pattern takes exponential time.
        text += "".join(f"(?>.*?{piece})" for piece in middle[:-1]) + f".*{middle[-1]}"
    return re.compile(text, re.DOTALL | (re.IGNORECASE if any_case else 0))


def _before(order: Order, one: R, other: R) -> int:
    a, b = (_rank(order.key, lookup_of(record)(order.key)) for record in (one, other))
    if a is None or b is None:
        return (a is None) - (b is None)
    backwards = -1 if order.descending else 1
    return backwards * ((a > b) - (a < b))


def _rank(key: Key, found: Value | tuple[str, ...]) -> tuple[int, float, str] | None:
    """Texts that spell numbers come before other texts, by number."""
    if found is None or isinstance(found, tuple) or (isinstance(found, float) and math.isnan(found)):
        return None
    if isinstance(found, str):
        number = number_of(found) if key.scope in ("param", "tag") else None
        return (1, 0.0, found) if number is None else (0, number, found)
    return (0, float(found), "")


# ---------------------------------------------------------------- what each noun holds


def lookup_of(record: Run | Dataset | Model | ModelVersion | JournalEntry | Monitor | Deployment) -> Lookup:
    match record:
        case Run():
            return _run(record)
        case Dataset():
            return _plain(_dataset(record), tags=record.tags, words=(record.name, record.note, *record.tags.values()))
        case Model():
            words = (record.name, record.note, *record.tags.values())
            return _plain(_model(record), tags=record.tags, aliases=record.aliases, words=words)
        case ModelVersion():
            return _version(record)
        case JournalEntry():
            entry = _entry(record)
            return _plain(
                entry, words=tuple(str(entry[name]) for name in ("actor", "action", "target", "reason", "detail"))
            )
        case Monitor():
            return _plain(_monitor(record), words=(record.name, record.model, record.note))
        case Deployment():
            return _plain(_deployment(record), words=(record.name, record.model, record.note))


def lookup_of_attributes(attributes: Mapping[str, Value], tags: Mapping[str, str]) -> Lookup:
    """Of a noun that has attributes and tags alone."""
    name = str(attributes.get("name") or "")
    return _plain(attributes, tags=tags, words=(name, *tags.values()))


def _plain(
    attributes: Mapping[str, Value],
    *,
    words: tuple[str, ...],
    tags: Mapping[str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Lookup:
    def lookup(key: Key) -> Value | tuple[str, ...]:
        if key == WORDS:
            return words
        named = {"attribute": attributes, "tag": tags, "alias": aliases}.get(key.scope)
        return named.get(key.name) if named else None

    return lookup


def _run(run: Run) -> Lookup:
    ended = run.started_at is not None and run.ended_at is not None
    attributes: dict[str, Value] = {
        "id": run.id,
        "name": run.name,
        "status": str(run.status),
        "experiment": run.experiment,
        "user": run.created_by,
        "created": run.created_at,
        "started": run.started_at,
        "ended": run.ended_at,
        "duration": ((run.ended_at or 0) - (run.started_at or 0)) / 1_000 if ended else None,
        "parent": run.parent,
        "engine": run.engine,
        "note": run.note,
        "deleted": run.deleted_at is not None,
    }

    def lookup(key: Key) -> Value | tuple[str, ...]:
        if key == WORDS:
            return (run.name, run.note, run.experiment, *run.tags.values(), *run.params.values())
        match key.scope:
            case "attribute":
                return attributes.get(key.name)
            case "metric":
                return run.metrics.get(key.name)
            case "param":
                return run.params.get(key.name)
            case "tag":
                return run.tags.get(key.name)
            case "dataset":
                return tuple(_input(run, key.name))
            case _:
                return None

    return lookup


def _version(version: ModelVersion) -> Lookup:
    number = int(version.version) if version.version.isascii() and version.version.isdigit() else None
    attributes: dict[str, Value] = {
        "name": version.model,
        "model": version.model,
        "version": number,
        "run": version.run,
        "user": version.created_by,
        "created": version.created_at,
        "note": version.note,
        "source": version.source,
    }
    keyed: dict[str, Mapping[str, Value]] = {
        "attribute": attributes,
        "metric": version.metrics,
        "param": version.params,
        "tag": version.tags,
        "alias": dict.fromkeys(version.aliases, version.version),
    }

    def lookup(key: Key) -> Value | tuple[str, ...]:
        if key == WORDS:
            return (version.model, version.note, *version.tags.values())
        return keyed.get(key.scope, {}).get(key.name)

    return lookup


def _input(run: Run, name: str) -> Iterable[str]:
    for read in run.inputs:
        parts = {"name": read.dataset, "version": read.version, "digest": read.digest, "context": read.context}
        yield parts.get(name, f"{read.dataset}@{read.version}")


def _dataset(dataset: Dataset) -> dict[str, Value]:
    return {
        "name": dataset.name,
        "latest": dataset.latest,
        "versions": dataset.versions,
        "rows": dataset.rows,
        "user": dataset.created_by,
        "created": dataset.created_at,
        "updated": dataset.updated_at,
        "note": dataset.note,
    }


def _model(model: Model) -> dict[str, Value]:
    return {
        "name": model.name,
        "latest": model.latest,
        "versions": model.versions,
        "user": model.created_by,
        "created": model.created_at,
        "updated": model.updated_at,
        "note": model.note,
    }


def _entry(entry: JournalEntry) -> dict[str, Value]:
    return {
        "seq": entry.seq,
        "id": entry.id,
        "name": entry.target,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "reason": entry.reason,
        "outcome": str(entry.outcome),
        "detail": entry.detail,
        "undone": bool(entry.undone_by),
    }


def _monitor(monitor: Monitor) -> dict[str, Value]:
    return {
        "name": monitor.name,
        "model": monitor.model,
        "alias": monitor.alias,
        "state": str(monitor.state),
        "source": monitor.source,
        "window": monitor.window,
        "rows": monitor.rows,
        "windows": monitor.windows,
        "last": monitor.last_at,
        "user": monitor.created_by,
        "created": monitor.created_at,
        "note": monitor.note,
        "paused": monitor.paused,
    }


def _deployment(deployment: Deployment) -> dict[str, Value]:
    return {
        "name": deployment.name,
        "model": deployment.model,
        "state": str(deployment.status.state),
        "desired": str(deployment.desired),
        "health": deployment.health,
        "url": deployment.status.url,
        "port": deployment.port,
        "workers": deployment.workers,
        "user": deployment.created_by,
        "created": deployment.created_at,
        "note": deployment.note,
    }
