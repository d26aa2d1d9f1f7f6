"""A batch of rows as the checks look at it: what several of them need of a column is worked out once.

Texts of few values arrive dictionary-encoded; a check then looks at each value once, not at each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from console.data.checks.hashing import MISSING, fold, hash_numbers, hash_texts
from console.data.rows import plain

NEAR = 4096
"""Whole numbers that span less are coded by their distance from the least, without sorting."""


class Rows:
    """`batch` is a pyarrow RecordBatch; `first` the number of its first row in the version, from 0."""

    def __init__(self, batch: Any, first: int) -> None:
        self.batch = batch
        self.first = first
        self._known: dict[tuple[str, str], Any] = {}
        self._arrays = dict(zip(batch.schema.names, batch.columns, strict=True))

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def array(self, name: str) -> Any:
        return self._arrays[name]

    def kind(self, name: str) -> str:
        """`number`, `time`, `text` or `other`."""
        return kind_of(self.array(name).type)

    def missing(self, name: str) -> Any:
        """Which values are null or NaN, as booleans; None where none is."""
        return self._once("missing", name, _missing)

    def numbers(self, name: str) -> Any:
        """int64 or float64; times as int64 microseconds since the epoch. NaN stands for missing among floats, 0 among
        others."""
        return self._once("numbers", name, numbers)

    def span(self, name: str) -> tuple[float, float] | None:
        """Least and greatest of what is there."""
        return self._once("span", name, lambda _: _span(self.numbers(name), self.missing(name)))  # type: ignore[no-any-return]

    def texts(self, name: str) -> tuple[Any, Any]:
        """(values as a string array, index of each row's value or None where row and value are one)."""
        return self._once("texts", name, texts)  # type: ignore[no-any-return]

    def hashes(self, names: Sequence[str]) -> Any:
        """uint64 a row over these columns, in this order."""
        key = ("hashes", "\0".join(names))
        if key not in self._known:
            each = [self._once("hash", name, lambda _, name=name: self._hash(name)) for name in names]
            self._known[key] = fold(*each) if len(each) > 1 else each[0]
        return self._known[key]

    def codes(self, name: str) -> tuple[list[str], Any]:
        """(the different values as texts, index of each row's value; -1 where it is missing)."""
        import numpy as np

        if self.kind(name) in ("number", "time"):
            values, at = _coded(self.numbers(name))
            words = [shown(value.item()) for value in values]
            if self.array(name).type == "bool":
                words = [("false", "true")[int(value)] for value in values]
        else:
            values, at = self.texts(name)
            if at is None:
                encoded = values.dictionary_encode()
                values, at = encoded.dictionary, encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
            words = values.to_pylist()
        missing = self.missing(name)
        return words, at if missing is None else np.where(missing, -1, at)

    def value(self, name: str, at: int) -> str:
        """One value as text, raw."""
        return shown(self.array(name)[at].as_py())

    def _hash(self, name: str) -> Any:
        import numpy as np

        if self.kind(name) in ("number", "time"):
            found = hash_numbers(self.numbers(name))
        else:
            values, at = self.texts(name)
            found = hash_texts(_filled(values))
            if at is not None:
                found = found[at] if len(found) else np.zeros(len(self), np.uint64)
        missing = self.missing(name)
        return found if missing is None else np.where(missing, np.uint64(MISSING), found)

    def _once(self, what: str, name: str, make: Any) -> Any:
        key = (what, name)
        if key not in self._known:
            self._known[key] = make(self.array(name))
        return self._known[key]


def kind_of(arrow_type: Any) -> str:
    """`number`, `time`, `text` or `other`."""
    import pyarrow.types as pt

    if pt.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    if pt.is_integer(arrow_type) or pt.is_floating(arrow_type) or pt.is_boolean(arrow_type):
        return "number"
    if pt.is_decimal(arrow_type):
        return "number"
    if pt.is_timestamp(arrow_type) or pt.is_date(arrow_type):
        return "time"
    return "text" if pt.is_string(arrow_type) or pt.is_large_string(arrow_type) else "other"


def numbers(array: Any) -> Any:
    """As `Rows.numbers`, of any pyarrow array or chunked array of numbers or times."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_floating(kind):
        return array.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    if pa.types.is_decimal(kind):
        return array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if pa.types.is_timestamp(kind):
        if kind.unit != "us":
            array = array.cast(pa.timestamp("us", kind.tz), safe=False)
        array = array.cast(pa.int64())
    elif pa.types.is_date(kind):
        array = pc.multiply(array.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()), 86_400_000_000)
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif pa.types.is_uint64(kind):
        array = array.cast(pa.float64())
    if array.null_count:
        array = pc.fill_null(array, 0)
    return array.to_numpy(zero_copy_only=False).astype(
        np.int64 if array.type != pa.float64() else np.float64, copy=False
    )


def texts(array: Any) -> tuple[Any, Any]:
    """As `Rows.texts`; what is neither text nor number is told by its JSON text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        indices = array.indices
        if indices.null_count:
            indices = pc.fill_null(indices, 0)
        values = array.dictionary
        if not len(values):  # nothing but missing values: they need something to point at
            values = pa.array([""], values.type)
        return values, indices.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array, None
    return pa.array([shown(value) for value in array.to_pylist()], pa.string()), None


def shown(value: Any) -> str:
    """A value as a person reads it, raw: whoever shows it makes it safe."""
    found = plain(value)
    if found is None:
        return "missing"
    if isinstance(found, str):
        return found
    if isinstance(found, float) and found.is_integer() and abs(found) < 1e15:
        return str(int(found))
    return str(found) if isinstance(found, int | float | bool) else msgspec.json.encode(found).decode()


def _filled(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return pc.fill_null(values, "") if values.null_count else values


def _coded(values: Any) -> tuple[Any, Any]:
    """As `np.unique` with its inverse; values that may not occur are among them where whole numbers lie close."""
    import numpy as np

    if values.dtype.kind == "i" and len(values):
        low, high = int(values.min()), int(values.max())
        if high - low < NEAR:
            return np.arange(low, high + 1), values - low
    return np.unique(values, return_inverse=True)


def _missing(array: Any) -> Any:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(array.type):
        found = np.isnan(array.to_numpy(zero_copy_only=False))
        return found if found.any() else None
    if not array.null_count:
        return None
    return pc.is_null(array).to_numpy(zero_copy_only=False)


def _span(values: Any, missing: Any) -> tuple[float, float] | None:
    import numpy as np

    if missing is not None:
        if values.dtype.kind == "f":
            if missing.all():
                return None
            return float(np.nanmin(values)), float(np.nanmax(values))
        values = values[~missing]
    return (values.min().item(), values.max().item()) if len(values) else None
