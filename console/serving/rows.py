"""The rows of a request, brought to the columns of a model: each value checked against its column's type.

What comes out is the same whatever the request's form was: for each feature, in the order of training, a list of
float (numbers, booleans), str (text; times in ISO form, UTC where they say nothing else) or None (missing).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from backends.entities import Column, ColumnType
from console.serving.refusal import Refusal

Value = float | str | None
_ABSENT: Final = object()


class Rows(msgspec.Struct):
    """Some rows. `columns` holds a list of `count` values for each feature."""

    count: int
    columns: list[list[Value]]
    ignored: tuple[str, ...] = ()
    """Columns that came and are none of the model's."""


class Shape:
    """What the rows for one model look like."""

    def __init__(
        self,
        features: Sequence[Column],
        *,
        sticky: str = "",
        ignore_extra: bool = False,
        most: int = 50_000,
    ) -> None:
        self.features = tuple(features)
        self.names = [column.name for column in features]
        self.required: frozenset[str] = frozenset()
        """Columns whose value cannot be missing: the model has no answer then."""
        self._checks = [_CHECKS[column.type] for column in features]
        self._known = frozenset(self.names)
        self._spare = frozenset({sticky} - {""})
        self.strict = not ignore_extra
        """Columns that the model does not know are refused."""
        self._most = most

    # ------------------------------------------------------------ forms

    def of_records(self, records: list[Any], *, of: str) -> Rows:
        """From a list of objects, one a row."""
        if len(records) == 1 and type(records[0]) is dict and records[0].keys() == self._known:
            record = records[0]
            return self._single([record[name] for name in self.names])
        self._count(len(records), of)
        if not all(type(each) is dict for each in records):
            at = next(at for at, each in enumerate(records) if type(each) is not dict)
            raise Refusal(400, f"{of}: row {at}: an object of column: value is wanted, is {_kind(records[at])}", of)
        given = records[0].keys() if len(records) == 1 else dict.fromkeys(name for each in records for name in each)
        self._names(given, of)
        columns: list[list[Value]] = []
        for name, check in zip(self.names, self._checks, strict=True):
            out = []
            for at, record in enumerate(records):
                value = record.get(name, _ABSENT)
                if value is _ABSENT:
                    raise Refusal(400, f"{of}: row {at}: column {name!r} is missing; write null for no value", name)
                out.append(self._checked(check, value, name, at))
            columns.append(out)
        return self._rows(len(records), columns, given)

    def of_columns(self, given: dict[str, Any], *, of: str) -> Rows:
        """From an object of column: list of values (or one value for one row)."""
        single = bool(given) and not any(type(values) is list for values in given.values())
        table: dict[str, list[Any]] = {}
        for name, values in given.items():
            if single:
                table[name] = [values]
            elif type(values) is list:
                table[name] = values
            else:
                raise Refusal(400, f"{of}: {name}: a list of values is wanted, is {_kind(values)}", name)
        lengths = {len(values) for values in table.values()}
        if len(lengths) > 1:
            short = min(table, key=lambda name: len(table[name]))
            raise Refusal(
                400,
                f"{of}: {short}: {len(table[short])} values, and another column has {max(lengths)}; "
                "give each column as many values as there are rows",
                short,
            )
        return self._of_table(table, next(iter(lengths), 0), of)

    def of_lists(self, names: Sequence[str] | None, data: list[Any], *, of: str) -> Rows:
        """From rows as lists, with the columns' names, or in the order of training."""
        plain = names is None or names == self.names
        if plain and len(data) == 1 and type(data[0]) is list and len(data[0]) == len(self.names):
            return self._single(data[0])
        self._count(len(data), of)
        header = list(self.names if names is None else names)
        twice = sorted({name for name in header if header.count(name) > 1}) if len(set(header)) < len(header) else []
        if twice:
            raise Refusal(400, f"{of}: column {twice[0]!r} is named twice", twice[0])
        for at, row in enumerate(data):
            if type(row) is not list:
                raise Refusal(400, f"{of}: row {at}: a list of values is wanted, is {_kind(row)}", of)
            if len(row) != len(header):
                raise Refusal(
                    400, f"{of}: row {at}: {len(header)} values are wanted ({_few(header)}), are {len(row)}", of
                )
        table = {name: [row[at] for row in data] for at, name in enumerate(header)}
        return self._of_table(table, len(data), of)

    def of_text(self, names: list[str], data: list[list[str]], *, of: str) -> Rows:
        """From fields of text, as CSV has them; an empty field is a missing value."""
        kinds = {column.name: column.type for column in self.features}
        self._count(len(data), of)
        table: dict[str, list[Any]] = {}
        for at, name in enumerate(names):
            if name in table:
                raise Refusal(400, f"{of}: column {name!r} is named twice", name)
            read = _READ.get(kinds.get(name, ColumnType.OTHER), _plain)
            try:
                table[name] = [read(row[at]) for row in data]
            except IndexError:
                short = next(number for number, row in enumerate(data) if len(row) <= at)
                raise Refusal(
                    400, f"{of}: row {short}: {len(names)} fields are wanted, are {len(data[short])}", of
                ) from None
        return self._of_table(table, len(data), of)

    # ------------------------------------------------------------ parts

    def _single(self, values: list[Any]) -> Rows:
        """One row with just the columns that are wanted, in their order: what is asked for most."""
        columns: list[list[Value]] = []
        for name, check, value in zip(self.names, self._checks, values, strict=True):
            columns.append([self._checked(check, value, name, 0)])
        return Rows(1, columns)

    def _of_table(self, table: dict[str, list[Any]], count: int, of: str) -> Rows:
        self._count(count, of)
        self._names(table, of)
        columns = [
            [self._checked(check, value, name, at) for at, value in enumerate(table[name])]
            for name, check in zip(self.names, self._checks, strict=True)
        ]
        return self._rows(count, columns, table)

    def _rows(self, count: int, columns: list[list[Value]], given: Any) -> Rows:
        ignored = (
            tuple(name for name in given if name not in self._known and name not in self._spare)
            if len(given) > len(self.names)
            else ()
        )
        return Rows(count, columns, ignored)

    def _count(self, count: int, of: str) -> None:
        if not count:
            raise Refusal(400, f"{of}: no rows; give at least one", of)
        if count > self._most:
            raise Refusal(413, f"{of}: {count} rows, at most {self._most} are taken at once; send them in parts", of)

    def _names(self, given: Any, of: str) -> None:
        missing = [name for name in self.names if name not in given]
        extra = [name for name in given if name not in self._known and name not in self._spare]
        if missing:
            near = difflib.get_close_matches(missing[0].lower(), [name.lower() for name in extra], 1, 0.7)
            hint = next((f"; it has {name!r}: misspelt?" for name in extra if near and name.lower() == near[0]), "")
            raise Refusal(
                400, f"{of}: {'columns' if missing[1:] else 'column'} {_few(missing)} missing{hint}", missing[0]
            )
        if extra and self.strict:
            raise Refusal(
                400,
                f"{of}: {'columns' if extra[1:] else 'column'} {_few(extra)} unknown to the model, which takes "
                f"{_few(self.names, 20)}",
                extra[0],
            )

    def _checked(self, check: Callable[[Any], Value], value: Any, name: str, at: int) -> Value:
        try:
            out = check(value)
        except ValueError as error:
            raise Refusal(400, f"row {at}: {name}: {error}", name) from None
        if out is None and name in self.required:
            raise Refusal(
                400, f"row {at}: {name}: a value is wanted, the model has no answer where it is missing", name
            )
        return out


