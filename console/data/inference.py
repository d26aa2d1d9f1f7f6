"""Which type a column has, decided over the whole file and never by its first rows alone.

A guess starts as narrow as what it has seen and only widens: int → float → string, date → datetime → string, anything
mixed → string. `observe` looks at a batch, `convert` makes the batch of that type. Nothing is lost by a guess: ids with
leading zeros, whole numbers too long for a float beside fractions, and hexadecimal stay text. What counts as missing in
numbers, booleans and times (`NA`, `null`, …) is kept as it is in text, where only an empty unquoted field is missing.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

from backends.entities import ColumnType

SURELY_MISSING = ("", "NA", "N/A", "#N/A", "n/a", "NULL", "null", "NaN", "nan", "NAN", "-nan", "-NaN")
MISSING_WORDS = (*SURELY_MISSING, "None", "none", "?", "-", ".")
"""The last ones are missing only among numbers or times: a column of nothing else is text."""
TEXTUAL = "string"
FOREIGN_DATE = r"^\s*(\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./]\d{1,2}[./]\d{1,2}|\d{1,2}\.? [A-Za-z]{3,9}\.? \d{4})\b"
"""Dates to a person: 31/01/2013, 1.2.13, 2013/01/31, 31 Jan 2013. Which of two numbers is the month nobody can tell."""
EXACT_FLOAT = 2**53
"""Whole numbers beyond this are not exact as float64."""


class Guess(Protocol):
    @property
    def note(self) -> str:
        """What a person should know about how the column was read; mostly empty."""
        ...

    def observe(self, array: Any) -> None:
        """Widen as far as this batch asks for."""
        ...

    @property
    def arrow_type(self) -> Any: ...

    def convert(self, array: Any) -> Any: ...


def column_type(arrow_type: Any) -> ColumnType:
    """The noun for an Arrow type."""
    import pyarrow.types as pt

    if pt.is_boolean(arrow_type):
        return ColumnType.BOOL
    if pt.is_integer(arrow_type):
        return ColumnType.INT
    if pt.is_floating(arrow_type):
        return ColumnType.FLOAT
    if pt.is_timestamp(arrow_type):
        return ColumnType.DATETIME
    if pt.is_date(arrow_type):
        return ColumnType.DATE
    if pt.is_string(arrow_type) or pt.is_large_string(arrow_type):
        return ColumnType.STRING
    return ColumnType.OTHER


class TextGuess:
    """A column that arrives as text: CSV and TSV (`kinds` all), or the strings of JSON (times only)."""

    def __init__(self, kinds: tuple[str, ...] = ("int", "float", "bool", "date", "datetime", "instant")) -> None:
        self._kinds = kinds
        self._seen = False
        self._missing_words = False
        self._word = ""
        """The first missing-word seen that is not just empty."""
        self._doubtful_words = False
        self._trim = False
        self._long_whole = False
        """A whole number seen has more than 15 digits."""
        self._foreign_date = ""
        """A value that is a date to a person, and not to ISO 8601."""

    @property
    def note(self) -> str:
        if self._kinds:
            return ""
        if self._foreign_date:
            return f"dates such as {self._foreign_date!r} are kept as text: write them as 2013-01-31"
        return f"holds {self._word!r} as text" if self._word else ""

    @property
    def arrow_type(self) -> Any:
        import pyarrow as pa

        if not self._seen:
            nothing_but_nan = self._missing_words and not self._doubtful_words and "float" in self._kinds
            return pa.float64() if nothing_but_nan else pa.string()
        return _arrow(self._kinds[0] if self._kinds else TEXTUAL)

    def observe(self, array: Any) -> None:
        import pyarrow.compute as pc

        if not self._kinds:
            return
        values = array.drop_null()
        words = pc.is_in(values, value_set=_strings(MISSING_WORDS))
        if pc.any(words).as_py():
            self._missing_words = True
            spelled = values.filter(pc.and_(words, pc.not_equal(values, "")))
            self._word = self._word or (spelled[0].as_py() if len(spelled) else "")
            if not self._seen and not self._doubtful_words:
                sure = pc.is_in(values.filter(words), value_set=_strings(SURELY_MISSING))
                self._doubtful_words = not pc.all(sure).as_py()
            values = values.filter(pc.invert(words))
        if not len(values):
            return
        self._seen = True
        fits = self._fitting(values)
        if fits is None and not self._trim:
            trimmed = pc.utf8_trim_whitespace(values)
            fits = self._fitting(trimmed)
            self._trim = fits is not None
        self._kinds = fits or ()
        if not self._kinds:
            dates = values.slice(0, 100).filter(pc.match_substring_regex(values.slice(0, 100), FOREIGN_DATE))
            self._foreign_date = dates[0].as_py() if len(dates) else ""

    def _fitting(self, values: Any) -> tuple[str, ...] | None:
        """The kinds still possible after these values, narrowest first, or None."""
        import pyarrow.compute as pc

        if self._trim:
            values = pc.utf8_trim_whitespace(values)
        if "float" in self._kinds and not pc.any(pc.match_substring_regex(values, "^[-+]?0[0-9xX]")).as_py():
            if "int" in self._kinds and _casts(values, "int"):
                self._long_whole |= bool(pc.any(pc.greater(pc.utf8_length(values), 15)).as_py())
                return ("int", "float")
            long_whole = self._long_whole or pc.any(pc.match_substring_regex(values, "^[-+]?[0-9]{16,}$")).as_py()
            if not long_whole and _casts(values, "float"):
                return ("float",)
        if (
            "bool" in self._kinds
            and pc.all(pc.is_in(pc.utf8_lower(values), value_set=_strings(("true", "false")))).as_py()
        ):
            return ("bool",)
        if "date" in self._kinds and _casts(values, "date"):
            return ("date", "datetime")
        for kind in ("datetime", "instant"):
            if kind in self._kinds and _casts(values, kind):
                return (kind,)
        return None

    def convert(self, array: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        target = self.arrow_type
        if pa.types.is_string(target):
            return array
        words = pc.is_in(array, value_set=_strings(MISSING_WORDS))
        if pc.any(words).as_py():
            array = pc.if_else(words, pa.scalar(None, pa.string()), array)
        if self._trim:
            array = pc.utf8_trim_whitespace(array)
        return pc.cast(array, target)


class JsonGuess:
    """A column of JSON values or of a query: their types are the writer's word; strings may still be times."""

    def __init__(self) -> None:
        self.note = ""
        self._kind = ""
        self._text = TextGuess(("date", "datetime", "instant"))
        self._beyond_float = False

    def __copy__(self) -> JsonGuess:
        twin = JsonGuess()
        twin.__dict__ |= {**self.__dict__, "_text": copy.copy(self._text)}
        return twin

    @property
    def arrow_type(self) -> Any:
        if self._kind == "text":
            return self._text.arrow_type
        return _arrow(self._kind or TEXTUAL)

    def observe(self, array: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_null(array.type) or array.null_count == len(array):
            return
        if pa.types.is_string(array.type):
            kind = "text"
            self._text.observe(array)
        elif pa.types.is_boolean(array.type):
            kind = "bool"
        elif pa.types.is_date(array.type):
            kind = "date"
        elif pa.types.is_timestamp(array.type):
            kind = "instant" if array.type.tz else "datetime"
        elif pa.types.is_binary(array.type):
            kind = "binary"
        elif pa.types.is_integer(array.type):
            kind = "int"
            span = pc.min_max(array).as_py()
            self._beyond_float |= max(abs(span["min"]), abs(span["max"])) > EXACT_FLOAT
        else:
            kind = "float"
        if self._kind in ("", kind):
            self._kind = kind
        elif {self._kind, kind} == {"int", "float"}:
            self._kind = "float"
        elif {self._kind, kind} == {"date", "datetime"}:
            self._kind = "datetime"
        else:
            self._kind = TEXTUAL
        if self._kind == "float" and self._beyond_float:
            self._kind = TEXTUAL
        if self._kind == TEXTUAL:
            self.note = "mixed types in the source, kept as text"

    def convert(self, array: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._kind == "text" and pa.types.is_string(array.type):
            return self._text.convert(array)
        return pc.cast(array, self.arrow_type)


class TypeClashError(Exception):
    """Two files say two types of one column, and neither holds the other's values."""


class TypedGuess:
    """A column of typed files (Parquet), brought to one width per kind without losing a value.

    A file where the column has no value at all says nothing of its type, unless all are so.
    """

    def __init__(self, source_type: Any) -> None:
        self.note = ""
        self._base = _canonical(source_type)
        self._seen = False
        self._beyond_int = self._beyond_float = self._nanoseconds = False

    @property
    def arrow_type(self) -> Any:
        import pyarrow as pa

        if self._beyond_int:
            return pa.string()
        if self._nanoseconds:
            return pa.timestamp("ns", self._base.tz)
        return self._base

    def observe(self, array: Any) -> None:
        """TypeClashError where the values of an earlier file are of another kind."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if array.null_count == len(array):
            return
        kind = _canonical(array.type)
        if not self._seen:
            self._seen, self._base = True, kind
        elif kind != self._base:
            self._base = self._wider(kind)
        if pa.types.is_integer(array.type):
            span = pc.min_max(array).as_py()
            self._beyond_float |= max(abs(span["min"]), abs(span["max"])) > EXACT_FLOAT
            if span["max"] >= 2**63:
                self._beyond_int = True
                self.note = "whole numbers beyond 64 bits with sign, kept as text"
            if self._beyond_float and pa.types.is_floating(self._base):
                raise TypeClashError("whole numbers that no float holds exactly")
        elif pa.types.is_timestamp(array.type) and array.type.unit == "ns":
            ticks = array.cast(pa.int64())
            if pc.any(pc.not_equal(pc.multiply(pc.divide(ticks, 1000), 1000), ticks)).as_py():
                self._nanoseconds = True

    def _wider(self, kind: Any) -> Any:
        import pyarrow as pa

        pair = {str(self._base), str(kind)}
        if pair == {"int64", "double"} and not self._beyond_float:
            return pa.float64()
        if pair == {"date32[day]", "timestamp[us]"}:
            return pa.timestamp("us")
        raise TypeClashError(str(column_type(kind)))

    def convert(self, array: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        target = self.arrow_type
        if array.type != target and array.null_count == len(array):
            return pa.nulls(len(array), target)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if array.type != target:
            array = pc.cast(array, target)
        if pa.types.is_floating(target):
            # NaN and null both say "missing"; one of them keeps the digest independent of who wrote the file
            array = pc.if_else(pc.is_nan(array), pa.scalar(None, target), array)
        return array


def _canonical(source: Any) -> Any:
    import pyarrow as pa
    import pyarrow.types as pt

    if pt.is_dictionary(source):
        source = source.value_type
    if pt.is_integer(source):
        return pa.int64()
    if pt.is_floating(source):
        return pa.float64()
    if pt.is_boolean(source):
        return pa.bool_()
    if pt.is_timestamp(source):
        return pa.timestamp("us", "UTC" if source.tz else None)
    if pt.is_date(source):
        return pa.date32()
    if pt.is_null(source) or pt.is_string(source) or pt.is_large_string(source) or str(source) == "string_view":
        return pa.string()
    if pt.is_large_binary(source):
        return pa.binary()
    return source


def _arrow(kind: str) -> Any:
    import pyarrow as pa

    return {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
        "instant": pa.timestamp("us", "UTC"),
        "binary": pa.binary(),
        TEXTUAL: pa.string(),
    }[kind]


def _casts(values: Any, kind: str) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.cast(values, _arrow(kind))
    except pa.ArrowInvalid:
        return False
    return True


def _strings(words: tuple[str, ...]) -> Any:
    import pyarrow as pa

    return pa.array(words, pa.string())
