"""The canonical content digest of a table: the same values under the same schema give the same digest, however they
came.

Layout, version 1. Each column has up to three running sha256 streams over its rows in order, so that where a batch ends
does not matter:

    validity   one byte a row: 1 present, 0 missing
    values     fixed width, little-endian, missing as zero: int64, float64 (IEEE 754), int64 microseconds since the
               epoch (timestamps; nanoseconds where the type says so), int32 days (dates), one byte (booleans)
    lengths    for text, bytes and everything else (as JSON text): int64 bytes a row, missing as zero; and `values`
               holds the bytes end to end

The digest is the sha256 of the UTF-8 JSON array `["mlops-console content 1", rows, [[name, type, validity, values,
lengths], …]]` without spaces, with columns in their order and the stream digests in hex ("" where a stream is not
used).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

NAME = "mlops-console content 1"


class _ColumnStreams:
    def __init__(self) -> None:
        self.validity = hashlib.sha256()
        self.values = hashlib.sha256()
        self.lengths: hashlib._Hash | None = None

    def add(self, array: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        if array.null_count:
            self.validity.update(pc.cast(pc.is_valid(array), pa.uint8()).to_numpy(zero_copy_only=False))
        else:
            self.validity.update(b"\x01" * len(array))
        kind = array.type
        if pa.types.is_boolean(kind):
            self._fixed(pc.cast(array, pa.uint8()), 0)
        elif pa.types.is_integer(kind):
            self._fixed(pc.cast(array, pa.int64()), 0)
        elif pa.types.is_floating(kind):
            self._fixed(pc.cast(array, pa.float64()), 0.0)
        elif pa.types.is_timestamp(kind):
            self._fixed(array.cast(pa.int64()), 0)
        elif pa.types.is_date32(kind):
            self._fixed(array.cast(pa.int32()), 0)
        elif pa.types.is_string(kind) or pa.types.is_binary(kind):
            self._varying(array)
        else:
            self._varying(pa.array(
                [None if value is None else json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)
                 for value in array.to_pylist()], pa.string(),
            ))  # fmt: skip

    def _fixed(self, array: Any, zero: float) -> None:
        import numpy as np
        import pyarrow.compute as pc

        filled = pc.fill_null(array, zero) if array.null_count else array
        numbers = filled.to_numpy(zero_copy_only=False)
        self.values.update(np.ascontiguousarray(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)).data)

    def _varying(self, array: Any) -> None:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.lengths is None:
            self.lengths = hashlib.sha256()
        if array.null_count:  # a null's slot may still span bytes
            array = pc.fill_null(array, "" if pa.types.is_string(array.type) else b"")
        offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4) if len(array) else None
        if offsets is None:
            return
        self.lengths.update(np.diff(offsets).astype("<i8").data)
        data = array.buffers()[2]
        if data is not None:
            self.values.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])

    def hexes(self) -> list[str]:
        return [self.validity.hexdigest(), self.values.hexdigest(), self.lengths.hexdigest() if self.lengths else ""]


class ContentDigest:
    """Feed batches of one schema in order, then ask for the digest."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._rows = 0
        self._columns = [_ColumnStreams() for _ in schema]

    def add(self, batch: Any) -> None:
        """`batch` is a pyarrow RecordBatch with the schema given at the start."""
        self._rows += batch.num_rows
        for streams, array in zip(self._columns, batch.columns, strict=True):
            streams.add(array)

    def hexdigest(self) -> str:
        columns = [
            [field.name, str(field.type), *streams.hexes()]
            for field, streams in zip(self._schema, self._columns, strict=True)
        ]
        text = json.dumps([NAME, self._rows, columns], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