def misfit(column: Column, value: Any) -> str:
    """Why this value is none of the column, without saying it; empty where it is one."""
    try:
        _CHECKS[column.type](value)
    except ValueError as error:
        return str(error)
    return ""


def _number(value: Any) -> float | None:
    kind = type(value)
    if kind is float:
        if not math.isfinite(value):
            raise ValueError("a finite number is wanted")
        return float(value)
    if kind is int:
        try:
            return float(value)
        except OverflowError:
            raise ValueError("the number is too large") from None
    if value is None:
        return None
    raise ValueError(f"a number is wanted, is {_kind(value)}")


def _whole(value: Any) -> float | None:
    number = _number(value)
    if number is not None and number != math.floor(number):
        raise ValueError("a whole number is wanted")
    return number


def _boolean(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) is bool or (type(value) in (int, float) and value in (0, 1)):
        return float(value)
    raise ValueError(f"true or false is wanted, is {_kind(value)}")


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    raise ValueError(f"text is wanted, is {_kind(value)}")


def _time(value: Any) -> str | None:
    if value is None:
        return None
    if type(value) is not str:
        raise ValueError(f"a time such as 2013-04-12T14:00:00Z is wanted, is {_kind(value)}")
    try:
        parsed = datetime.fromisoformat(value)
        at = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("a time such as 2013-04-12T14:00:00Z is wanted, is other text") from None
    return at.isoformat()


def _other(value: Any) -> Value:
    return value if value is None or type(value) is str else _number(value)


_CHECKS: Final[dict[ColumnType, Callable[[Any], Value]]] = {
    ColumnType.INT: _whole,
    ColumnType.FLOAT: _number,
    ColumnType.BOOL: _boolean,
    ColumnType.STRING: _text,
    ColumnType.DATETIME: _time,
    ColumnType.DATE: _time,
    ColumnType.OTHER: _other,
}


def _plain(field: str) -> Any:
    return field or None


def _read_number(field: str) -> Any:
    try:
        return None if field.strip().lower() in ("", "na", "nan", "null") else float(field)
    except ValueError:
        return field


def _read_boolean(field: str) -> Any:
    said = field.strip().lower()
    return {"": None, "true": True, "false": False, "1": True, "0": False}.get(said, field)


_READ: Final[dict[ColumnType, Callable[[str], Any]]] = {
    ColumnType.INT: _read_number,
    ColumnType.FLOAT: _read_number,
    ColumnType.BOOL: _read_boolean,
}


def _kind(value: Any) -> str:
    """What a value is, without saying it."""
    if value is None:
        return "null"
    names = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _few(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
