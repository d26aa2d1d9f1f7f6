"""The rows of a dataset version as a table's source, read by a process that stays while they are shown."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from backends.contract import END, START, Backend, Count, NotFound, Page
from backends.entities import ColumnType, DatasetVersion
from console.data.reading import RowReader
from console.tui.columns import Column

BLOCK = 200
"""Rows read at once."""

KEPT = 40

EXPORTED = 2_000
"""Rows read at once where all are wanted."""

Row = tuple[Any, ...]
"""The row's number from 0, then its values."""


class VersionRows:
    """A `RowSource`; a row's identity is its number, because a version never changes."""

    seek = True
    frugal = False

    def __init__(self, backend: Backend, version: DatasetVersion) -> None:
        self._reader = RowReader(backend)
        self._version = version
        self._blocks: OrderedDict[int, tuple[Row, ...]] = OrderedDict()

    def key(self, row: Row) -> str:
        return str(row[0])

    def page(self, at: str, limit: int) -> Page[Row]:
        first = self._place(at, limit)
        last = min(self._version.rows, first + limit)
        rows: list[Row] = []
        for block in range(first // BLOCK, -(-last // BLOCK)):
            start = block * BLOCK
            rows += self._block(block)[max(0, first - start) : last - start]
        return self._page(rows, first, last, limit)

    def cached(self, at: str, limit: int) -> Page[Row] | None:
        first = self._place(at, limit)
        last = min(self._version.rows, first + limit)
        blocks = range(first // BLOCK, -(-last // BLOCK))
        return self.page(at, limit) if all(block in self._blocks for block in blocks) else None

    def count(self) -> Count:
        return Count(value=self._version.rows)

    def forget(self) -> None:
        """A version never changes."""

    def close(self) -> None:
        """The process that reads them ends; another question starts one."""
        self._reader.close()

    def every(self) -> Iterator[Row]:
        """All rows, in stretches."""
        for start in range(0, self._version.rows, EXPORTED):
            page = self._reader.rows(self._version.ref, start, EXPORTED)
            yield from ((start + at, *values) for at, values in enumerate(page.rows))

    def _place(self, at: str, limit: int) -> int:
        if at == START:
            return 0
        if at == END:
            return max(0, self._version.rows - limit)
        if at[:1] in "#@" and at[1:].isdecimal():
            number = int(at[1:]) - (limit // 2 if at[0] == "@" else 0)
            return min(max(0, number), max(0, self._version.rows - 1))
        raise NotFound(f"{at}: not a place in {self._version.ref}")

    def _page(self, rows: list[Row], first: int, last: int, limit: int) -> Page[Row]:
        total = self._version.rows
        return Page(
            items=tuple(rows),
            next=f"#{last}" if last < total else None,
            previous=f"#{max(0, first - limit)}" if first > 0 else None,
            first=first,
            total=total,
        )

    def _block(self, block: int) -> tuple[Row, ...]:
        found = self._blocks.get(block)
        if found is None:
            start = block * BLOCK
            page = self._reader.rows(self._version.ref, start, BLOCK)
            found = tuple((start + at, *values) for at, values in enumerate(page.rows))
            self._blocks[block] = found
            while len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)
        return found


def row_columns(version: DatasetVersion) -> tuple[Column[Row], ...]:
    """The row's number, then the columns as they stand in the file; what does not fit gives way from the right."""
    number: Column[Row] = Column("#", "#", lambda row: row[0] + 1, 8, right=True)
    return (number, *(_column(at, column.name, column.type) for at, column in enumerate(version.columns, start=1)))


def _column(at: int, name: str, kind: ColumnType) -> Column[Row]:
    def cell(row: Row) -> object:
        return "∅" if row[at] is None else row[at]

    width = {ColumnType.BOOL: 5, ColumnType.DATE: 10, ColumnType.DATETIME: 20}.get(kind, 9)
    # Two columns of a file may not share a name, but one may be called `#`.
    return Column(f"{at}:{name}", name, cell, max(width, min(16, len(name))), right=kind.numeric, priority=at)
