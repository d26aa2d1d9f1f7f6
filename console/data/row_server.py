"""Reads rows of versions and finds some: `python -m console.data.row_server URL`, which stays (see `standing`).

What it has read last it keeps, so that the next page of the same row group costs nothing.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any

import msgspec

from backends.connect import connect
from backends.contract import DatasetStore
from backends.entities import DatasetVersion
from console.data.finding import Found, condition_of, find_rows
from console.data.rows import RowPage, check_stretch, sliced
from console.data.stored import told_if_damaged
from console.speaker import Speaker, answer

KEPT = 2
"""Row groups: a page may lie over the border of two."""


class Question(msgspec.Struct):
    ref: str
    offset: int = 0
    limit: int = 0
    """Of rows to read; 0 where something is looked for."""
    find: str = ""
    backwards: bool = False


class RowServer:
    """A version's file, held open."""

    def __init__(self, datasets: DatasetStore) -> None:
        self._datasets = datasets
        self._version: DatasetVersion | None = None
        self._file: Any = None
        self._groups: OrderedDict[int, Any] = OrderedDict()

    def answer(self, question: Question, speaker: Speaker) -> RowPage | Found:
        version = self._opened(question.ref)
        with told_if_damaged(version.ref, self._datasets.path(version.ref)):
            if question.limit:
                check_stretch(question.offset, question.limit)
                rows = sliced(self._file, self._group, question.offset, question.limit)
                return RowPage(columns=version.columns, rows=rows, first=question.offset, total=version.rows)
            condition = condition_of(question.find, version.columns)
            return find_rows(
                self._file, condition, question.offset, backwards=question.backwards, progress=speaker.progress
            )

    def _opened(self, ref: str) -> DatasetVersion:
        if self._version is None or self._version.ref != ref:
            import pyarrow.parquet as pq

            version = self._datasets.version(ref)
            path = self._datasets.path(version.ref)
            with told_if_damaged(version.ref, path):
                self._file = pq.ParquetFile(path)
            self._version = version
            self._groups.clear()
        return self._version

    def _group(self, group: int) -> Any:
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = self._file.read_row_group(group)
            while len(self._groups) > KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end(group)
        return found


def main(argv: list[str]) -> int:
    backend = connect("rows", argv[0])
    try:
        server = RowServer(backend.need("datasets"))
        return answer(Question, server.answer)
    finally:
        backend.close()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
