"""Rows of versions, read and found by a process that stays while somebody pages through them. Light to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from backends.connect import place_of
from backends.contract import Backend
from backends.entities import Column, Progress, Record
from console.data.rows import RowPage
from console.standing import Standing

MODULE = "console.data.row_server"


class FoundRows(msgspec.Struct, frozen=True):
    """As `finding.Found`."""

    rows: tuple[int, ...]
    reached: int
    end: bool


class RowReader:
    """Safe to use from threads; one question at a time."""

    def __init__(self, backend: Backend) -> None:
        self._process = Standing(MODULE, [place_of(backend)])

    def rows(self, ref: str, offset: int, limit: int) -> RowPage:
        """As `rows.read_rows`."""
        return msgspec.convert(self._process.ask({"ref": ref, "offset": offset, "limit": limit}), RowPage)

    def find(
        self,
        ref: str,
        text: str,
        start: int,
        *,
        backwards: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> FoundRows:
        """As `finding.find_rows`."""
        question = {"ref": ref, "offset": start, "find": text, "backwards": backwards}
        return msgspec.convert(self._process.ask(question, on_progress=on_progress, cancel=cancel), FoundRows)

    def close(self) -> None:
        self._process.close()


class Hits(Record, frozen=True, kw_only=True):
    """Rows that were looked for. `numbers` counts from 0; `next` is where to go on, None where nothing is left."""

    columns: tuple[Column, ...]
    numbers: tuple[int, ...]
    rows: tuple[tuple[Any, ...], ...]
    next: int | None = None


def found_rows(
    backend: Backend,
    ref: str,
    text: str,
    start: int,
    limit: int,
    *,
    on_progress: Callable[[Progress], None] | None = None,
) -> Hits:
    """The first `limit` hits from row `start` on."""
    version = backend.need("datasets").version(ref)
    reader = RowReader(backend)
    numbers: list[int] = []
    onward: int | None = start
    try:
        while onward is not None and len(numbers) < limit and onward < version.rows:
            found = reader.find(version.ref, text, onward, on_progress=on_progress)
            numbers += found.rows
            onward = None if found.end else found.reached + 1
        if len(numbers) > limit:
            onward = numbers[limit]
        rows = [reader.rows(version.ref, number, 1).rows[0] for number in numbers[:limit]]
    finally:
        reader.close()
    return Hits(columns=version.columns, numbers=tuple(numbers[:limit]), rows=tuple(rows), next=onward)
