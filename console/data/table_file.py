"""Reads rows of a CSV or Parquet file that is no dataset: `python -m console.data.table_file FILE NAME`, which stays
(see `standing`). Of a delimited file the first rows are read once, each column typed by what they hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import Invalid
from backends.entities import Column
from console.data.rows import RowPage, check_stretch, sliced
from console.speaker import Speaker, answer
from console.standing import Standing

MODULE = "console.data.table_file"

FIRST = 10_000
"""Rows of a delimited file that are read."""


class TablePage(RowPage, frozen=True, kw_only=True):
    """`total` counts what can be paged through; `whole` says that there is no more in the file."""

    whole: bool = True


class Question(msgspec.Struct):
    offset: int
    limit: int


class TableReader:
    """Safe to use from threads. The process begins with the first question."""

    def __init__(self, path: str, name: str) -> None:
        self._process = Standing(MODULE, [path, name.rpartition("/")[2]])

    def page(self, offset: int, limit: int) -> TablePage:
        """Invalid where the file is no such table."""
        return msgspec.convert(self._process.ask({"offset": offset, "limit": limit}), TablePage)

    def rows(self, ref: str, offset: int, limit: int) -> TablePage:  # noqa: ARG002  as a version's rows are asked for
        return self.page(offset, limit)

    def close(self) -> None:
        self._process.close()


class _Parquet:
    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        from console.data.inference import column_type

        self._file = pq.ParquetFile(path)
        schema = self._file.schema_arrow
        self._columns = tuple(Column(name=field.name, type=column_type(field.type)) for field in schema)
        self._group: tuple[int, Any] = (-1, None)

    def page(self, offset: int, limit: int) -> TablePage:
        rows = sliced(self._file, self._read, offset, limit)
        return TablePage(columns=self._columns, rows=rows, first=offset, total=self._file.metadata.num_rows)

    def _read(self, group: int) -> Any:
        if self._group[0] != group:
            self._group = (group, self._file.read_row_group(group))
        return self._group[1]


class _Delimited:
    def __init__(self, path: Path, name: str) -> None:
        import pyarrow as pa

        from console.data.delimited import DelimitedReader
        from console.data.inference import column_type
        from console.data.rows import plain

        reader = DelimitedReader(path, "\t" if ".tsv" in name else "", label=name)
        batches, count = [], 0
        self._whole = True
        for batch in reader.batches(lambda _: None):
            batches.append(batch)
            count += batch.num_rows
            if count > FIRST:
                self._whole = False
                break
        schema = pa.schema([(each, pa.string()) for each in reader.names])
        table = pa.Table.from_batches(batches, schema).slice(0, FIRST)
        columns, values = [], []
        for field, column in zip(table.schema, table.columns, strict=True):
            guess, array = reader.guess(field), column.combine_chunks()
            guess.observe(array)
            typed = guess.convert(array)
            columns.append(Column(name=field.name, type=column_type(typed.type)))
            values.append([plain(value) for value in typed.to_pylist()])
        self._columns = tuple(columns)
        self._rows = tuple(zip(*values, strict=True))

    def page(self, offset: int, limit: int) -> TablePage:
        rows = self._rows[offset : offset + limit]
        return TablePage(columns=self._columns, rows=rows, first=offset, total=len(self._rows), whole=self._whole)


def opened(path: Path, name: str) -> _Parquet | _Delimited:
    """Invalid where it is no such table."""
    import pyarrow as pa

    try:
        with path.open("rb") as file:
            parquet = file.read(4) == b"PAR1"
        return _Parquet(path) if parquet else _Delimited(path, name)
    except pa.ArrowException as error:
        raise Invalid(f"{name}: {str(error).rstrip('.')}; it is damaged, or no such table.", "path") from error


def main(argv: list[str]) -> int:
    from console.data.lean import spare_pandas

    spare_pandas()
    table: _Parquet | _Delimited | None = None

    def work(question: Question, _: Speaker) -> TablePage:
        nonlocal table
        check_stretch(question.offset, question.limit)
        table = table or opened(Path(argv[0]), argv[1])
        return table.page(question.offset, question.limit)

    return answer(Question, work)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
