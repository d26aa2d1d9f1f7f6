"""A batch as it comes: the rows of a file brought to the model's column types; what does not fit is said."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from backends.entities import Column, ColumnType, Record
from console.monitoring.counted.columns import as_text
from console.monitoring.feeds.table_file import MISSING, read_table

UNSCORED, AS_MISSING = "Rows were counted and not scored.", "These count as missing."
MOST_EXACT = 1 << 53
"""Integers up to it are exact as floats: beyond it ids would become each other."""
TRUE, FALSE = ("true", "1", "yes", "t", "y"), ("false", "0", "no", "f", "n")


class SchemaEvent(Record, frozen=True):
    """A column that is not what the model was trained on."""

    column: str
    kind: str
    """`gone`, `renamed`, `retyped` or `unreadable values`."""
    text: str
    blocks: bool
    """The rows cannot be scored without it."""


def read_batch(path: Path) -> pd.DataFrame:
    """The rows of a file, every field of a CSV or TSV still as text. Raises Invalid with what is wrong and where."""
    return read_rows(path)[0]


def read_rows(
    path: Path, *, title: str = "", salvage: bool = False, behind: Sequence[Path] = ()
) -> tuple[pd.DataFrame, str]:
    """As `read_batch`, and what was left out, in words. salvage: leave out single lines that cannot be read, where
    others can. title: what the file is called. behind: more JSON lines."""
    table, odd = read_table(path, title=title, salvage=salvage, behind=behind)
    if isinstance(table, pd.DataFrame):
        return table, odd
    frame = table.to_pandas()
    for name in frame.columns[frame.dtypes == np.float64]:
        column = table.column(name)  # a name that comes twice was refused
        if pa.types.is_integer(column.type) and bool(pc.any(pc.greater(pc.abs_checked(column), MOST_EXACT)).as_py()):
            frame[name] = column.to_pandas(integer_object_nulls=True)
    return frame, odd


def fit_columns(
    frame: pd.DataFrame, features: Sequence[Column], source: str, *, known: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[SchemaEvent]]:
    """The model's columns of a batch in the types of training, and what did not fit.

    A column that is not there is left out of the frame. known: other names that a batch may have (time, id, label).
    """
    spare = [
        str(name) for name in frame.columns if name not in {column.name for column in features} and name not in known
    ]
    made: dict[str, Any] = {}
    events: list[SchemaEvent] = []
    for column in features:
        if column.name not in frame.columns:
            events.append(_gone(column, spare, source))
            continue
        values, strange = _typed(frame[column.name], column.type)
        made[column.name] = values
        if strange:
            events.append(_retyped(column, strange, frame[column.name], source))
    return pd.DataFrame(made, index=frame.index), events


def _gone(column: Column, spare: Sequence[str], source: str) -> SchemaEvent:
    near = difflib.get_close_matches(column.name.lower(), [name.lower() for name in spare], 1, 0.7)
    twin = next((name for name in spare if near and name.lower() == near[0]), "")
    hint = f"it has {twin!r}, which the model does not know: renamed?" if twin else "nothing in it has a similar name."
    return SchemaEvent(
        column=column.name,
        kind="renamed" if twin else "gone",
        text=f"column {column.name!r} is not in {source}; {hint} {UNSCORED}",
        blocks=True,
    )


def _retyped(column: Column, strange: Sequence[str], values: pd.Series[Any], source: str) -> SchemaEvent:
    everything = len(strange) >= int(values.notna().sum())
    sample = repr(strange[0][:40])
    return SchemaEvent(
        column=column.name,
        kind="retyped" if everything else "unreadable values",
        text=(
            f"column {column.name!r} of {source} should hold {column.type}: "
            f"{'no value is' if everything else f'{len(strange)} of {len(values)} values are not'}, e.g. {sample}. "
            + (UNSCORED if everything else AS_MISSING)
        ),
        blocks=everything,
    )


def _typed(values: pd.Series[Any], wanted: ColumnType) -> tuple[pd.Series[Any], list[str]]:
    """The column in the wanted type, and the values that are none of it (they become missing)."""
    if wanted in (ColumnType.INT, ColumnType.FLOAT):
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_object_dtype(values):
            return values.astype("float64"), []
        return _converted(values, lambda text: pd.to_numeric(text, errors="coerce").astype("float64"))
    if wanted is ColumnType.BOOL:
        if pd.api.types.is_bool_dtype(values):
            return values, []
        return _converted(values, _booleans)
    if wanted in (ColumnType.DATETIME, ColumnType.DATE):
        if pd.api.types.is_datetime64_any_dtype(values):
            return values, []
        return _converted(values, lambda text: pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601"))
    text = as_text(values)
    return pd.Series(text.to_pandas().array, index=values.index).astype("str"), []


def _converted(values: pd.Series[Any], convert: Any) -> tuple[pd.Series[Any], list[str]]:
    text = pd.Series(as_text(values).to_pandas().array, index=values.index).astype("str").str.strip()
    text = text.mask(text.isin(MISSING))
    found = convert(text)
    strange = text[text.notna() & found.isna()]
    return found, [str(value) for value in strange]


def _booleans(text: pd.Series[Any]) -> pd.Series[Any]:
    lower = text.str.lower()
    out = pd.Series(pd.NA, index=text.index, dtype="boolean")
    out[lower.isin(TRUE)] = True
    out[lower.isin(FALSE)] = False
    return out


def times_of(values: pd.Series[Any]) -> pd.Series[Any]:
    """Times as milliseconds since 1970 UTC (Int64, missing where unreadable): ISO times, or numbers in s or ms."""
    if not pd.api.types.is_datetime64_any_dtype(values):
        numbers = pd.to_numeric(values, errors="coerce")
        if bool(numbers.notna().any()):
            # Seconds until the year 5138 are smaller than milliseconds since March 1973.
            told = numbers.where(numbers.abs() >= 1e11, numbers * 1000).round().astype("Int64")
            rest = numbers.isna() & values.notna()  # producers that spell it otherwise may share a file
            return told.where(~rest, times_of(values[rest]).reindex(values.index)) if bool(rest.any()) else told
        values = pd.to_datetime(values.astype("str"), errors="coerce", utc=True, format="ISO8601")
    stamps = values.dt.tz_convert(None) if values.dt.tz is not None else values
    epoch = pd.Series(stamps.astype("datetime64[ms]").astype("int64"), index=values.index).astype("Int64")
    return epoch.mask(values.isna())
