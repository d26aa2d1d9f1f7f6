"""Steps that choose rows: filter, sample, dedupe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from backends.entities import ColumnType
from console.data.row_hash import hash_rows, mix, shares_of
from console.data.transform.columns import evaluated, parsed
from console.data.transform.learners import Learner
from console.data.transform.operation import Operation
from console.data.transform.rows import Flow, Rows, Schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUCKETS = 64
"""Files that the hashes of rows are spread over; each is sorted alone."""


class _Choosing(Operation):
    changes_rows = True

    def out(self, schema: Schema) -> Schema:
        return schema


class Filtering(_Choosing):
    def bind(self, schema: Schema) -> None:
        self._expression = parsed(self, "where", self.step.where, schema, wanted=ColumnType.BOOL)
        names = self.named(schema, self._expression.columns, "where")
        self._lost = any(name in schema.absent for name in names)
        self.reads = set() if self._lost else set(names)

    def apply(self, rows: Rows, flow: Flow) -> Rows:
        if self._lost or not self.concerns(flow):
            return rows
        keep = pc.fill_null(evaluated(self, "where", self._expression, rows), False)
        return rows.filter(keep.to_numpy(zero_copy_only=False))


class _Numbered(_Choosing):
    """Its answer hangs on the number of a row among those of its part."""

    def start(self) -> None:
        self._seen: dict[str, int] = {}

    def _first(self, rows: Rows, flow: Flow) -> int:
        first = self.__dict__.setdefault("_seen", {}).get(flow.part, 0)
        self._seen[flow.part] = first + rows.count
        return int(first)


class Sampling(_Numbered):
    """A share by a hash of the key, or of the row's number; or so many rows, chosen by the least hashes of their
    numbers."""

    def bind(self, schema: Schema) -> None:
        self.reads = set(self.named(schema, self.step.key, "key"))
        self._least: dict[str, float] | None = None

    def learner(self) -> Learner | None:
        return _Count(self) if self.step.rows and self._least is None else None

    def learned(self, found: dict[str, int]) -> None:
        self._least = {}
        for part, rows in found.items():
            shares = np.sort(self._shares(0, rows))
            self._least[part] = float(shares[self.step.rows]) if self.step.rows < rows else 1.0

    def _shares(self, first: int, rows: int) -> NDArray[np.float64]:
        numbers = np.arange(first, first + rows, dtype=np.uint64)
        return shares_of(mix(mix(numbers) ^ mix(np.array([self.step.seed], np.uint64))))

    def apply(self, rows: Rows, flow: Flow) -> Rows:
        if flow.later or not self.concerns(flow):
            return rows
        if self.step.key:
            hashes = hash_rows([rows.columns[name] for name in self.step.key], rows.count, self.step.seed)
            return rows.filter(shares_of(hashes) < self.step.share)
        shares = self._shares(self._first(rows, flow), rows.count)
        least = self.step.share if self._least is None else self._least.get(flow.part, 1.0)
        return rows.filter(shares < least)


class _Count:
    training_only = False

    def __init__(self, operation: Sampling) -> None:
        self._operation = operation
        self._counts: dict[str, int] = {}

    def add(self, rows: Rows, flow: Flow) -> None:
        if self._operation.concerns(flow) and not flow.later:
            self._counts[flow.part] = self._counts.get(flow.part, 0) + rows.count

    def finish(self) -> dict[str, int]:
        return self._counts


class Deduping(_Numbered):
    """The first reading hashes the rows into files, each of which is sorted alone; the second keeps one of each."""

    def bind(self, schema: Schema) -> None:
        if schema.open and not self.step.key:
            from console.data.transform.operation import NotYet

            raise NotYet
        self._key = self.step.key or tuple(schema.present)
        self.named(schema, self._key, "key")
        self._key = tuple(name for name in self._key if name not in schema.absent)
        self.reads = set(self._key)
        self._extra: dict[str, NDArray[np.uint8]] | None = None

    def learner(self) -> Learner | None:
        return _Repeats(self, self.context.folder) if self._extra is None else None

    def learned(self, found: dict[str, NDArray[np.uint8]]) -> None:
        self._extra = found

    def hashed(self, rows: Rows) -> NDArray[Any]:
        """shape (n,): 128 bits a row, as fields `high` and `low`."""
        arrays = [rows.columns[name] for name in self._key]
        made = np.empty(rows.count, _ENTRY)
        made["high"], made["low"] = hash_rows(arrays, rows.count, 1), hash_rows(arrays, rows.count, 2)
        return made

    def apply(self, rows: Rows, flow: Flow) -> Rows:
        if self._extra is None or not self.concerns(flow):
            return rows
        first = self._first(rows, flow)
        extra = np.unpackbits(self._extra[flow.part][first // 8 : (first + rows.count + 7) // 8])
        return rows.filter(extra[first % 8 : first % 8 + rows.count] == 0)

    def alone(self) -> None:
        """For a record that comes alone: there is none that it could repeat."""
        self._extra = {}
        self.concerns = lambda flow: False  # type: ignore[method-assign]  # noqa: ARG005


_ENTRY = np.dtype([("high", "<u8"), ("low", "<u8"), ("number", "<u8")])


class _Repeats:
    training_only = False

    def __init__(self, operation: Deduping, folder: Path) -> None:
        self._operation, self._folder = operation, folder
        self._counts: dict[str, int] = {}
        self._files: dict[tuple[str, int], Any] = {}

    def add(self, rows: Rows, flow: Flow) -> None:
        if not self._operation.concerns(flow) or not rows.count:
            return
        first = self._counts.get(flow.part, 0)
        self._counts[flow.part] = first + rows.count
        entries = self._operation.hashed(rows)
        entries["number"] = np.arange(first, first + rows.count)
        buckets = (entries["high"] >> np.uint64(58)).astype(np.int64)
        order = np.argsort(buckets, kind="stable")
        ends = np.searchsorted(buckets[order], np.arange(BUCKETS + 1))
        for bucket in range(BUCKETS):
            mine = entries[order[ends[bucket] : ends[bucket + 1]]]
            if len(mine):
                if (flow.part, bucket) not in self._files:
                    path = self._folder / f"rows-{id(self)}-{len(self._files)}"
                    self._files[flow.part, bucket] = path.open("wb")
                self._files[flow.part, bucket].write(mine.tobytes())

    def finish(self) -> dict[str, NDArray[np.uint8]]:
        """part → packed bits, 1 for each row that repeats another."""
        extra = {part: np.zeros(count, np.bool_) for part, count in self._counts.items()}
        for (part, _), file in self._files.items():
            file.close()
            entries = np.fromfile(file.name, _ENTRY)
            Path(file.name).unlink()
            # numbers ascend within a file, and a stable sort keeps them so
            entries = entries[np.lexsort((entries["low"], entries["high"]))]
            same = (entries["high"][1:] == entries["high"][:-1]) & (entries["low"][1:] == entries["low"][:-1])
            repeats = entries[1:][same] if self._operation.step.keep == "first" else entries[:-1][same]
            extra[part][repeats["number"].astype(np.int64)] = True
        return {part: np.packbits(each) for part, each in extra.items()}


KINDS: dict[str, type[Operation]] = {"filter": Filtering, "sample": Sampling, "dedupe": Deduping}
