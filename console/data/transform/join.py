"""Joining columns of another dataset version by key. The order of the rows stays; missing keys match nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backends.contract import Refused
from backends.entities import ColumnType
from console.data.inference import column_type
from console.data.row_hash import KeyIndex
from console.data.transform.operation import Operation
from console.data.transform.rows import Flow, Rows, Schema
from console.wording import size, thousands

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BYTES = 512 << 20
"""Of the other version's columns, in memory."""


class Joining(Operation):
    """State: the version that is joined, as `{"ref", "digest"}`. Keys are compared by 128-bit hashes."""

    changes_rows = True

    def bind(self, schema: Schema) -> None:
        step = self.step
        here = dict(zip(step.on, step.on, strict=True)) if not isinstance(step.on, dict) else dict(step.on)
        self._keys = tuple(here)
        self.named(schema, self._keys, "on", frozenset(ColumnType) - {ColumnType.OTHER, ColumnType.FLOAT})
        self.reads = set(self._keys)
        self._version, self._open = self.context.other(step.dataset)
        types = {column.name: column.type for column in self._version.columns}
        for there in [*here.values(), *step.columns]:
            if there not in types:
                from console.toml_form import did_you_mean

                key = "columns" if there in step.columns else "on"
                raise self.wrong(key, f"{there!r} is not a column of {self._version.ref}{did_you_mean(there, types)}")
        for name, there in here.items():
            kind = column_type(schema.types[name])
            if kind != types[there]:
                raise self.wrong(
                    "on",
                    f"{name!r} is {kind}, and {there!r} of {self._version.ref} is {types[there]}; "
                    "cast one of them in a step before.",
                )
        self._keys_there = list(here.values())
        brought = step.columns or [name for name in types if name not in self._keys_there]
        self._brought = {f"{name}{step.suffix}": name for name in brought}
        self.fresh(schema, self._brought)
        self.writes = set(self._brought)
        self._types: dict[str, Any] = {}
        with self._open() as file:
            known = {field.name: field.type for field in file.schema_arrow}
        self._types = {new: known[name] for new, name in self._brought.items()}
        self._table: Any = None
        self.state = {"ref": self._version.ref, "digest": self._version.digest}

    def out(self, schema: Schema) -> Schema:
        return schema.with_(self._types)

    def start(self) -> None:
        if self._table is None:
            self._read()

    def _read(self) -> None:
        wanted = list(dict.fromkeys([*self._keys_there, *self._brought.values()]))
        pieces, total = [], 0
        with self._open() as file:
            for batch in file.iter_batches(batch_size=1 << 16, columns=wanted, use_threads=False):
                total += batch.nbytes
                if total > MOST_BYTES:
                    raise Refused(
                        f"{self.recipe.where(self.number, 'dataset')}: the columns of {self._version.ref} take more "
                        f"than {size(MOST_BYTES)} in memory; name fewer in columns, or join the smaller version to "
                        "the larger."
                    )
                pieces.append(batch)
        table = pa.Table.from_batches(pieces).combine_chunks() if pieces else None
        columns = {name: _whole(table, name) for name in wanted} if table is not None else {}
        if table is None:
            with self._open() as file:
                columns = {name: pa.array([], file.schema_arrow.field(name).type) for name in wanted}
        keys = [columns[name] for name in self._keys_there]
        there = _present(keys)
        places = np.flatnonzero(there)
        taken = [pc.filter(array, pa.array(there)) for array in keys]
        self._known = KeyIndex(taken, len(places))
        order = np.argsort(self._known.codes, kind="stable")
        self._places, codes = places[order], self._known.codes[order]
        same = codes[1:] == codes[:-1]
        self._firsts = np.searchsorted(codes, np.arange(len(self._known)))
        self._counts = np.bincount(codes, minlength=len(self._known))
        if same.any() and not self.step.many:
            at = int(self._places[int(np.argmax(same))])
            value = ", ".join(f"{name} = {columns[name][at].as_py()!r}" for name in self._keys_there)
            keys_often, often = int((self._counts > 1).sum()), int(self._counts.max())
            raise Refused(
                f"{self.recipe.where(self.number, 'on')}: the key is not unique in {self._version.ref}: {value} is "
                f"there more than once ({thousands(keys_often)} keys are, one of them {thousands(often)} times), so "
                "that rows would multiply. Dedupe that version, add to the key, or allow it: many = true."
            )
        self._table = {new: columns[name] for new, name in self._brought.items()}

    def apply(self, rows: Rows, flow: Flow) -> Rows:  # noqa: ARG002
        if self._table is None:
            self._read()
        keys = [rows.columns[name] for name in self._keys]
        found = self._found(keys, rows.count)
        matched = found >= 0
        if not self.step.many:
            if self.step.how == "inner":
                rows, found = rows.filter(matched), found[matched]
                matched = found >= 0
            at = np.where(matched, self._places[self._firsts[found]], 0) if len(self._firsts) else np.zeros_like(found)
            return self._brought_to(rows, at, matched)
        counts = np.where(matched, self._counts[found] if len(self._counts) else 0, 0)
        repeats = np.maximum(counts, 1) if self.step.how == "left" else counts
        left = np.repeat(np.arange(rows.count), repeats)
        within = np.arange(len(left)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        matched = matched[left]
        at = np.zeros(len(left), np.int64)
        at[matched] = self._places[self._firsts[found[left[matched]]] + within[matched]]
        return self._brought_to(rows.take(left), at, matched)

    def _found(self, keys: list[Any], rows: int) -> NDArray[np.int64]:
        """shape (rows,): which of the keys there, -1 for none."""
        return np.where(_present(keys), self._known.find(keys, rows), -1)

    def _brought_to(self, rows: Rows, at: NDArray[np.int64], matched: NDArray[np.bool_]) -> Rows:
        indices = pa.array(at, mask=~matched) if not matched.all() else pa.array(at)
        return rows.with_({new: pc.take(array, indices) for new, array in self._table.items()})

    def told(self) -> str:
        return f"{self._version.ref}, {thousands(len(self._firsts))} keys" if self._table is not None else ""


def _whole(table: Any, name: str) -> Any:
    chunks = table.column(name).chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)


def _present(arrays: list[Any]) -> NDArray[np.bool_]:
    there = np.ones(len(arrays[0]), np.bool_)
    for array in arrays:
        if array.null_count:
            there &= pc.is_valid(array).to_numpy(zero_copy_only=False)
    return there


KINDS: dict[str, type[Operation]] = {"join": Joining}
