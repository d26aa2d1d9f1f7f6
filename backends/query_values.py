"""Values as people write them: numbers, texts, dates, ages, yes and no."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta

from backends.entities import Millis
from backends.query_keys import kind_of, nearest
from backends.query_lex import Token
from backends.query_nodes import Fields, Key, QueryError

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)", re.IGNORECASE)
_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*", re.IGNORECASE | re.ASCII)
_INFINITY = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_FARTHEST = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def number_of(text: str) -> float | None:
    """The finite number that a text spells, or None. The one rule for what a parameter or tag is as a number."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def read_value(key: Key, op: str, token: Token, fields: Fields, now: Millis, text: str) -> str | float | int | bool:
    """What the token means as a value of this key."""
    kind = kind_of(key, fields)
    word = token.text
    if kind in ("number", "metric"):
        return _number(key, token, text)
    if kind == "time":
        return _time(key, token, now, text)
    if kind == "bool":
        return _bool(key, token, text)
    if kind in ("param", "tag") and op not in ("~", "!~", "like", "ilike"):
        number = number_of(word)
        if op in ("<", "<=", ">", ">="):
            if number is None:
                raise QueryError(f"{op} needs a number", token.start, text, f"{word!r} is none")
            return number
        return number if number is not None and token.kind == "word" else word
    if kind == "text" and op in ("=", "!=", "in") and key.name in fields.values:
        return _one_of(key, token, fields, text)
    return word


def day_of(word: str) -> tuple[Millis, Millis] | None:
    """The local day that a bare date names: its first millisecond and the next day's."""
    if not _DATE.fullmatch(word):
        return None
    try:
        day = date.fromisoformat(word)
        return _midnight(day), _midnight(day + timedelta(days=1))
    except (ValueError, OverflowError):
        return None


def _number(key: Key, token: Token, text: str) -> float:
    number = float(token.text) if _INFINITY.fullmatch(token.text) else number_of(token.text)
    if number is not None:
        return number
    age = _AGE.fullmatch(token.text)
    if age and key.name == "duration":
        return float(age[1]) * _UNITS[age[2].lower()] / 1_000
    hint = (
        "use has: to ask whether it is there"
        if token.text.lower() == "nan"
        else f"{key.name} is compared with a number"
    )
    raise QueryError(f"{token.text[:40]!r} is no number", token.start, text, hint)


def _bool(key: Key, token: Token, text: str) -> bool:
    word = token.text.lower()
    if word in ("true", "yes", "1"):
        return True
    if word in ("false", "no", "0"):
        return False
    raise QueryError(f"{token.text[:40]!r} is neither true nor false", token.start, text, f"write {key.name} = true")


def _one_of(key: Key, token: Token, fields: Fields, text: str) -> str:
    word = token.text.lower()
    valid = fields.values[key.name]
    other = fields.value_aliases.get(key.name, {})
    if word in valid:
        return word
    if word in other:
        return other[word]
    close = nearest(word, (*valid, *other))
    hint = f"did you mean {close}?" if close else f"one of {', '.join(valid)}"
    raise QueryError(f"unknown {key.name} {token.text[:40]!r}", token.start, text, hint)


def _time(key: Key, token: Token, now: Millis, text: str) -> Millis:
    word = token.text.strip()
    age = _AGE.fullmatch(word)
    try:
        if age:
            return _within(now - int(float(age[1]) * _UNITS[age[2].lower()]))
        if re.fullmatch(r"-?\d+", word) and len(word) != 4:
            return _within(int(word))
        if word.lower() in ("now", "today", "yesterday"):
            today = datetime.fromtimestamp(now / 1_000).astimezone().date()
            return now if word.lower() == "now" else _midnight(today - timedelta(days=word.lower() == "yesterday"))
        moment = datetime(int(word), 1, 1) if re.fullmatch(r"\d{4}", word) else datetime.fromisoformat(word)
        return _within(round(moment.astimezone().timestamp() * 1_000))
    except (ValueError, OverflowError, OSError):
        raise QueryError(
            f"{token.text[:40]!r} is no time",
            token.start,
            text,
            f"write {key.name} > 7d, {key.name} > 2026-01-31 or {key.name} > '2026-01-31 14:00'",
        ) from None


def _within(moment: Millis) -> Millis:
    if not math.isfinite(moment) or abs(moment) > _FARTHEST:
        raise OverflowError
    return moment


def _midnight(day: date) -> Millis:
    return round(datetime(day.year, day.month, day.day).astimezone().timestamp() * 1_000)
