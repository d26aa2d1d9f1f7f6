"""The split: which part each row belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backends.entities import ColumnType
from console.data.row_hash import hash_rows, shares_of
from console.data.transform.learners import Learner
from console.data.transform.operation import Operation
from console.data.transform.rows import Flow, Rows, Schema
from console.data.transform.spool import Spool
from console.wording import plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIMES = frozenset({ColumnType.DATETIME, ColumnType.DATE, ColumnType.INT, ColumnType.FLOAT})


class Splitting(Operation):
    """State: by time the first instant of each later part (in the column's own count), else null."""

    changes_rows = True

    def bind(self, schema: Schema) -> None:
        step = self.step
        self.parts = tuple(step.parts)
        if step.by == "time":
            self._key = tuple(self.named(schema, [step.column], "column", _TIMES))
            self._type = schema.types[step.column]
        elif step.by == "group":
            self._key = tuple(self.named(schema, [step.column], "column"))
        else:
            self._key = tuple(self.named(schema, step.key, "key")) or tuple(schema.present)
        self.reads = set(self._key)
        if step.at:
            self.load([_ordinal(self._instant(text)) for text in step.at])
            if self.state != sorted(self.state):
                raise self.wrong("at", "the instants are not in ascending order.")

    def _instant(self, text: str) -> Any:
        try:
            return pc.cast(pa.array([text]), self._type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise self.wrong("at", f"{text!r} does not fit {self.step.column!r}, which is {self._type}.") from None

    def out(self, schema: Schema) -> Schema:
        return schema

    def learner(self) -> Learner | None:
        if self.step.by != "time" or self.state is not None:
            return None
        return _Cuts(self, self.context.folder)

    def apply(self, rows: Rows, flow: Flow) -> Rows:  # noqa: ARG002
        return rows

    def divide(self, rows: Rows) -> list[tuple[str, Rows]]:
        """The rows of each part, in the order of the parts."""
        codes = self.assigned(rows)
        return [(part, rows.filter(codes == at)) for at, part in enumerate(self.parts)]

    def assigned(self, rows: Rows) -> NDArray[np.int64]:
        """shape (n,): the number of each row's part, -1 for one that is left out."""
        step = self.step
        arrays = [rows.columns[name] for name in self._key]
        if step.by == "time":
            codes = np.searchsorted(np.asarray(self.state), ordinals(arrays[0]), side="right")
        else:
            ends = np.cumsum(list(step.parts.values()))[:-1]
            codes = np.searchsorted(ends, shares_of(hash_rows(arrays, rows.count, step.seed)), side="right")
        if step.by != "random" and arrays[0].null_count:
            self.refuse_missing(arrays[0].null_count)
            codes = np.where(pc.is_valid(arrays[0]).to_numpy(zero_copy_only=False), codes, -1)
        return codes.astype(np.int64)

    def refuse_missing(self, count: int) -> None:
        if self.step.missing == "error":
            raise self.wrong(
                "column",
                f"{self.step.column!r} is missing in some rows ({plural(count, 'row')} of the first such batch), which "
                'can be put in no part; filter them before, or leave them out: missing = "drop".',
            )

    def told(self) -> str:
        if self.step.by != "time" or self.state is None:
            return ""
        kind = pa.int32() if pa.types.is_date32(self._type) else pa.int64()
        if pa.types.is_floating(self._type):
            return ", ".join(f"{part} from {at:g}" for part, at in zip(self.parts[1:], self.state, strict=True))
        shown = pa.array(self.state, kind).cast(self._type)
        return ", ".join(f"{part} from {at}" for part, at in zip(self.parts[1:], shown.to_pylist(), strict=True))


class _Cuts:
    """Where the shares fall in the order of time. Rows of one instant stay together, so that no part sees another's."""

    training_only = False

    def __init__(self, operation: Splitting, folder: Path) -> None:
        self._operation = operation
        self._shares = list(operation.step.parts.values())
        self._spool: Spool | None = None
        self._path = folder / f"times-{id(self)}"

    def add(self, rows: Rows, flow: Flow) -> None:  # noqa: ARG002
        array = rows.columns[self._operation.step.column]
        if array.null_count:
            self._operation.refuse_missing(array.null_count)
            array = array.drop_null()
        values = ordinals(array)
        if self._spool is None:
            self._spool = Spool(self._path, "f8" if values.dtype.kind == "f" else "i8")
        self._spool.add(values)

    def finish(self) -> list[Any]:
        if self._spool is None or not self._spool.count:
            raise self._operation.wrong("column", "no row has a time; there is nothing to split by.")
        ends = np.cumsum(self._shares)[:-1]
        ranks = [min(int(np.ceil(self._spool.count * end - 1e-9)), self._spool.count - 1) for end in ends]
        found = dict(self._spool.ranked(ranks))
        self._path.unlink()
        return [found[rank] for rank in ranks]


def ordinals(array: Any) -> NDArray[Any]:
    """shape (n,): times, dates and numbers in an order; missing as 0."""
    kind = array.type
    if pa.types.is_floating(kind):
        return np.asarray(pc.fill_null(array, 0.0).to_numpy(zero_copy_only=False))
    plain = array.cast(pa.int32()) if pa.types.is_date32(kind) else array.cast(pa.int64())
    return np.asarray(pc.fill_null(plain, 0).to_numpy(zero_copy_only=False)).astype(np.int64)


def _ordinal(array: Any) -> Any:
    return ordinals(array)[0].item()


KINDS: dict[str, type[Operation]] = {"split": Splitting}
