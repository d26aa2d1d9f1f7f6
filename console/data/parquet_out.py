"""A Parquet file in the making: written by row groups of bounded size, with its content's digest and null counts."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from console.data.digest import ContentDigest

ROW_GROUP_ROWS = 1 << 16
ROW_GROUP_BYTES = 48 << 20
"""A row group is written when either is reached: both bound memory and make reading by page quick."""


class ParquetOut:
    """A version's Parquet file in the making, with its digest and null counts: `add` batches of `schema`, then
    `finish`; after `abandon` without it nothing is left."""

    def __init__(self, path: Path, schema: Any) -> None:
        import pyarrow.parquet as pq

        self.path = path
        self.schema = schema
        self.digest = ContentDigest(schema)
        self.nulls = dict.fromkeys(schema.names, 0)
        self._writer: Any = pq.ParquetWriter(path, schema, compression="zstd", compression_level=3, version="2.6")
        self._waiting: list[Any] = []
        self._waiting_rows = self._waiting_bytes = 0

    def add(self, batch: Any) -> None:
        self.digest.add(batch)
        for name, array in zip(self.schema.names, batch.columns, strict=True):
            self.nulls[name] += array.null_count
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= ROW_GROUP_ROWS or self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._writer.close()
        self._writer = None
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def abandon(self) -> None:
        """Let go of the file; without a `finish` before, it is not a readable one."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
            self.path.unlink(missing_ok=True)
        self._waiting = []

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting), row_group_size=self._waiting_rows)
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
