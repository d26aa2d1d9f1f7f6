"""What the columns of a dataset version hold: missing, distinct, quantiles, a histogram, the most frequent values.

One column is read at a time, row group by row group, so that memory is bounded by one column of numbers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from backends.contract import DatasetStore
from backends.entities import Column, ColumnType, Record
from console.data.stored import stored_file

BINS = 20
TOP = 10
EXACT_VALUES = 5_000_000
"""Quantiles and distinct counts of numbers are exact up to this many values; beyond, they come from every k-th row."""
REMEMBERED_TEXTS = 200_000
"""Distinct texts that are counted one by one; beyond, new ones are no longer counted and `exact` is False."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class ColumnProfile(Record, frozen=True, kw_only=True):
    """One column. Numbers as they are, times in milliseconds since the epoch, booleans as the texts true and false."""

    name: str
    type: ColumnType
    missing: int
    distinct: int
    exact: bool = True
    """Whether distinct, quantiles and top are counted over all rows."""
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: dict[str, float] = msgspec.field(default_factory=dict)
    """"0.5" → median, by linear interpolation."""
    edges: tuple[float, ...] = ()
    """Histogram edges, shape (bins + 1,); the last bin holds its upper edge. Infinite values are in none."""
    counts: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    """Most frequent values as text with their counts, most frequent first."""
    shortest: int | None = None
    longest: int | None = None
    """Characters of the shortest and longest text."""


class VersionProfile(Record, frozen=True, kw_only=True):
    ref: str
    digest: str
    rows: int
    columns: tuple[ColumnProfile, ...]


def profile_version(datasets: DatasetStore, ref: str) -> VersionProfile:
    """Profile every column of a dataset version."""
    version = datasets.version(ref)
    with stored_file(datasets, version) as file:
        columns = tuple(_column(file, column) for column in version.columns)
    return VersionProfile(ref=version.ref, digest=version.digest, rows=version.rows, columns=columns)


def _column(file: Any, column: Column) -> ColumnProfile:
    if column.type in (ColumnType.INT, ColumnType.FLOAT, ColumnType.DATETIME, ColumnType.DATE):
        return _numbers(file, column)
    return _texts(file, column)


def _pieces(file: Any, name: str) -> Any:
    index = file.schema_arrow.get_field_index(name)
    for group in range(file.num_row_groups):
        # by position: a name with dots would be taken for a path into nested data
        yield file.read_row_group(group, columns=[file.schema_arrow.names[index]], use_threads=False).column(0)


def _numbers(file: Any, column: Column) -> ColumnProfile:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    total = file.metadata.num_rows
    step = max(1, -(-total // EXACT_VALUES))
    parts: list[Any] = []
    missing, seen = 0, 0
    whole = column.type is ColumnType.INT
    for piece in _pieces(file, column.name):
        missing += piece.null_count
        if pa.types.is_timestamp(piece.type):
            piece = pc.divide(piece.cast(pa.timestamp("us", piece.type.tz)).cast(pa.int64()).cast(pa.float64()), 1000.0)
        elif pa.types.is_date(piece.type):
            piece = pc.multiply(piece.cast(pa.int32()).cast(pa.float64()), 86_400_000.0)
        values = piece.drop_null().to_numpy().astype("int64" if whole else "float64")
        parts.append(values[(-seen) % step :: step] if step > 1 else values)
        seen += len(values)
    values = np.concatenate(parts) if parts else np.empty(0)
    finite = values if whole else values[np.isfinite(values)]
    if not len(finite):
        return ColumnProfile(name=column.name, type=column.type, missing=missing, distinct=len(np.unique(values)))
    distinct, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:TOP]
    low, high = float(finite.min()), float(finite.max())
    floats = finite.astype(float)
    cells, edges = np.histogram(
        floats, BINS if high > low else 1, (low, high) if high > low else (low - 0.5, low + 0.5)
    )
    return ColumnProfile(
        name=column.name,
        type=column.type,
        missing=missing,
        distinct=len(distinct),
        exact=step == 1,
        minimum=low,
        maximum=high,
        mean=float(floats.mean()),
        std=float(floats.std(ddof=1)) if len(floats) > 1 else None,
        quantiles={str(q): float(value) for q, value in zip(QUANTILES, np.quantile(floats, QUANTILES), strict=True)},
        edges=tuple(edges.tolist()),
        counts=tuple((cells * step).tolist()),
        top=tuple((_number_text(distinct[at].item(), column.type), int(counts[at]) * step) for at in order),
    )


def _texts(file: Any, column: Column) -> ColumnProfile:
    import pyarrow as pa
    import pyarrow.compute as pc

    seen: Counter[str] = Counter()
    missing, exact = 0, True
    lengths: list[int] = []
    for piece in _pieces(file, column.name):
        missing += piece.null_count
        if pa.types.is_boolean(piece.type):
            piece = pc.cast(piece, pa.string())
        elif not pa.types.is_string(piece.type):
            piece = pa.chunked_array(
                [pa.array([None if v is None else str(v) for v in piece.to_pylist()], pa.string())]
            )
        elif len(piece) > piece.null_count:
            span = pc.min_max(pc.utf8_length(piece)).as_py()
            lengths += [span["min"], span["max"]]
        found = pc.value_counts(piece.drop_null())
        for value, count in zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True):
            if value in seen or len(seen) < REMEMBERED_TEXTS:
                seen[value] += count
            else:
                exact = False
    return ColumnProfile(
        name=column.name,
        type=column.type,
        missing=missing,
        distinct=len(seen),
        exact=exact,
        top=tuple(sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]),
        shortest=min(lengths, default=None),
        longest=max(lengths, default=None),
    )


def _number_text(value: float, kind: ColumnType) -> str:
    import datetime

    if kind in (ColumnType.DATETIME, ColumnType.DATE):
        epoch = datetime.datetime(1970, 1, 1)
        try:
            time = epoch + datetime.timedelta(milliseconds=value)
        except OverflowError:
            return f"{value:g} ms"
        return time.date().isoformat() if kind is ColumnType.DATE else time.isoformat(sep=" ")
    return repr(value)
