"""What could stand at the cursor of a half-written query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Literal

from backends.query_fields import DATASET_KEYS, SCOPE_NAMES, SCOPE_WORDS
from backends.query_keys import OPERATORS_OF, kind_of, resolve_key
from backends.query_lex import Token, tokens
from backends.query_nodes import Fields, Key, QueryError, Suggestion
from backends.query_text import key_text

LIMIT = 50
_TIMES = ("1h", "24h", "7d", "30d", "today", "yesterday")
_DURATIONS = ("10s", "1m", "10m", "1h")
Keys = Callable[[str, str], Sequence[str]]
"""(`metrics`, `params`, `tags` or `alias`; prefix) → known names, as `RunStore.keys` gives them."""


def complete(text: str, cursor: int, fields: Fields, keys: Keys) -> list[Suggestion]:
    """Ways to go on at the cursor, best first; what stands behind the cursor is left alone."""
    before = text[:cursor]
    found = tokens(before, tolerant=True)[:-1]
    start, partial = cursor, ""
    if found and found[-1].end == cursor and found[-1].kind in ("word", "quoted"):
        last = found.pop()
        start, partial = last.start, before[last.start : cursor]
        if last.kind == "quoted" and found and found[-1].end == last.start and found[-1].text.endswith("."):
            start, partial = found[-1].start, found.pop().text + last.text
        elif last.kind == "quoted":
            partial = last.text
    kind, words = _expected(found, partial, fields, keys)
    low = partial.lower()
    return [Suggestion(word, start, cursor, kind) for word in dict.fromkeys(words) if _fits(word, low)][:LIMIT]


def _fits(word: str, partial: str) -> bool:
    plain = word.lower().replace("`", "")
    return plain.startswith(partial.replace("`", "")) and word.lower() != partial


_Kind = Literal["key", "operator", "value", "word"]


def _expected(before: list[Token], partial: str, fields: Fields, keys: Keys) -> tuple[_Kind, Iterable[str]]:
    """What may follow these tokens."""
    last = before[-1] if before else None
    if any(a.says("order") and b.says("by") for a, b in pairwise(before)):
        if last is not None and (last.says("by") or last.kind == ","):
            return "key", _keys(partial, fields, keys, conditions=False)
        return "word", ("desc", "asc") if last is not None and not last.says("desc", "asc") else ()
    if last is not None and last.says("order"):
        return "word", ("by",)
    compared = _compared(before, fields)
    if compared is not None:
        return "value", _values(compared, partial, fields)
    if last is None or last.kind == "(" or last.says("and", "or", "not"):
        return "key", (*_keys(partial, fields, keys, conditions=True), *(() if last and last.says("not") else ("not",)))
    key = _key_at_end(before, fields)
    if key is not None and not _is_value(before):
        operators = OPERATORS_OF[kind_of(key, fields)]
        return "operator", (*operators, *(("not in",) if "in" in operators else ()))
    return "word", ("and", "or", "order by", *_keys(partial, fields, keys, conditions=True))


def _compared(before: list[Token], fields: Fields) -> Key | None:
    """The key whose value is due, also inside `in (…`."""
    at = len(before) - 1
    if at >= 0 and before[at].kind in ("(", ","):
        while at >= 0 and before[at].kind in (",", "word", "quoted") and not before[at].says("in"):
            at -= 1
        if at < 1 or before[at].kind != "(" or not before[at - 1].says("in"):
            return None
        at -= 2
        if at >= 0 and before[at].says("not"):
            at -= 1
        return _key_at_end(before[: at + 1], fields)
    if at >= 0 and (before[at].kind == "op" or before[at].says("like", "ilike")):
        return _key_at_end(before[:at], fields)
    return None


def _key_at_end(before: list[Token], fields: Fields) -> Key | None:
    if not before:
        return None
    last = before[-1]
    try:
        if last.kind == "quoted" and len(before) > 1 and before[-2].end == last.start and before[-2].text.endswith("."):
            return resolve_key(before[-2].text, last.text, fields, 0, "")
        return resolve_key(last.text, None, fields, 0, "") if last.kind == "word" else None
    except QueryError:
        return None


def _is_value(before: list[Token]) -> bool:
    """Whether the last token is the right side of a comparison."""
    return len(before) > 1 and (before[-2].kind == "op" or before[-2].says("like", "ilike"))


def _keys(partial: str, fields: Fields, keys: Keys, *, conditions: bool) -> Iterable[str]:
    has = "has:" if conditions and partial.lower().startswith("has:") else ""
    scope_word, dot, prefix = partial[len(has) :].partition(".")
    scope = SCOPE_WORDS.get(scope_word.lower()) if dot else None
    if scope is not None:
        if scope == "dataset":
            names: Sequence[str] = DATASET_KEYS
        elif scope == "attribute":
            names = tuple(fields.attributes)
        else:
            names = keys(SCOPE_NAMES[scope], prefix.strip("`")) if scope in fields.scopes else ()
        return (
            has + scope_word + key_text(Key(scope, name)).removeprefix(SCOPE_NAMES[scope])
            if scope != "attribute"
            else f"{has}{scope_word}.{name}"
            for name in names
        )
    scopes = tuple(f"{has}{SCOPE_NAMES[scope]}." for scope in fields.scopes if scope != "dataset" or conditions)
    return (*(has + name for name in fields.attributes), *scopes, *(("has:",) if conditions and not has else ()))


def _values(key: Key, partial: str, fields: Fields) -> Iterable[str]:
    kind = kind_of(key, fields)
    if key.scope == "attribute" and key.name in fields.values:
        return (f"'{value}'" if " " in value and not partial else value for value in fields.values[key.name])
    if kind == "time":
        return _TIMES
    if kind == "bool":
        return ("true", "false")
    return _DURATIONS if key == Key("attribute", "duration") else ()
