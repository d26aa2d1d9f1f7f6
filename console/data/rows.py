"""A stretch of a dataset version's rows, as plain values for a screen or for JSON."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from backends.contract import DatasetStore, Invalid
from backends.entities import Column, Record
from console.data.stored import stored_file

MOST_ROWS = 10_000


class RowPage(Record, frozen=True, kw_only=True):
    """`rows` are in the order of `columns`; missing is None, times and dates are ISO text, nested values plain."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    first: int
    total: int


def read_rows(datasets: DatasetStore, ref: str, offset: int = 0, limit: int = 100) -> RowPage:
    """Rows `offset` to `offset + limit`; only the row groups that hold them are read."""
    check_stretch(offset, limit)
    version = datasets.version(ref)
    with stored_file(datasets, version) as file:
        rows = sliced(file, file.read_row_group, offset, limit)
    return RowPage(columns=version.columns, rows=rows, first=offset, total=version.rows)


def check_stretch(offset: int, limit: int) -> None:
    if offset < 0 or not 0 < limit <= MOST_ROWS:
        raise Invalid(
            f"rows {offset} to {offset + limit} were asked for; wanted an offset from 0 and 1 to {MOST_ROWS} rows.",
            "limit",
        )


def sliced(file: Any, read: Callable[[int], Any], offset: int, limit: int) -> tuple[tuple[Any, ...], ...]:
    """Rows of a `ParquetFile`; `read` gives a row group of it as a table."""
    import pyarrow as pa

    pieces: list[Any] = []
    at = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if at < offset + limit and at + size > offset:
            start = max(offset - at, 0)
            pieces.append(read(group).slice(start, min(offset + limit - at, size) - start))
        at += size
    if not pieces:
        return ()
    table = pa.concat_tables(pieces)
    columns = [[plain(value) for value in column.to_pylist()] for column in table.columns]
    return tuple(zip(*columns, strict=True))


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal | datetime.timedelta):
        return str(value)
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value
