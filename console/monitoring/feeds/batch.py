"""A batch as it comes: a CSV, TSV, JSONL or Parquet file, read and brought to the model's column types; what does not
fit is said."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from backends.contract import Invalid, NotFound
from backends.entities import Column, ColumnType, Record
from console.monitoring.counted.counting import as_text
from console.monitoring.feeds.chunk import open_content

LIMIT = 2 << 30
"""Bytes of one batch file."""
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".ndjson.gz")
MISSING = ("", "NA", "N/A", "#N/A", "n/a", "NULL", "null", "NaN", "nan", "NAN", "-nan", "-NaN", "None", "none")
"""Missing among numbers, booleans and times; in text only an empty field is."""
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


def read_rows(path: Path, *, title: str = "", salvage: bool = False) -> tuple[pd.DataFrame, str]:
    """As `read_batch`, and what was left out, in words. salvage: leave out single lines that cannot be read, where
    others can. title: what the file is called."""
    called = title or path.name
    name = path.name.lower()
    if not path.is_file():
        raise NotFound(f"there is no batch file {path}")
    size = path.stat().st_size
    if size == 0:
        raise Invalid(f"{called} is empty: a batch needs a header and rows", "file")
    if size > LIMIT:
        raise Invalid(
            f"{called} has {size / 1e9:.1f} GB; batches are read up to {LIMIT / 1e9:.1f} GB: split it", "file"
        )
    odd = ""
    try:
        if name.endswith(".parquet"):
            table = pyarrow.parquet.read_table(path)
        elif name.removesuffix(".gz").endswith((".jsonl", ".ndjson")):
            table, odd = _lines(path, called, salvage)
        elif name.removesuffix(".gz").endswith((".csv", ".tsv")):
            table, odd = _delimited(path, "\t" if ".tsv" in name else ",", called, salvage)
        else:
            raise Invalid(f"{called}: a batch is one of {', '.join(SUFFIXES[:5])} (or .gz of the text ones)", "file")
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError, UnicodeDecodeError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Invalid(f"{called} cannot be read: {first}", "file") from error
    frame = table if isinstance(table, pd.DataFrame) else table.to_pandas()
    names = list(frame.columns) if table is frame else table.column_names
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise Invalid(f"{called} has the column {', '.join(twice)} more than once; give each its own name", "file")
    if not len(frame):
        raise Invalid(f"{called} has a header and no rows", "file")
    return frame, odd


def _lines(path: Path, called: str, salvage: bool) -> tuple[pa.Table | pd.DataFrame, str]:
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            return pyarrow.json.read_json(stream), ""
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if not salvage:
            raise
    rows, lost, first = [], 0, 0
    with open_content(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                row = None
            if isinstance(row, dict):
                rows.append(row)
            else:
                lost, first = lost + 1, first or number
    if not rows:
        raise Invalid(f"{called} cannot be read: no line of it is a JSON object", "file")
    return pd.DataFrame(rows), _left_out(lost, called, "JSON objects", first)


def _left_out(lost: int, called: str, wanted: str, first: int) -> str:
    if not lost:
        return ""
    return f"{lost} lines of {called} are no {wanted} (the first: line {first} of what was read) and were left out."


def _delimited(path: Path, delimiter: str, called: str, salvage: bool) -> tuple[pa.Table, str]:
    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(1 << 20)
    line = head.split(b"\n", 1)[0].decode("utf-8-sig").rstrip("\r")
    names = pa.csv.read_csv(
        pa.BufferReader(line.encode() + b"\n"), parse_options=pa.csv.ParseOptions(delimiter=delimiter)
    ).column_names
    options = pa.csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        strings_can_be_null=True,
        null_values=[""],
        quoted_strings_can_be_null=False,
    )
    lost: list[int] = []

    def leave_out(row: pa.csv.InvalidRow) -> str:
        lost.append(row.number or 0)
        return "skip"

    with pa.input_stream(str(path), compression="detect") as stream:
        table = pa.csv.read_csv(
            stream,
            read_options=pa.csv.ReadOptions(use_threads=not salvage),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=leave_out if salvage else None
            ),
            convert_options=options,
        )
    return table, _left_out(len(lost), called, "rows with as many fields as the header", lost[0] if lost else 0)


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
    hint = f"it has {twin!r}, which the model does not know: renamed?" if twin else "nothing in it has a similar name"
    return SchemaEvent(
        column=column.name,
        kind="renamed" if twin else "gone",
        text=f"column {column.name!r} is not in {source}; {hint} Rows were counted and not scored.",
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
            + ("Rows were counted and not scored." if everything else "These count as missing.")
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
    return pd.Series(text.to_pandas(), index=values.index).astype("str"), []


def _converted(values: pd.Series[Any], convert: Any) -> tuple[pd.Series[Any], list[str]]:
    text = pd.Series(as_text(values).to_pandas(), index=values.index).astype("str").str.strip()
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
            return numbers.where(numbers.abs() >= 1e11, numbers * 1000).round().astype("Int64")
        values = pd.to_datetime(values.astype("str"), errors="coerce", utc=True, format="ISO8601")
    stamps = values.dt.tz_convert(None) if values.dt.tz is not None else values
    epoch = pd.Series(stamps.astype("datetime64[ms]").astype("int64"), index=values.index).astype("Int64")
    return epoch.mask(values.isna())
