"""Names to keys, with the nearest valid one where a name is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from backends.query_fields import DATASET_KEYS, SCOPE_NAMES, SCOPE_WORDS
from backends.query_nodes import Fields, Key, QueryError, Scope

_ORDERED = ("=", "!=", "<", "<=", ">", ">=")
_ANY = (*_ORDERED, "~", "!~", "like", "ilike", "in")
_TEXTUAL = ("=", "!=", "~", "!~", "like", "ilike", "in")
OPERATORS_OF: dict[str, tuple[str, ...]] = {
    "text": _TEXTUAL,
    "dataset": _TEXTUAL,
    "alias": _TEXTUAL,
    "number": (*_ORDERED, "in"),
    "metric": (*_ORDERED, "in"),
    "time": _ORDERED,
    "bool": ("=", "!="),
    "param": _ANY,
    "tag": _ANY,
}
"""Kind of an attribute, or scope → the operators that mean something on it."""

_NOUNS = {
    "text": "a text",
    "number": "a number",
    "time": "a time",
    "bool": "true or false",
    "metric": "a number",
    "tag": "a text or a number",
    "dataset": "a text",
    "alias": "a text",
    "param": "a text or a number",
}


def kind_of(key: Key, fields: Fields) -> str:
    """The attribute's kind, or the scope where it is none."""
    return fields.attributes[key.name] if key.scope == "attribute" else key.scope


def resolve_key(word: str, quoted: str | None, fields: Fields, position: int, text: str) -> Key:
    """The key that `word` (and a quoted name right behind its last dot) stands for. `position` is where it begins."""
    before, dot, after = word.partition(".")
    if quoted is not None and not word:
        return _attribute(quoted, fields, position, text)
    if not dot:
        if before.lower() == "dataset" and "dataset" in fields.scopes:
            return Key("dataset", "ref")
        return _attribute(before, fields, position, text)
    scope = SCOPE_WORDS.get(before.lower().strip("`"))
    if scope is None or (scope != "attribute" and scope not in fields.scopes):
        raise QueryError(f"unknown key {_shown(word)}", position, text, _nearest_scope(before, fields))
    name = (after + quoted) if quoted is not None else after
    start = position + len(before) + 1
    if not name:
        raise QueryError(f"{before}. names nothing", start, text, f"for instance {before}.{_example(scope)}")
    if scope == "attribute":
        return _attribute(name, fields, start, text)
    if scope == "dataset" and name not in DATASET_KEYS:
        raise QueryError(f"unknown key {_shown(word)}", start, text, _nearest_dataset_key(name))
    return Key(scope, name)


def takes(key: Key, op: str, fields: Fields, position: int, text: str) -> None:
    """Refuse an operator that means nothing on this key."""
    kind = kind_of(key, fields)
    if op not in OPERATORS_OF[kind]:
        raise QueryError(
            f"{key.name} is {_NOUNS[kind]} and knows no {op!r}",
            position,
            text,
            f"it knows {', '.join(OPERATORS_OF[kind])}",
        )


def nearest(word: str, valid: Iterable[str]) -> str:
    """The one of the valid words that was probably meant, or nothing."""
    from difflib import get_close_matches  # only once something is wrong

    return next(iter(get_close_matches(word.lower(), list(valid), n=1, cutoff=0.6)), "")


def _attribute(name: str, fields: Fields, position: int, text: str) -> Key:
    low = name.lower()
    found = low if low in fields.attributes else fields.aliases.get(low, "")
    if found:
        return Key("attribute", found)
    if low in fields.refused:
        raise QueryError(f"{_shown(name)} cannot be asked for", position, text, fields.refused[low])
    raise QueryError(f"unknown attribute {_shown(name)}", position, text, _nearest_attribute(name, fields))


def _nearest_attribute(name: str, fields: Fields) -> str:
    if close := nearest(name, (*fields.attributes, *fields.aliases)):
        return f"did you mean {close}?"
    named = [f"{SCOPE_NAMES[scope]}.{name}" for scope in fields.scopes if scope in ("metric", "param", "tag")]
    of_its_own = f"; or write {' or '.join(named)}" if named and len(name) <= 40 else ""
    return f"a {fields.noun} has {', '.join(fields.attributes)}{of_its_own}"


def _nearest_scope(word: str, fields: Fields) -> str:
    valid = [SCOPE_NAMES[scope] for scope in fields.scopes]
    if close := nearest(word, valid):
        return f"did you mean {close}.?"
    shown = [f"{name}." for name in valid]
    return (
        f"before the dot stands {' or '.join(shown)}"
        if shown
        else f"a {fields.noun} has {', '.join(fields.attributes)}"
    )


def _nearest_dataset_key(name: str) -> str:
    close = nearest(name, DATASET_KEYS)
    return f"did you mean {close}?" if close else f"a dataset has {', '.join(DATASET_KEYS)}"


def _example(scope: Scope) -> str:
    return {"metric": "auc", "param": "lr", "tag": "team", "dataset": "name", "alias": "champion", "attribute": "name"}[
        scope
    ]


def _shown(name: str) -> str:
    return repr(name if len(name) <= 40 else name[:39] + "…")
