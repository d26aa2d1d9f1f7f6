"""CSV and TSV: RFC 4180 quoting, line breaks inside quotes allowed, every column as text for the guesses to type."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backends.contract import Invalid
from console.data.inference import Guess, TextGuess
from console.data.place import LONGEST_FIELD, told, utf8_fault
from console.data.reader import check_names
from console.data.stream import BLOCK, MOST_BYTES, UTF8, ByteStream, TextFault

DELIMITERS = ",;\t|"
BYTES_A_COLUMN, MOST_BLOCK = 4096, 64 << 20
"""A wide table is read in larger blocks: each costs the same for every column, however few rows it holds."""


class DelimitedReader:
    """One file with a header. The delimiter is the one given, else the one of `, ; tab |` that the header has most."""

    def __init__(
        self, path: Path, delimiter: str = "", *, label: str = "", encoding: str = UTF8, most: int = MOST_BYTES
    ) -> None:
        self._path = path
        self._label = label or path.name
        self._encoding = encoding
        self._most = most
        head = self._head(1 << 20)
        first_line = head.split("\n", 1)[0]
        if len(first_line) == len(head) >= 1 << 19:  # a wide header: thousands of columns
            head = self._head(LONGEST_FIELD)
            first_line = head.split("\n", 1)[0]
        self._delimiter = delimiter or max(DELIMITERS, key=first_line.count)
        csv.field_size_limit(LONGEST_FIELD)
        self._header = next(csv.reader(io.StringIO(head, newline=""), delimiter=self._delimiter), [])
        if not any(name.strip() for name in self._header):
            raise Invalid(f"{self._label}: the first line is no header: it has no column names.", "columns")
        self.names = [name.strip() or f"column_{at + 1}" for at, name in enumerate(self._header)]
        check_names(self.names, self._label)
        self._block = max(BLOCK, min(len(self.names) * BYTES_A_COLUMN, MOST_BLOCK))

    def _head(self, size: int) -> str:
        with self._stream(None, text=False) as stream:
            head = stream.read(size).decode("utf-8-sig", "replace").lstrip("\r\n")
        if "\0" in head.split("\n", 1)[0]:  # no text; what else it may be says the stream that looks
            try:
                with self._stream(None) as stream:
                    stream.read(size)
            except TextFault as fault:
                raise told(fault, self._path, self._label, self._encoding, ",") from fault
        return head

    def _stream(self, advanced: Callable[[int], None] | None, *, text: bool = True) -> ByteStream:
        return ByteStream(
            self._path, text=text, advanced=advanced, label=self._label, encoding=self._encoding, most=self._most
        )

    def guess(self, field: Any) -> Guess:  # noqa: ARG002
        return TextGuess()

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        """All columns as text, under `names`."""
        import pyarrow as pa
        import pyarrow.csv as pv

        ragged: list[Any] = []

        def on_ragged(row: Any) -> str:
            ragged.append(row)
            return "error"

        with self._stream(advanced) as stream:
            last = None
            try:
                reader = pv.open_csv(
                    pa.PythonFile(stream, mode="r"),
                    read_options=pv.ReadOptions(block_size=self._block, use_threads=False),
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
            except TextFault as fault:
                raise told(fault, self._path, self._label, self._encoding, self._delimiter, self.names) from fault
            except pa.ArrowInvalid as error:
                if "cannot infer number of columns" in str(error) or "Empty CSV" in str(error):
                    return  # a header and no row under it
                raise self._plain(str(error), ragged) from error
            if last is not None and stream.quotes % 2:
                end = last.columns[-1][len(last) - 1].as_py()
                if end is not None and "\n" in end:
                    raise Invalid(
                        f"{self._label}: a double quote is opened and never closed; the text after it starts "
                        f"{end[:40]!r}. Close the quote, or double it inside quoted text.",
                        "rows",
                    )

    def _plain(self, message: str, ragged: list[Any]) -> Invalid:
        if ragged:
            return self._ragged(ragged[0])
        if "UTF8" in message or "utf8" in message.lower():
            return utf8_fault(self._path, self._label, self._delimiter, self.names)
        if "straddling" in message:
            return Invalid(
                f"{self._label}: one row is longer than {self._block >> 20} MB; most likely a double quote is opened "
                "and never closed. Close it, or double it inside quoted text.",
                "rows",
            )
        return Invalid(f"{self._label}: {message}", "rows")

    def _ragged(self, row: Any) -> Invalid:
        where = f"row {row.number - 1} (line {row.number} if no text spans lines)" if row.number else "a row"
        if row.actual_columns < row.expected_columns:
            column = f"column {self.names[row.actual_columns]!r} is the first without one"
        else:
            column = f"the last column is {self.names[-1]!r}"
        return Invalid(
            f"{self._label}: {where} has {row.actual_columns} values, expected {row.expected_columns} as in "
            f"the header; {column}: {row.text[:80]!r}. Quote text that holds the delimiter {self._delimiter!r}, "
            "or mend the row.",
            "rows",
        )
