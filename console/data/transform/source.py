"""The rows of a dataset version as batches of one size, in the columns that a plan was made for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from backends.contract import DatasetStore, Invalid
from backends.entities import DatasetVersion
from console.data.inference import column_type
from console.data.stored import stored_file
from console.data.transform.rows import Rows, Schema

CHUNK = 1 << 16
"""Rows at a time. What is learned adds up batch by batch: with one size it does not hang on how a file was written."""
SAMPLED_GROUPS = 8


class Source:
    """A version, read as often as it takes. `wanted` are the types that a fitted transform knows; without, its own."""

    def __init__(
        self,
        datasets: DatasetStore,
        version: DatasetVersion,
        wanted: Mapping[str, Any] | None = None,
        labels: Collection[str] = (),
        fitted: str = "",
    ) -> None:
        self._datasets = datasets
        self.version = version
        with self.open() as file:
            found = {field.name: field.type for field in file.schema_arrow}
        self._found = found
        self.notes: list[str] = []
        if wanted is None:
            unlabelled = [name for name in labels if name not in found]
            self.schema = Schema(found)
            if unlabelled:
                self.notes.append(f"labels names {', '.join(unlabelled)}, which {version.ref} does not have")
            return
        missing = {column.name: column.nulls == version.rows for column in version.columns}
        for name, kind in wanted.items():
            if name in found and not missing.get(name) and not _fits(found[name], kind):
                was, now = (column_type(each) for each in (kind, found[name]))
                raise Invalid(
                    f"{name!r} was {was} ({kind}) when {fitted} was fitted, and is {now} ({found[name]}) in "
                    f"{version.ref}. Bring it as {was}, or fit the transform anew on data that has it so.",
                    "ref",
                )
        absent = {name: name in labels for name in wanted if name not in found}
        further = [name for name in found if name not in wanted]
        if absent:
            self.notes.append(f"{version.ref} has no {', '.join(absent)}; nor has what was made of it")
        if further:
            self.notes.append(f"{version.ref} has {', '.join(further)} besides, which {fitted} does not know: left out")
        self.schema = Schema(wanted, absent)

    def open(self) -> AbstractContextManager[Any]:
        return stored_file(self._datasets, self.version)

    def batches(self, names: Collection[str]) -> Iterator[Rows]:
        """Of `CHUNK` rows each, but the last."""
        chosen = [name for name in self.schema.present if name in names]
        with self.open() as file:
            # a row counts even where no column of it is wanted: one narrow column is read for that
            read = chosen or [file.schema_arrow.names[0]]
            raw = file.iter_batches(batch_size=CHUNK, columns=read, use_threads=False)
            for batch in even(raw):
                yield self._typed(batch, chosen)

    def sample(self, rows: int) -> Iterator[Rows]:
        """About so many rows, from row groups over the whole file."""
        names = list(self.schema.present)
        with self.open() as file:
            groups = file.num_row_groups
            picked = sorted({at * groups // SAMPLED_GROUPS for at in range(SAMPLED_GROUPS)}) if groups else []
            each = -(-rows // max(len(picked), 1))
            for group in picked:
                left = each
                for batch in file.iter_batches(
                    batch_size=min(each, CHUNK), row_groups=[group], columns=names, use_threads=False
                ):
                    yield self._typed(batch[:left], names)
                    left -= batch.num_rows
                    if left <= 0:
                        break

    def _typed(self, batch: Any, names: Iterable[str]) -> Rows:
        return Rows({name: self._cast(batch.column(name), name) for name in names}, batch.num_rows)

    def _cast(self, array: Any, name: str) -> Any:
        kind = self.schema.types[name]
        if array.type == kind:
            return array
        if array.null_count == len(array):
            return pa.nulls(len(array), kind)
        try:
            return pc.cast(array, kind)
        except pa.ArrowInvalid as error:
            raise Invalid(f"{name!r} of {self.version.ref} does not fit {kind}: {error}.", "ref") from None


def even(batches: Iterable[Any], size: int = CHUNK) -> Iterator[Any]:
    """The same rows in batches of `size`, but the last."""
    waiting: list[Any] = []
    count = 0
    for batch in batches:
        if not waiting and batch.num_rows == size:
            yield batch
            continue
        waiting.append(batch)
        count += batch.num_rows
        while count >= size:
            whole = pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]
            yield whole[:size]
            waiting, count = ([whole[size:]], count - size) if count > size else ([], 0)
    if count:
        yield pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]


def _fits(found: Any, wanted: Any) -> bool:
    """Whether values come over without losing anything."""
    if found == wanted:
        return True
    if pa.types.is_integer(found) and pa.types.is_floating(wanted):
        return True
    return pa.types.is_timestamp(found) and pa.types.is_timestamp(wanted) and bool(found.tz) == bool(wanted.tz)
