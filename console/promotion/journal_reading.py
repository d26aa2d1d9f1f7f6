"""Reading the journal as an audit trail: who, since when, on what; as a file; held against an anchor kept elsewhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

import msgspec

from backends.contract import Backend, Invalid, Journal, all_pages
from backends.entities import JournalEntry, Millis, Record
from backends.query import And, Compare, Key, Node, Operator, Or, Query

PAGE: Final = 10_000
FORMATS: Final = ("csv", "json", "jsonl")
FIELDS: Final = tuple(JournalEntry.__struct_fields__)


class Asked(Record, frozen=True, kw_only=True):
    """Which entries; what is empty asks for nothing."""

    who: str = ""
    """`ann@box`, or `ann` wherever she was."""
    since: Millis | None = None
    until: Millis | None = None
    target: str = ""
    """A name, with all its versions: `churn` also means `churn@3`."""
    verb: str = ""
    """`model.promote`, or `promote` of anything, or `model` for all that can be done to it."""


def narrowed(query: Query, asked: Asked) -> Query:
    """The query, and of what it finds only what is asked for."""
    parts: list[Node] = [query.where] if query.where is not None else []
    if asked.who:
        parts.append(_either("actor", asked.who, f"{asked.who}@%"))
    if asked.target:
        parts.append(_either("target", asked.target, f"{asked.target}@%"))
    if asked.verb:
        parts.append(_either("action", asked.verb, f"{asked.verb}.%", f"%.{asked.verb}"))
    if asked.since is not None:
        parts.append(_compare("at", ">=", asked.since))
    if asked.until is not None:
        parts.append(_compare("at", "<=", asked.until))
    if not parts:
        return query
    return Query(where=parts[0] if len(parts) == 1 else And(tuple(parts)), order=query.order)


def _either(name: str, exact: str, *patterns: str) -> Node:
    return Or((_compare(name, "=", exact), *(_compare(name, "like", pattern) for pattern in patterns)))


def _compare(name: str, op: Operator, value: str | int) -> Compare:
    return Compare(Key("attribute", name), op, value)


def entries(backend: Backend, query: Query) -> Iterator[JournalEntry]:
    """Every entry that the query finds, in its order (without one: newest first)."""
    journal: Journal = backend.need("journal")
    return iter(all_pages(lambda at: journal.page(query, at=at, limit=PAGE)))


def written(found: Iterator[JournalEntry], kind: str) -> Iterator[str]:
    """The pieces of a file: CSV with a header (nested values as JSON), a JSON array, or JSON lines. Values are raw."""
    if kind not in FORMATS:
        raise Invalid(f"{kind!r} is no format of the journal; there are {', '.join(FORMATS)}", "format")
    if kind == "csv":
        yield _csv_row(FIELDS)
        for entry in found:
            yield _csv_row([_cell(getattr(entry, name)) for name in FIELDS])
        return
    lead, between, tail = ("[\n", ",\n", "\n]\n") if kind == "json" else ("", "\n", "\n")
    yield lead
    any_yet = False
    for entry in found:
        yield (between if any_yet else "") + msgspec.json.encode(entry).decode()
        any_yet = True
    if any_yet or kind == "json":
        yield tail


def _csv_row(cells: list[object] | tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _cell(value: object) -> object:
    return value if isinstance(value, str | int) else msgspec.json.encode(value).decode()


# ---------------------------------------------------------------- anchors


def anchor(backend: Backend) -> str:
    """`SEQ:HASH` of the newest entry, to be kept where nobody who can write the journal can; empty without entries."""
    newest = backend.need("journal").page(limit=1).items
    return f"{newest[0].seq}:{newest[0].hash}" if newest else ""


def fault_against(backend: Backend, kept: str) -> str:
    """What is wrong with the journal if `kept` was its anchor once; empty where all that was then is there still.

    A chain alone does not tell a journal of which the end was cut, or everything was chained anew, together with the
    record of its head; against an anchor from before it does. Ask after `Journal.verify` has held.
    """
    number, colon, digest = kept.strip().partition(":")
    if not colon or not number.isdigit() or len(digest) != 64:
        raise Invalid(f"{kept}: no anchor; one is SEQ:HASH, as journal verify prints it", "anchor")
    query = Query(where=_compare("seq", "=", int(number)))
    found = next(iter(entries(backend, query)), None)
    if found is None:
        return f"entry {number}, which the anchor is of, is not there: the newest entries were removed."
    if found.hash != digest:
        return f"entry {number} is another one than the anchor is of: the journal was written anew up to there."
    return ""
