"""What the columns of a dataset version hold: missing, distinct, quantiles, a histogram, the most frequent values.

One column is read at a time, row group by row group, so that memory is bounded by one column of numbers. Everything is
exact up to `EXACT_VALUES` values of a column. Beyond, counts, range, mean and deviation still are; quantiles, histogram
and the most frequent come from a random sample, and distinct from a sketch. Their errors stand beside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from backends.contract import DatasetStore
from backends.entities import Column, ColumnType, Progress, Record
from console.data.stored import dictionary_file, stored_file

BINS = 20
TOP = 10
SAMPLES = 8
EXACT_VALUES = 1 << 24
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class ColumnProfile(Record, frozen=True, kw_only=True):
    """One column. Numbers as they are, times in milliseconds since the epoch, booleans as the texts true and false."""

    name: str
    type: ColumnType
    missing: int
    """Without a value; NaN counts as such, as pandas has it."""
    distinct: int
    exact: bool = True
    """Whether distinct, quantiles, histogram and top are counted over all rows."""
    minimum: float | None = None
    maximum: float | None = None
    """Of the finite values, as are mean, std and quantiles."""
    mean: float | None = None
    std: float | None = None
    """With n - 1 in the denominator."""
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
    mean_length: float | None = None
    infinite: int = 0
    samples: tuple[str, ...] = ()
    """Values of some rows taken at random, in the order of the rows."""
    rank_error: float = 0.0
    """A quantile's true rank is within this of the one asked for, and a share within it, in 999 of 1 000 samples."""
    distinct_error: float = 0.0
    """Relative error that `distinct` stays within in 997 of 1 000 cases."""

    @property
    def uncertainty(self) -> str:
        """What is estimated and how well, as half a sentence; empty where everything is counted."""
        if self.exact:
            return ""
        share = f"{self.rank_error * 100:.2g}"
        return f"ranks and shares from a random sample, within ±{share} %; distinct within ±{self.distinct_error:.1%}"


class VersionProfile(Record, frozen=True, kw_only=True):
    ref: str
    digest: str
    rows: int
    columns: tuple[ColumnProfile, ...]


def profile_version(
    datasets: DatasetStore,
    ref: str,
    *,
    progress: Callable[[Progress], None] | None = None,
    exact_values: int = EXACT_VALUES,
) -> VersionProfile:
    """Profile every column of a dataset version. `kept_profile.profile_kept` does it once and keeps it."""
    version = datasets.version(ref)
    texts = [column.name for column in version.columns if column.type is ColumnType.STRING]
    columns = []
    began = time.monotonic()
    with stored_file(datasets, version) as file, dictionary_file(datasets, version, texts) as encoded:
        chosen = sample_rows(version.digest, version.rows)
        room = Room(exact_values)
        for at, column in enumerate(version.columns):
            if progress is not None and at:
                spent = time.monotonic() - began
                progress(
                    Progress(
                        at=int(time.time() * 1000),
                        fraction=at / len(version.columns),
                        stage=f"column {at + 1} of {len(version.columns)}",
                        eta_s=spent / at * (len(version.columns) - at),
                    )
                )
            columns.append(profile_column(file, encoded, column, chosen, room))
    return VersionProfile(ref=version.ref, digest=version.digest, rows=version.rows, columns=tuple(columns))


def profile_column(file: Any, encoded: Any, column: Column, chosen: list[int], room: Room) -> ColumnProfile:
    """One column of a `ParquetFile`; `encoded` is the same file, read with its texts as dictionaries."""
    if column.type in (ColumnType.INT, ColumnType.FLOAT, ColumnType.DATETIME, ColumnType.DATE):
        from console.data.profile_numbers import profile_numbers

        return profile_numbers(file, column, chosen, room)
    from console.data.profile_texts import profile_booleans, profile_texts

    if column.type is ColumnType.BOOL:
        return profile_booleans(file, column, chosen)
    return profile_texts(file, encoded, column, chosen, room)


class Room:
    """Memory for the values of one column, used again for the next: fresh memory costs more than sorting it does."""

    def __init__(self, exact_values: int) -> None:
        self.exact_values = exact_values
        self._kept: dict[str, Any] = {}

    def array(self, name: str, count: int, kind: Any) -> Any:
        """An array with anything in it, shape (count,), of a type of at most 8 bytes."""
        import numpy as np

        found = self._kept.get(name)
        if found is None or len(found) < count:
            found = self._kept[name] = np.empty(count, np.uint64)
        return found.view(kind)[:count]


def pieces(file: Any, name: str) -> Iterator[Any]:
    """The column, one row group after another."""
    for group in range(file.num_row_groups):
        # as the file knows it: pyarrow would take a name with dots for a path into nested data where there is one
        yield file.read_row_group(group, columns=[name], use_threads=False).column(0)


def sample_rows(digest: str, rows: int) -> list[int]:
    """Numbers of the rows that are shown as samples: the same ones for the same content."""
    import random

    return sorted(random.Random(digest).sample(range(rows), min(SAMPLES, rows)))  # noqa: S311


class Samples:
    """Picks the chosen rows out of pieces that come in order."""

    def __init__(self, chosen: list[int]) -> None:
        self._chosen = chosen
        self._seen = 0
        self.values: list[Any] = []

    def look(self, piece: Any) -> None:
        """Missing values are passed over."""
        end = self._seen + len(piece)
        for row in self._chosen:
            if self._seen <= row < end and (value := piece[row - self._seen].as_py()) is not None:
                self.values.append(value)
        self._seen = end

    def texts(self) -> tuple[str, ...]:
        from console.data.rows import plain

        shown = (plain(value) for value in self.values)
        return tuple(("true" if v else "false") if isinstance(v, bool) else str(v) for v in shown if v is not None)


def number_text(value: float, kind: ColumnType) -> str:
    """A value of a column as text; times come in milliseconds."""
    import datetime

    if kind in (ColumnType.DATETIME, ColumnType.DATE):
        epoch = datetime.datetime(1970, 1, 1)
        try:
            moment = epoch + datetime.timedelta(milliseconds=value)
        except OverflowError:
            return f"{value:g} ms"
        return moment.date().isoformat() if kind is ColumnType.DATE else moment.isoformat(sep=" ")
    return repr(value)
