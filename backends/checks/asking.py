"""Filters and orders: what a list gives for a question is what the query language means by it.

Questions are made from rows that are there, so each has an answer. An adapter that cannot say one says Unsupported, or
Invalid, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from backends.checks.finding import Lacks, Unseen, Wrong, listed, shown
from backends.checks.listing import Listing, some
from backends.checks.listings import DATASETS, DEPLOYMENTS, JOURNAL, MODELS, MONITORS, RUNS
from backends.checks.look import MANY, Look
from backends.checks.promise import promise
from backends.contract import Invalid, Page, Unsupported
from backends.query import (
    DATASET_FIELDS,
    DEPLOYMENT_FIELDS,
    JOURNAL_FIELDS,
    MODEL_FIELDS,
    MONITOR_FIELDS,
    RUN_FIELDS,
    And,
    Compare,
    Fields,
    Has,
    In,
    Key,
    Node,
    Not,
    Order,
    Query,
    Text,
    lookup_of,
    matches,
    select,
    to_text,
)
from backends.query_match import WORDS

Ask = Callable[[Look, Query, int], Page[Any]]


class Asked(NamedTuple):
    """A list that takes questions."""

    listing: Listing
    fields: Fields
    page: Ask


ASKED: Final = (
    Asked(RUNS, RUN_FIELDS, lambda look, query, limit: look.the("runs").page(query, limit=limit)),
    Asked(MODELS, MODEL_FIELDS, lambda look, query, limit: look.the("registry").page(query, limit=limit)),
    Asked(JOURNAL, JOURNAL_FIELDS, lambda look, query, limit: look.the("journal").page(query, limit=limit)),
    Asked(DATASETS, DATASET_FIELDS, lambda look, query, limit: look.the("datasets").page(query, limit=limit)),
    Asked(MONITORS, MONITOR_FIELDS, lambda look, query, limit: look.the("monitors").page(query, limit=limit)),
    Asked(DEPLOYMENTS, DEPLOYMENT_FIELDS, lambda look, query, limit: look.the("deployments").page(query, limit=limit)),
)
_SETTLED: Final[dict[str, tuple[str, ...]]] = {
    "run": ("name", "status", "experiment", "user", "created", "started", "parent", "engine", "note"),
    "model": ("name", "user", "created", "note"),
    "journal entry": ("actor", "action", "target", "outcome", "at", "seq"),
    "dataset": ("name", "rows", "user", "created"),
    "monitor": ("name", "model", "user", "created"),
    "deployment": ("name", "model", "user", "created"),
}
"""Attributes that stay as they are while the list is looked at."""


def _values(row: Any, scope: str) -> dict[str, Any]:
    names = {"metric": "metrics", "param": "params", "tag": "tags", "alias": "aliases"}
    found = getattr(row, names[scope], None)
    return dict(found) if isinstance(found, dict) else {}


def _attribute_questions(asked: Asked, found: list[Any]) -> Iterator[Node]:
    row = found[len(found) // 2]
    lookup = lookup_of(row)
    for name in _SETTLED[asked.fields.noun]:
        key, value = Key("attribute", name), lookup_of(row)(Key("attribute", name))
        if value in (None, "") or isinstance(value, bool | tuple):
            continue
        if asked.fields.attributes[name] == "text":
            yield Compare(key, "=", str(value))
        else:
            yield Compare(key, ">=", value)
    name = str(lookup(Key("attribute", _SETTLED[asked.fields.noun][0])) or "")
    if len(name) > 3:
        yield Compare(Key("attribute", _SETTLED[asked.fields.noun][0]), "~", name[1:])


def _key_questions(scope: str, found: list[Any]) -> Iterator[Node]:
    for row in found:
        for name, value in _values(row, scope).items():
            if value != value or value in ("", float("inf"), float("-inf")):
                continue
            key = Key(scope, name)  # type: ignore[arg-type]
            yield Has(key)
            yield Compare(key, ">=" if scope == "metric" else "=", value)
            return


def _joined_questions(asked: Asked, found: list[Any]) -> Iterator[Node]:
    first = _SETTLED[asked.fields.noun][0]
    key = Key("attribute", first)
    values = sorted({str(lookup_of(row)(key) or "") for row in found} - {""})
    if not values:
        return
    yield In(key, tuple(values[:3]))
    yield Not(Compare(key, "=", values[0]))
    yield And((Compare(key, "!=", values[-1]), Not(Compare(key, "=", values[0]))))


def check_question(asked: Asked, look: Look, node: Node) -> int:
    """Every row that is given is meant, and every one that is meant of those we know is given."""
    found = some(look, asked.listing)
    query = Query(where=node)
    text = to_text(query)
    page = asked.page(look, query, MANY)
    for row in page.items:
        if not matches(node, lookup_of(row)):
            raise Wrong(
                f"only {asked.listing.noun} with {text}", f"{shown(asked.listing.name(row), 60)}, which is not so"
            )
    meant = [asked.listing.name(row) for row in found if matches(node, lookup_of(row))]
    given = [asked.listing.name(row) for row in page.items]
    # Of a list that has no order of its own, only a whole answer tells that something is left out.
    must = meant if page.next is None or asked.listing.by is None else meant[: len(given)]
    if asked.listing.by is None and page.next is not None:
        must = []
    lost = [name for name in must if name not in given]
    if lost:
        raise Wrong(f"all {asked.listing.noun} with {text}", f"without {listed(lost)}")
    return len(given)


def _check_all(asked: Asked, make: Callable[[list[Any]], Iterator[Node]], look: Look) -> str:
    questions = list(make(some(look, asked.listing)))
    if not questions:
        raise Unseen(f"none of the first {asked.listing.noun} has such a thing")
    lacking: list[str] = []
    for node in questions:
        try:
            check_question(asked, look, node)
        except (Unsupported, Invalid) as error:
            if not str(error).strip():
                raise Wrong(
                    f"the reason why {to_text(Query(where=node))} cannot be asked", "an empty sentence"
                ) from error
            lacking.append(str(error))
    if lacking:
        raise Lacks(listed(list(dict.fromkeys(lacking)), 2))
    return "; ".join(to_text(Query(where=node)) for node in questions)


def _check_text(asked: Asked, look: Look) -> str:
    found = some(look, asked.listing)
    for row in found:
        words = lookup_of(row)(WORDS)
        word = max(
            re.findall(r"[A-Za-z0-9]+", " ".join(words) if isinstance(words, tuple) else ""), key=len, default=""
        )
        node = Text(word.lower())
        if len(word) >= 3 and matches(node, lookup_of(row)):
            try:
                given = check_question(asked, look, node)
            except (Unsupported, Invalid) as error:
                raise Lacks(str(error)) from error
            return f"{shown(word, 40)}: {given}"
    raise Unseen("no word to look for")


def _check_orders(asked: Asked, look: Look) -> str:
    found = some(look, asked.listing)
    keys = [Key("attribute", _SETTLED[asked.fields.noun][0])]
    metric = next((name for row in found for name in _values(row, "metric")), "")
    if metric:
        keys.append(Key("metric", metric))
    lacking: list[str] = []
    for key in keys:
        for falling in (False, True):
            query = Query(order=(Order(key, falling),))
            try:
                page = asked.page(look, query, MANY)
            except (Unsupported, Invalid) as error:
                lacking.append(str(error))
                continue
            given = [lookup_of(row)(key) for row in page.items]
            meant = [lookup_of(row)(key) for row in select(query, page.items)]
            if repr(given) != repr(meant):  # NaN is no equal of itself
                raise Wrong(f"rows {to_text(query)}", listed([shown(value, 20) for value in given], 6))
    if lacking:
        raise Lacks(listed(list(dict.fromkeys(lacking)), 2))
    return ""


for _each in ASKED:
    _capability, _noun = _each.listing.capability, _each.listing.noun
    promise(_capability, f"{_noun} are found by what they are: attributes compared")(
        partial(_check_all, _each, partial(_attribute_questions, _each))
    )
    for _scope, _words in (("metric", "metrics"), ("param", "parameters"), ("tag", "tags"), ("alias", "aliases")):
        if _scope in _each.fields.scopes:
            promise(_capability, f"{_noun} are found by their {_words}")(
                partial(_check_all, _each, partial(_key_questions, _scope))
            )
    promise(_capability, f"in, not and and mean of {_noun} what they say")(
        partial(_check_all, _each, partial(_joined_questions, _each))
    )
    promise(_capability, f"{_noun} are found by a bare word")(partial(_check_text, _each))
    promise(_capability, f"{_noun} come in the order that is asked for")(partial(_check_orders, _each))
