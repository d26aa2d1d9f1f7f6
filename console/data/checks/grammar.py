"""Checks from TOML. What is wrong is told with file, line and key, and the nearest valid word.

severity = "warn"            # for all checks that do not say it themselves; so too owner

[table]                      # the short form for the whole table
strict = true                # no columns but those under [columns]
rows = [20_000, 60_000]      # or a number: at least so many
key = ["flight_id"]
duplicates = 0.0

[columns.dep_delay]          # the short form for one column
type = "float"
missing = 0.03
min = -60
max = 1500

[[check]]                    # any kind
kind = "quantile"
column = "dep_delay"
q = 0.5
min = -5
max = 5
severity = "fail"
note = "half the flights leave on time"
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import Invalid
from backends.entities import ColumnType
from console.config import nearest
from console.data.checks.spec import KINDS, Check, CheckSet, default_name
from console.toml_form import parse_toml, read_toml

TOP = ("severity", "owner", "table", "columns", "check")
TABLE = ("strict", "rows", "key", "duplicates", "severity", "owner", "note")
COLUMN = (
    "type", "missing", "unique", "min", "max", "values", "pattern", "length", "tolerance", "severity", "owner", "note",
)  # fmt: skip
COMMON = ("severity", "owner", "note")
MOST_CHECKS = 5_000

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def read_checks(path: Path) -> str:
    """The text of a file of checks."""
    return read_toml(path, "file of checks")


def parse_checks(text: str, source: str = "checks") -> CheckSet:
    """The checks in this TOML text, in the order: table, columns, checks. Invalid names `source:line` and the key."""
    table = parse_toml(text, source)
    place = _Place(source, text)
    _known(table, TOP, place, (), "in a file of checks")
    shared: dict[str, Any] = {key: table[key] for key in ("severity", "owner") if key in table}
    found: list[Check] = [
        *_of_table(table, shared, place),
        *_of_columns(table, shared, place),
        *_of_list(table, shared, place),
    ]
    if not found:
        raise Invalid(
            f'{source}: there is no check in it; write one, such as [columns.NAME] with min = 0, or [[check]] with '
            'kind = "rows".', "checks",
        )  # fmt: skip
    if len(found) > MOST_CHECKS:
        raise Invalid(f"{source}: {len(found)} checks, at most {MOST_CHECKS} are taken.", "checks")
    return CheckSet(checks=_named(found, place))


def age_seconds(text: str) -> float | None:
    """`36h`, `7d`: seconds, or None where it is no such thing."""
    found = _AGE.fullmatch(text.strip())
    return float(found[1]) * _SECONDS[found[2]] if found else None


# ---------------------------------------------------------------- the three forms


def _of_table(table: Mapping[str, Any], shared: Mapping[str, Any], place: _Place) -> Iterable[Check]:
    given = _inner(table, "table", place)
    at = ("table",)
    _known(given, TABLE, place, at, "in [table]")
    more = {**shared, **{key: given[key] for key in COMMON if key in given}}
    if "strict" in given:
        if not isinstance(given["strict"], bool):
            raise place.wrong((*at, "strict"), "wanted true or false.")
        if given["strict"]:
            columns = list(_inner(table, "columns", place))
            if not columns:
                raise place.wrong((*at, "strict"), "there are no [columns.NAME] for it to go by; write them.")
            yield _made("strict", {**more, "columns": columns}, place, (*at, "strict"))
    if "rows" in given:
        low, high = _pair(given["rows"], place, (*at, "rows"), alone="min")
        yield _made("rows", {**more, **_bounds(low, high)}, place, (*at, "rows"))
    if "key" in given:
        columns = [given["key"]] if isinstance(given["key"], str) else given["key"]
        yield _made("key", {**more, "columns": columns}, place, (*at, "key"))
    if "duplicates" in given:
        yield _made("duplicates", {**more, "share": given["duplicates"]}, place, (*at, "duplicates"))


def _of_columns(table: Mapping[str, Any], shared: Mapping[str, Any], place: _Place) -> Iterable[Check]:
    columns = _inner(table, "columns", place)
    for name, given in columns.items():
        at = ("columns", name)
        if not isinstance(given, dict):
            raise place.wrong(at, f"wanted a table: write [columns.{name}] and its keys under it.")
        _known(given, COLUMN, place, at, f"in [columns.{name}]")
        more = {**shared, "column": name, **{key: given[key] for key in COMMON if key in given}}
        within = {**more, **({"tolerance": given["tolerance"]} if "tolerance" in given else {})}
        if "type" in given:
            yield _made("type", {**more, "type": given["type"]}, place, (*at, "type"))
        if "missing" in given:
            yield _made("complete", {**more, "missing": given["missing"]}, place, (*at, "missing"))
        if given.get("unique"):
            yield _made("unique", more, place, (*at, "unique"))
        if "min" in given or "max" in given:
            here = (*at, "min" if "min" in given else "max")
            yield _made("range", {**within, **_bounds(given.get("min"), given.get("max"))}, place, here)
        if "values" in given:
            yield _made("set", {**within, "values": given["values"]}, place, (*at, "values"))
        if "pattern" in given:
            yield _made("regex", {**within, "pattern": given["pattern"]}, place, (*at, "pattern"))
        if "length" in given:
            low, high = _pair(given["length"], place, (*at, "length"), alone="max")
            yield _made("length", {**within, **_bounds(low, high)}, place, (*at, "length"))
        if not set(given) - {*COMMON, "tolerance"}:
            yield _made("required", {**{k: v for k, v in more.items() if k != "column"}, "columns": [name]}, place, at)


def _of_list(table: Mapping[str, Any], shared: Mapping[str, Any], place: _Place) -> Iterable[Check]:
    given = table.get("check", [])
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise place.wrong(("check",), "is a list of tables: write [[check]] before each check.")
    for index, each in enumerate(given):
        at = ("check", index)
        kind = each.get("kind")
        if kind is None:
            raise place.wrong(at, f'the check does not say its kind; add kind = "…". Valid: {", ".join(KINDS)}.')
        if kind not in KINDS:
            raise place.wrong(
                (*at, "kind"), f"{kind!r} is no kind of check{_meant(str(kind), KINDS)} Valid: {', '.join(KINDS)}."
            )
        values = {key: value for key, value in each.items() if key != "kind"}
        _known(values, ("kind", *KINDS[kind].__struct_fields__), place, at, f"of a {kind} check", kind)
        yield _made(kind, {**shared, **values}, place, at)


def _made(kind: str, values: dict[str, Any], place: _Place, at: tuple[str | int, ...]) -> Check:
    wanted = KINDS[kind]
    for field in msgspec.structs.fields(wanted):
        if field.required and field.name not in values:
            raise place.wrong(at, f"a {kind} check needs {field.name}; add {field.name} = …")
    for group in wanted.NEEDS:
        if all(values.get(key) is None for key in group):
            raise place.wrong(at, f"a {kind} check needs {' or '.join(group)}; add one of them.")
    try:
        check = msgspec.convert(values, wanted)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        key = where.strip("`.").partition("[")[0]
        raise place.wrong(_key_at(at, key), _plain(message, kind, key)) from None
    _sound(check, place, at)
    return check


def _key_at(at: tuple[str | int, ...], key: str) -> tuple[str | int, ...]:
    """Where a key of the check stands: in the short forms that is what `at` says already."""
    return (*at, key) if key and at[0] == "check" else at


def _sound(check: Check, place: _Place, at: tuple[str | int, ...]) -> None:
    """What the types of the fields do not say."""
    low, high = getattr(check, "min", None), getattr(check, "max", None)
    if check.KIND in ("range", "freshness"):
        for key in ("min", "max", "not_before"):
            if not _is_bound(getattr(check, key, None)):
                raise place.wrong(_key_at(at, key), "wanted a number, a date, a time or its ISO text.")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        raise place.wrong(_key_at(at, "min"), f"min {low:g} is above max {high:g}; exchange them.")
    for key in ("within", "gap"):
        age = getattr(check, key, "")
        if isinstance(age, str) and age and age_seconds(age) is None:
            raise place.wrong(_key_at(at, key), f"{age!r} is no length of time; write 36h, 7d or 2w.")
    if check.KIND == "regex":
        pattern = getattr(check, "pattern", "")
        try:
            re.compile(pattern)
        except re.error as error:
            raise place.wrong(_key_at(at, "pattern"), f"{pattern!r} is no pattern: {error}.") from None
    if any(getattr(check, key, None) == () for key in ("values",)) or (
        check.KIND in ("required", "strict", "key", "determines") and getattr(check, "columns", ()) == ()
    ):
        raise place.wrong(at, f"a {check.KIND} check names at least one.")


def _is_bound(value: Any) -> bool:
    if isinstance(value, str):
        try:
            datetime.datetime.fromisoformat(value)
        except ValueError:
            return False
        return True
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or number or isinstance(value, datetime.date)


def _named(checks: list[Check], place: _Place) -> tuple[Check, ...]:
    given = [check.name for check in checks if check.name]
    for name in given:
        if given.count(name) > 1:
            raise Invalid(f"{place.source}: two checks are named {name!r}; a name stands once in a report.", "name")
    taken = set(given)
    named: list[Check] = []
    for check in checks:
        if not check.name:
            base = name = default_name(check)
            number = 1
            while name in taken:
                number += 1
                name = f"{base} ({number})"
            taken.add(name)
            check = msgspec.structs.replace(check, name=name)
        named.append(check)
    return tuple(named)


# ---------------------------------------------------------------- words


def _inner(table: Mapping[str, Any], key: str, place: _Place) -> Mapping[str, Any]:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise place.wrong((key,), f"wanted a table: write [{key}] and its keys under it.")
    return found


def _known(
    given: Mapping[str, Any], valid: Iterable[str], place: _Place, at: tuple[str | int, ...], where: str, kind: str = ""
) -> None:
    words = list(valid)
    for key in given:
        if key not in words:
            name = f"a key of a {kind} check" if kind else f"a key {where}"
            raise place.wrong((*at, key), f"{key!r} is not {name}{_meant(key, words)} Valid: {', '.join(words)}.")


def _meant(word: str, valid: Iterable[str]) -> str:
    return nearest(word, list(valid)) or "."


def _pair(value: Any, place: _Place, at: tuple[str | int, ...], *, alone: str) -> tuple[Any, Any]:
    if isinstance(value, list):
        if len(value) != 2:
            raise place.wrong(at, f"wanted [least, most] or one number, found {len(value)} values.")
        return value[0], value[1]
    return (value, None) if alone == "min" else (None, value)


def _bounds(low: Any, high: Any) -> dict[str, Any]:
    return {key: value for key, value in (("min", low), ("max", high)) if value is not None}


def _plain(message: str, kind: str, key: str) -> str:
    found = re.match(r"Invalid enum value '(.*)'$", message)
    if not found:
        return f"{message[0].lower()}{message[1:]}."
    if key == "type":
        valid: list[str] = [each.value for each in ColumnType]
    else:
        hint = next(field.type for field in msgspec.structs.fields(KINDS[kind]) if field.name == key)
        valid = [str(each) for each in getattr(hint, "__args__", ())]
    return f"{found[1]!r} is not known{_meant(found[1], valid)} Valid: {', '.join(valid)}."


class _Place:
    """Where in which file a key stands."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        self._lines = text.splitlines()

    def wrong(self, at: tuple[str | int, ...], message: str) -> Invalid:
        words = [str(part) for part in at if isinstance(part, str)]
        number = next((part for part in at if isinstance(part, int)), None)
        path = ".".join(words) if number is None else ".".join([f"check {number + 1}", *words[1:]])
        return Invalid(f"{self._where(at)}: {path + ': ' if path else ''}{message}", ".".join(words))

    def _where(self, at: tuple[str | int, ...]) -> str:
        """`file:line` of the key, else of the table it stands in, else `file`."""
        wanted = [str(part) for part in at]
        here: list[str] = []
        seen: dict[str, int] = {}
        best, depth = 0, 0
        for number, line in enumerate(self._lines, 1):
            stripped = line.strip()
            if many := re.match(r"\[\[\s*(.+?)\s*\]\]", stripped):
                name = ".".join(_parts(many[1]))
                here = [*_parts(many[1]), str(seen.setdefault(name, 0))]
                seen[name] += 1
                found = here
            elif one := re.match(r"\[\s*(.+?)\s*\]\s*(#.*)?$", stripped):
                here = found = _parts(one[1])
            elif key := re.match(
                r"((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*=",
                stripped,
            ):
                found = [*here, *_parts(key[1])]
            else:
                continue
            if found == wanted[: len(found)] and len(found) > depth:
                best, depth = number, len(found)
        return f"{self.source}:{best}" if best else self.source


def _parts(dotted: str) -> list[str]:
    return [part[0] or part[1] or part[2] for part in re.findall(r"\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+)", dotted)]
