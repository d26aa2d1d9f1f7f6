"""The formats that can be imported, each as a reader: raw Arrow batches in order, and a guess for each column."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from backends.contract import Invalid
from console.data.inference import Guess, JsonGuess, TextGuess, TypedGuess
from console.data.stream import ByteStream, encoding_error, is_gzip

BLOCK = 4 << 20
"""Bytes read at once. Larger costs memory, smaller costs calls."""
LONGEST_RECORD = 64 << 20


class Reader(Protocol):
    """A source that can be read more than once. Columns may be added at the end while reading (JSON lines)."""

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        """RecordBatches in the file's order; `advanced` gets the bytes of the file consumed so far."""
        ...

    def guess(self, field: Any) -> Guess: ...


def open_reader(path: Path, kind: str, staging: Path) -> Reader:
    if kind in ("csv", "tsv"):
        return DelimitedReader(path, "\t" if kind == "tsv" else "")
    if kind == "jsonl":
        return JsonLinesReader(path)
    return ParquetReader(path, staging)


def check_names(names: list[str], path: Path) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = [str(at + 1) for at, name in enumerate(names) if name == twice[0]]
        raise Invalid(
            f"{path.name}: column name {twice[0]!r} appears {len(places)} times (columns {', '.join(places)}); "
            "column names must differ. Rename one in the header.",
            "columns",
        )


