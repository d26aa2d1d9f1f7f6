"""A file of rows as an Arrow table: CSV, TSV, JSONL, Parquet. pandas is loaded only where lines are left out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from backends.contract import Invalid, NotFound
from console.monitoring.feeds.chunk import open_content
from console.monitoring.feeds.sifting import json_row

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 2 << 30
"""Bytes of one batch file."""
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".ndjson.gz")
MISSING = ("", "NA", "N/A", "#N/A", "n/a", "NULL", "null", "NaN", "nan", "NAN", "-nan", "-NaN", "None", "none")
"""Missing among numbers, booleans and times; in text only an empty field is."""


def read_table(
    path: Path, *, title: str = "", salvage: bool = False, behind: Sequence[Path] = ()
) -> tuple[pa.Table | pd.DataFrame, str]:
    """The rows, every field of a CSV or TSV still as text, and what was left out, in words. salvage: leave out single
    lines that cannot be read, where others can. A pandas frame where lines were left out or types are
    mixed. title: what the file is called. behind: more JSON lines. Raises Invalid with what is wrong and where."""
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
            with pyarrow.parquet.ParquetFile(path) as parquet:  # `read_table` would load data sets, and they pandas
                table = parquet.read()
        elif name.removesuffix(".gz").endswith((".jsonl", ".ndjson")):
            table, odd = _lines([path, *behind], called, salvage)
        elif name.removesuffix(".gz").endswith((".csv", ".tsv")):
            table, odd = _delimited(path, "\t" if ".tsv" in name else ",", called, salvage)
        else:
            raise Invalid(f"{called}: a batch is one of {', '.join(SUFFIXES[:5])} (or .gz of the text ones)", "file")
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError, UnicodeDecodeError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Invalid(f"{called} cannot be read: {first}", "file") from error
    names = table.column_names if isinstance(table, pa.Table) else list(table.columns)
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise Invalid(f"{called} has the column {', '.join(twice)} more than once; give each its own name", "file")
    if not len(table):
        raise Invalid(f"{called} has a header and no rows", "file")
    return table, odd


def _lines(paths: Sequence[Path], called: str, salvage: bool) -> tuple[pa.Table | pd.DataFrame, str]:
    joined = b"\n".join(path.read_bytes().rstrip(b"\n") for path in paths) if len(paths) > 1 else None
    try:
        if joined is not None:
            return pyarrow.json.read_json(pa.BufferReader(joined)), ""
        with pa.input_stream(str(paths[0]), compression="detect") as stream:
            return pyarrow.json.read_json(stream), ""
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:  # most often: a number here, a text there
        refused = error
    rows, lost, first = [], 0, 0
    with open_content(paths[0]) if joined is None else io.BytesIO(joined) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row = json_row(line)
            if row is not None:
                rows.append(row)
            else:
                lost, first = lost + 1, first or number
    if not rows:
        raise Invalid(f"{called} cannot be read: no line of it is a JSON object", "file") from refused
    if lost and not salvage:
        more = f", and {lost - 1} more" if lost > 1 else ""
        raise Invalid(f"{called} cannot be read: line {first} is no JSON object{more}; mend it", "file") from refused
    import pandas as pd  # 0.4 s: only where lines are left out, or their types are mixed

    return pd.DataFrame(rows, dtype="object"), _left_out(lost, called, "JSON objects", first)


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
