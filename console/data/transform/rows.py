"""Rows on their way through the steps, and the columns that they have at each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backends.entities import Column
from console.data.inference import column_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array = Any
"""A pyarrow Array."""


class Rows:
    """Some rows: columns by name, all of `count` values, in order. Never changed, only replaced."""

    __slots__ = ("columns", "count")

    def __init__(self, columns: dict[str, Array], count: int) -> None:
        self.columns = columns
        self.count = count

    @classmethod
    def of(cls, batch: Any) -> Rows:
        return cls(dict(zip(batch.schema.names, batch.columns, strict=True)), batch.num_rows)

    def batch(self, names: Iterable[str] | None = None) -> Any:
        chosen = list(self.columns) if names is None else list(names)
        if not chosen:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * self.count, pa.struct([])))
        return pa.RecordBatch.from_arrays([self.columns[name] for name in chosen], chosen)

    def with_(self, columns: Mapping[str, Array]) -> Rows:
        """These columns in the place of those of the same name, new ones at the end."""
        return Rows({**self.columns, **columns}, self.count)

    def filter(self, keep: NDArray[np.bool_]) -> Rows:
        kept = int(np.count_nonzero(keep))
        if kept == self.count:
            return self
        if kept == 0 or not self.columns:
            return Rows({name: array[:0] for name, array in self.columns.items()}, kept)
        return Rows.of(self.batch().filter(pa.array(keep)))

    def take(self, places: NDArray[np.int64]) -> Rows:
        if not self.columns:
            return Rows({}, len(places))
        return Rows.of(self.batch().take(pa.array(places)))


class Flow(NamedTuple):
    """Which rows these are."""

    part: str = ""
    """Of the split; empty where there is none."""
    training: bool = False
    """Steps learn from them. Never of later data."""
    later: bool = False
    """They came after the fitting: test data of another day, production."""


class Schema:
    """The columns at some point between the steps.

    `absent` are those of them that the rows at hand lack: True where they may (a label, or what is made from one).
    `open`: further columns come here that are not known before an earlier step is fitted.
    """

    def __init__(
        self,
        types: Mapping[str, Any],
        absent: Mapping[str, bool] | None = None,
        *,
        open: bool = False,  # noqa: A002
    ) -> None:
        self.types = dict(types)
        self.absent = {name: may for name, may in (absent or {}).items() if name in self.types}
        self.open = open

    @property
    def present(self) -> dict[str, Any]:
        return {name: kind for name, kind in self.types.items() if name not in self.absent}

    def columns(self) -> list[Column]:
        return [Column(name=name, type=column_type(kind)) for name, kind in self.types.items()]

    def replaced(self, types: Mapping[str, Any], absent: Mapping[str, bool] | None = None) -> Schema:
        return Schema(types, self.absent if absent is None else absent, open=self.open)

    def with_(self, types: Mapping[str, Any], absent: Iterable[str] = ()) -> Schema:
        """These columns in the place of those of the same name, new ones at the end."""
        gone = {name: may for name, may in self.absent.items() if name not in types} | dict.fromkeys(absent, True)
        return Schema({**self.types, **types}, gone, open=self.open)


def floats(array: Array) -> NDArray[np.float64]:
    """shape (present,): the values that are there, as float64."""
    if array.null_count:
        array = array.drop_null()
    numbers = pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(numbers[~np.isnan(numbers)] if np.isnan(numbers).any() else numbers)


def as_floats(array: Array) -> Array:
    """As float64; large whole numbers lose their last digits."""
    if array.type == pa.float64():
        return array
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.int8())
    return pc.cast(array, pa.float64(), safe=False)


def no_nan(array: Array) -> Array:
    """NaN as missing: stored versions know only one of the two."""
    if not pa.types.is_floating(array.type):
        return array
    found = pc.is_nan(array)
    return pc.if_else(found, pa.scalar(None, array.type), array) if pc.any(found).as_py() else array