class DelimitedReader:
    """CSV and TSV, all columns as text; RFC 4180 quoting, line breaks inside quotes allowed, UTF-8."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self._path = path
        with ByteStream(path, text=True) as stream:
            head = stream.read(1 << 20)
        text = head.decode("utf-8-sig", "replace")
        first_line = text.lstrip("\r\n").split("\n", 1)[0]
        self._delimiter = delimiter or max(",;\t|", key=first_line.count)
        self._header = next(csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=self._delimiter), [])
        if not any(name.strip() for name in self._header):
            raise Invalid(f"{path.name}: the first line is no header: it has no column names.", "columns")
        self.names = [name.strip() or f"column_{at + 1}" for at, name in enumerate(self._header)]
        check_names(self.names, path)

    def guess(self, field: Any) -> Guess:  # noqa: ARG002
        return TextGuess()

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.csv as pv

        ragged: list[Any] = []

        def on_ragged(row: Any) -> str:
            ragged.append(row)
            return "error"

        with ByteStream(self._path, text=True, advanced=advanced) as stream:
            last = None
            try:
                reader = pv.open_csv(
                    pa.PythonFile(stream, mode="r"),
                    read_options=pv.ReadOptions(block_size=BLOCK, use_threads=False),
                    parse_options=pv.ParseOptions(
                        delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=on_ragged
                    ),
                    convert_options=pv.ConvertOptions(
                        column_types={name: pa.string() for name in self._header},
                        strings_can_be_null=True,
                        null_values=[""],
                        quoted_strings_can_be_null=False,
                    ),
                )
                for batch in reader:
                    if batch.num_rows:
                        last = batch
                        yield pa.RecordBatch.from_arrays(batch.columns, self.names)
            except pa.ArrowInvalid as error:
                raise self._plain(str(error), ragged) from error
            if last is not None and stream.quotes % 2:
                end = last.columns[-1][len(last) - 1].as_py()
                if end is not None and "\n" in end:
                    raise Invalid(
                        f"{self._path.name}: a double quote is opened and never closed; the text after it starts "
                        f"{end[:40]!r}. Close the quote, or double it inside quoted text.",
                        "rows",
                    )

    def _plain(self, message: str, ragged: list[Any]) -> Invalid:
        if ragged:
            row = ragged[0]
            where = f"row {row.number - 1} (line {row.number} if no text spans lines)" if row.number else "a row"
            return Invalid(
                f"{self._path.name}: {where} has {row.actual_columns} values, expected {row.expected_columns} as in "
                f"the header: {row.text[:80]!r}. Quote text that holds the delimiter {self._delimiter!r}, "
                "or mend the row.",
                "rows",
            )
        if "UTF8" in message or "utf8" in message.lower():
            return encoding_error(self._path)
        if "straddling" in message:
            return Invalid(
                f"{self._path.name}: one row is longer than {BLOCK >> 20} MB; most likely a double quote is opened "
                "and never closed. Close it, or double it inside quoted text.",
                "rows",
            )
        if "cannot infer number of columns" in message or "Empty CSV" in message:
            return Invalid(f"{self._path.name} has a header but no row under it.", "rows")
        return Invalid(f"{self._path.name}: {message}", "rows")


class JsonLinesReader:
    """One JSON object a line. Nested values become their JSON text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._texts: set[str] = set()
        """Keys whose values are known to be strings: Arrow must not take those for times by itself."""

    def guess(self, field: Any) -> Guess:  # noqa: ARG002
        return JsonGuess()

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        with ByteStream(self._path, text=True, advanced=advanced) as stream:
            rest, line = b"", 1
            while True:
                data = stream.read(BLOCK)
                block = rest + data
                if line == 1 and block.startswith(b"\xef\xbb\xbf"):
                    block = block[3:]
                cut = block.rfind(b"\n") + 1 if data else len(block)
                block, rest = block[:cut], block[cut:]
                if len(rest) > LONGEST_RECORD:
                    raise Invalid(
                        f"{self._path.name}: line {line + block.count(10)} is longer than {LONGEST_RECORD >> 20} MB; "
                        "wanted one JSON object a line.",
                        "rows",
                    )
                if block.strip():
                    yield self._parse(block, line)
                line += block.count(b"\n")
                if not data:
                    return

    def _parse(self, block: bytes, line: int) -> Any:
        import pyarrow as pa
        import pyarrow.json as pj

        try:
            block.decode("utf-8")  # Arrow's JSON reader does not look
        except UnicodeDecodeError:
            raise encoding_error(self._path) from None
        order: list[str] = []
        while True:
            schema = pa.schema([(name, pa.string()) for name in self._texts])
            try:
                table = pj.read_json(
                    pa.BufferReader(block),
                    read_options=pj.ReadOptions(block_size=len(block) + 1, use_threads=False),
                    parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
                )
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                return self._parse_slowly(block, line)
            order = order or table.schema.names
            times = {field.name for field in table.schema if pa.types.is_timestamp(field.type)}
            if not times:
                break
            self._texts |= times
        if len(set(order)) < len(order) or any(self._needs_care(column) for column in table.columns):
            return self._parse_slowly(block, line)
        present = [name for name in order if name not in self._texts or table[name].null_count < len(table)]
        batch = table.select(present).combine_chunks().to_batches()
        return batch[0] if batch else self._parse_slowly(block, line)

    @staticmethod
    def _needs_care(column: Any) -> bool:
        """Nested values, and floats that may have been whole numbers of more than 15 digits."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_nested(column.type):
            return True
        if pa.types.is_floating(column.type):
            return bool(pc.any(pc.greater(pc.abs(column), 2.0**53)).as_py())
        return False

    def _parse_slowly(self, block: bytes, first: int) -> Any:
        """Line by line in Python: for mixed types, nesting, and to name the line that is wrong."""
        import pyarrow as pa

        rows: list[dict[str, Any]] = []
        for at, line in enumerate(block.split(b"\n"), first):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                shown = line[:60].decode("utf-8", "replace")
                raise Invalid(
                    f"{self._path.name}: line {at} is not JSON ({error}): {shown!r}. Wanted one JSON object a line.",
                    "rows",
                ) from error
            if not isinstance(row, dict):
                raise Invalid(
                    f"{self._path.name}: line {at} holds a JSON {_json_kind(row)}, wanted an object "
                    '{"column": value, …} on each line.',
                    "rows",
                )
            rows.append(row)
        names = list(dict.fromkeys(name for row in rows for name in row))
        return pa.RecordBatch.from_arrays([_json_column([row.get(name) for row in rows]) for name in names], names)


class ParquetReader:
    """Parquet by row group; a gzipped one is unpacked into `staging` first, because Parquet is read from its end."""

    def __init__(self, path: Path, staging: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        self._unpacked: Path | None = None
        if is_gzip(path):
            self._unpacked = staging / f"unpacked-{path.name}"
            with ByteStream(path, text=False) as stream, self._unpacked.open("wb") as out:
                while data := stream.read(BLOCK):
                    out.write(data)
        try:
            self._file = pq.ParquetFile(self._unpacked or path)
            schema = self._file.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise _corrupt(path, error) from error
        check_names(schema.names, path)
        if not schema.names:
            raise Invalid(f"{path.name} has no columns.", "columns")

    def guess(self, field: Any) -> Guess:
        return TypedGuess(field.type)

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        import pyarrow as pa

        size, rows, done = self._path.stat().st_size, max(self._file.metadata.num_rows, 1), 0
        try:
            for batch in self._file.iter_batches(batch_size=1 << 16, use_threads=False):
                done += batch.num_rows
                advanced(size * done // rows)
                batch.validate(full=True)
                if batch.num_rows:
                    yield batch
        except (pa.ArrowException, OSError) as error:
            raise _corrupt(self._path, error) from error


def _corrupt(path: Path, error: Exception) -> Invalid:
    first = str(error).split("\n")[0]
    return Invalid(f"{path.name} is not a Parquet file, or it is damaged: {first}. Write or fetch it again.", "path")


def _json_kind(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "array", str: "string", bool: "boolean"}.get(type(value), "number")


def _json_column(values: list[Any]) -> Any:
    """An Arrow array for one block of a key: the one kind all values share, else text."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pa.array(values, pa.int64())
    exact = all(not isinstance(value, int) or abs(value) <= 2**53 for value in values)
    if kinds <= {int, float} and kinds and exact:
        return pa.array(values, pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if not kinds:
        return pa.nulls(len(values))
    texts = [
        value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values
    ]
    return pa.array([text if text is None else _storable(text) for text in texts], pa.string())


def _storable(text: str) -> str:
    """JSON can escape lone surrogates, which UTF-8 cannot hold; they become U+FFFD."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not text.isascii() else text
