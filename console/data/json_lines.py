"""JSON lines: one object a line, keys as columns, nested values as their JSON text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backends.contract import Invalid
from console.data.cells import cell_array, first_turn
from console.data.inference import Guess, JsonGuess
from console.data.place import told, utf8_fault
from console.data.stream import BLOCK, MOST_BYTES, UTF8, ByteStream, TextFault

LONGEST_RECORD = 64 << 20


class JsonLinesReader:
    """One JSON object a line. Nested values become their JSON text."""

    def __init__(self, path: Path, *, label: str = "", encoding: str = UTF8, most: int = MOST_BYTES) -> None:
        self._path = path
        self._label = label or path.name
        self._encoding = encoding
        self._most = most
        self._texts: set[str] = set()
        """Keys whose values are known to be strings: Arrow must not take those for times by itself."""
        self.mixed: dict[str, str] = {}
        """By key, where its values first were of two kinds."""

    def guess(self, field: Any) -> Guess:  # noqa: ARG002
        return JsonGuess()

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        stream = ByteStream(
            self._path, text=True, advanced=advanced, label=self._label, encoding=self._encoding, most=self._most
        )
        with stream:
            rest, line = b"", 1
            while True:
                try:
                    data = stream.read(BLOCK)
                except TextFault as fault:
                    raise told(fault, self._path, self._label, self._encoding) from fault
                block = rest + data
                if line == 1 and block.startswith(b"\xef\xbb\xbf"):
                    block = block[3:]
                cut = block.rfind(b"\n") + 1 if data else len(block)
                block, rest = block[:cut], block[cut:]
                if len(rest) > LONGEST_RECORD:
                    raise Invalid(
                        f"{self._label}: line {line + block.count(10)} is longer than {LONGEST_RECORD >> 20} MB; "
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
            raise utf8_fault(self._path, self._label) from None
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
        lines: list[int] = []
        for at, line in enumerate(block.split(b"\n"), first):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                shown = line[:60].decode("utf-8", "replace")
                raise Invalid(
                    f"{self._label}: line {at} is not JSON ({error}): {shown!r}. Wanted one JSON object a line.",
                    "rows",
                ) from error
            if not isinstance(row, dict):
                raise Invalid(
                    f"{self._label}: line {at} holds a JSON {_json_kind(row)}, wanted an object "
                    '{"column": value, …} on each line.',
                    "rows",
                )
            rows.append(row)
            lines.append(at)
        names = list(dict.fromkeys(name for row in rows for name in row))
        arrays = []
        for name in names:
            values = [row.get(name) for row in rows]
            arrays.append(cell_array(values, str))
            if name not in self.mixed:
                self._note_mixed(name, values, lines)
        return pa.RecordBatch.from_arrays(arrays, names)

    def _note_mixed(self, name: str, values: list[Any], lines: list[int]) -> None:
        """Say where a key first holds another kind of value than before."""
        turn = first_turn(values, _json_kind)
        if turn is not None:
            at, kind, before = turn
            self.mixed[name] = (
                f"kept as text: line {lines[at]} of {self._label} holds a JSON {kind} where those before hold {before}s"
            )


def _json_kind(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "array", dict: "object", str: "string", bool: "boolean"}.get(type(value), "number")
