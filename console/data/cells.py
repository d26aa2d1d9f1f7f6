"""Python values as they come from a database's driver, made an Arrow array that loses none of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from backends.contract import Invalid

EXACT_FLOAT = 2**53


def cell_array(values: Sequence[Any], where: Callable[[int], str]) -> Any:
    """The one kind that all values of a column share, else text. `where` says where a row is, for the error.

    Decimals become whole numbers or floats where those say exactly the same, else text.
    """
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    if any(issubclass(kind, Decimal) for kind in kinds):
        values = [_number(value) if isinstance(value, Decimal) else value for value in values]
        kinds = {type(value) for value in values if value is not None}
    if kinds == {str}:
        return pa.array([value if value is None else _storable(value) for value in values], pa.string())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pa.array(values, pa.int64())
    if kinds <= {int, float} and all(not isinstance(value, int) or abs(value) <= EXACT_FLOAT for value in values):
        return pa.array(values, pa.float64())
    if kinds == {dt.date}:
        return pa.array(values, pa.date32())
    if kinds == {dt.datetime}:
        aware = {value.tzinfo is not None for value in values if value is not None}
        if len(aware) == 1:
            return pa.array(values, pa.timestamp("us", "UTC" if aware.pop() else None))
    if kinds <= {bytes, memoryview, bytearray}:
        return pa.array([value if value is None else bytes(value) for value in values], pa.binary())
    texts = [value if value is None else _text(value, where, row) for row, value in enumerate(values)]
    return pa.array(texts, pa.string())


def first_turn(values: Sequence[Any], kind_of: Callable[[Any], str]) -> tuple[int, str, str] | None:
    """Where a value of another kind than those before first stands, its kind, and theirs."""
    before = ""
    for at, value in enumerate(values):
        kind = "" if value is None else kind_of(value)
        if before and kind and kind != before:
            return at, kind, before
        before = before or kind
    return None


def _number(value: Decimal) -> Any:
    if not value.is_finite():
        return float(value)
    if value == value.to_integral_value() and value.as_tuple().exponent == 0:
        return int(value)
    as_float = float(value)
    return as_float if Decimal(repr(as_float)) == value else str(value)


def _text(value: Any, where: Callable[[int], str], row: int) -> str:
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, bytes | memoryview | bytearray):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            raise Invalid(
                f"{where(row)} holds bytes that are no text, among values that are text; cast the column in the query.",
                "rows",
            ) from None
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, float | dt.datetime | dt.date):
        # as Arrow says them, so that it does not matter whether a batch was typed before it became text
        return str(cell_array([value], where).cast("string")[0].as_py())
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _storable(text: str) -> str:
    """Lone surrogates, which UTF-8 cannot hold, become U+FFFD."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not text.isascii() else text
