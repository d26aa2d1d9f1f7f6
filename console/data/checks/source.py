"""The version that is checked, and the others that a check compares it with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backends.contract import DatasetStore, Invalid, NotFound
from backends.entities import Column, ColumnType, DatasetVersion
from console.config import nearest
from console.data.checks.batch import Rows, kind_of, numbers, shown, texts
from console.data.checks.spec import PREVIOUS
from console.data.stored import stored_file

BATCH_ROWS = 1 << 16
"""What the arrays of a few columns of so many rows need fits into a core's cache."""
FEW_TEXTS = 10_000
"""Texts that have at most so many different values in the first rows are read as a dictionary and indices."""


class Source:
    """One dataset version, read by batches or by whole columns. `now` is in milliseconds since the epoch."""

    def __init__(self, datasets: DatasetStore, version: DatasetVersion, now: int) -> None:
        self.datasets = datasets
        self.version = version
        self.now = now
        self._others: dict[str, Source | None] = {}
        self._columns = {column.name: column for column in version.columns}
        self._kinds: dict[str, str] = {}
        self._held: tuple[str, Any] = ("", None)

    @property
    def rows(self) -> int:
        return self.version.rows

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.version.columns]

    def column(self, name: str) -> Column | None:
        return self._columns.get(name)

    def kind(self, name: str) -> str:
        """`number`, `time`, `text`, `other`, or empty for no such column."""
        if not self._kinds:
            with stored_file(self.datasets, self.version) as file:
                self._kinds = {field.name: kind_of(field.type) for field in file.schema_arrow}
        return self._kinds.get(name, "")

    def absent(self, name: str) -> str:
        """Empty, or the sentence that the column is not there."""
        if self.column(name) is not None:
            return ""
        return f"there is no column {name}{nearest(name, self.names)}"

    def other(self, against: str) -> Source | None:
        """The version that a check names; None for the one before the first. NotFound where it is not there."""
        if against not in self._others:
            version = self._previous() if against == PREVIOUS else self.datasets.version(against)
            self._others[against] = None if version is None else Source(self.datasets, version, self.now)
        return self._others[against]

    def _previous(self) -> DatasetVersion | None:
        at = ""
        found = False
        while True:
            page = self.datasets.versions(self.version.dataset, at=at)
            for version in page.items:
                if found:
                    return version
                found = version.version == self.version.version
            if page.next is None:
                return None
            at = page.next

    def batches(self, names: Sequence[str], plain: Sequence[str] = ()) -> Iterator[Rows]:
        """All rows in their order, with these columns."""
        import pyarrow.parquet as pq

        from console.data.stored import told_if_damaged

        path = self.datasets.path(self.version.ref)
        first = 0
        with told_if_damaged(self.version.ref, path):
            # Without a buffer for all that is to come: it would hold the whole file by the end.
            with pq.ParquetFile(path, pre_buffer=False) as file:
                few = self._few_texts(file, frozenset(names).difference(plain))
            with pq.ParquetFile(path, read_dictionary=few, pre_buffer=False) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(names), use_threads=False):
                    yield Rows(batch, first)
                    first += batch.num_rows

    def _few_texts(self, file: Any, names: frozenset[str]) -> list[str]:
        import pyarrow.compute as pc

        wanted = [
            column.name
            for column in self.version.columns
            if column.name in names and column.type is ColumnType.STRING and "." not in column.name
        ]
        if not wanted or not file.num_row_groups:
            return []
        head = next(file.iter_batches(batch_size=BATCH_ROWS, columns=wanted, use_threads=False), None)
        if head is None:
            return []
        return [name for name, array in zip(head.schema.names, head.columns, strict=True)
                if pc.count_distinct(array).as_py() <= min(FEW_TEXTS, len(array) // 8)]  # fmt: skip

    def whole(self, name: str) -> Any:
        """The column as a pyarrow chunked array; the latest is held, as several checks may ask for it."""
        if self._held[0] != name:
            self._held = ("", None)
            with stored_file(self.datasets, self.version) as file:
                self._held = (name, file.read(columns=[name], use_threads=False).column(0))
        return self._held[1]

    def present(self, name: str) -> Any:
        """The numbers of a column that are there, as a new float64 array."""
        import numpy as np

        values = numbers(self.whole(name).drop_null())
        values = values.astype(np.float64)  # a copy in any case: who asks may sort it in place
        missing = np.isnan(values)
        return values[~missing] if missing.any() else values

    def counts(self, name: str) -> dict[str, int]:
        """How often each value of a column comes, as text; missing left out."""
        import pyarrow.compute as pc

        found: dict[str, int] = {}
        for piece in self.whole(name).chunks:
            piece = piece.drop_null()
            counted = pc.value_counts(texts(piece)[0] if kind_of(piece.type) == "other" else piece)
            pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
            for value, count in pairs:
                if value == value:  # NaN is missing too
                    word = shown(value)
                    found[word] = found.get(word, 0) + count
        return found

    def values(self, rows: Sequence[int], names: Sequence[str]) -> list[tuple[str, ...]]:
        """These columns of single rows, as text; for some few rows."""
        found: dict[int, tuple[str, ...]] = {}
        wanted = sorted(set(rows))
        with stored_file(self.datasets, self.version) as file:
            first = 0
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                here = [row for row in wanted if first <= row < first + size]
                if here:
                    table = file.read_row_group(group, columns=list(names), use_threads=False)
                    columns = [table.column(table.schema.get_field_index(name)) for name in names]
                    found |= {row: tuple(shown(each[row - first].as_py()) for each in columns) for row in here}
                first += size
        return [found[row] for row in rows]

    def release(self) -> None:
        """Let go of what is held."""
        self._held = ("", None)
        for other in self._others.values():
            if other is not None:
                other.release()


def no_previous(source: Source) -> str:
    return f"{source.version.ref} is the first version: there is none before it to compare with"


def named_or_all(source: Source, columns: Sequence[str], but: str = "") -> tuple[str, ...]:
    """The columns that a check names, or all (but one)."""
    return tuple(columns) or tuple(name for name in source.names if name != but)


def other_or_told(source: Source, against: str) -> Source:
    try:
        other = source.other(against)
    except NotFound as error:
        raise Invalid(f"against: {error}", "against") from error
    if other is None:
        raise Invalid(no_previous(source), "against")
    return other
