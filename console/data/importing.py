"""A file becomes an immutable dataset version: streamed, typed over its whole length, digested, stored as Parquet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backends.contract import DatasetStore, Invalid, Mutation
from backends.entities import Column, DatasetVersion, Progress
from console.data.digest import ContentDigest
from console.data.inference import Guess, column_type
from console.data.sources import Reader, open_reader
from console.data.stream import file_format, plain_os_error, require_file

ROW_GROUP_ROWS = 1 << 17
ROW_GROUP_BYTES = 48 << 20
"""A row group is written when either is reached: both bound memory and make reading by page quick."""
TELL_EVERY_S = 0.25
LOCK = "lock"
UNLOCKED_S = 60.0
"""A folder without a lock was left by a process that died as soon as it had made it, if it is older than this."""


def import_file(
    datasets: DatasetStore,
    path: Path,
    name: str,
    mutation: Mutation,
    *,
    format: str | None = None,  # noqa: A002
    progress: Callable[[Progress], None] | None = None,
    note: str = "",
    parent: str = "",
    staging: Path | None = None,
) -> tuple[DatasetVersion, bool]:
    """Import CSV, TSV, JSON lines or Parquet (each may be gzipped) as the next version of dataset `name`.

    The same content as an existing version gives that version and False. Memory is bounded whatever the file's size.
    Invalid, NotFound or Refused say what is wrong with the file and where; then, and when interrupted, nothing is kept.
    """
    path = Path(path).expanduser()
    require_file(path)
    kind = file_format(path, format)
    with own_folder(staging or Path(tempfile.gettempdir())) as folder:
        try:
            reader = open_reader(path, kind, folder)
            parquet, digest, rows, columns = _convert(reader, path, folder, _Teller(progress, path.stat().st_size))
            return datasets.add(
                name,
                parquet,
                digest=digest,
                rows=rows,
                columns=columns,
                source=str(path.absolute()),
                mutation=mutation,
                parent=parent,
                note=note,
            )
        except OSError as error:
            raise plain_os_error(error, path) from error


@contextlib.contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """A folder of our own under `parent`, gone afterwards; what imports that were killed left there goes too.

    Whoever works in a folder holds its lock. The number of a process would not do: a killed one that nobody has
    reaped still has it, and so may another one later.
    """
    for old in parent.glob("import-*"):
        if _left_over(old):
            shutil.rmtree(old, ignore_errors=True)
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="import-", dir=parent))
    except OSError as error:
        raise plain_os_error(error, parent) from error
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _left_over(folder: Path) -> bool:
    try:
        found = folder.stat()
        if not folder.is_dir() or found.st_uid != os.getuid():
            return False
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # the lock is the first thing that is made in it
        return folder.exists() and time.time() - found.st_mtime > UNLOCKED_S
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


class _Teller:
    """Says how far the reading is, at most four times a second."""

    def __init__(self, progress: Callable[[Progress], None] | None, size: int) -> None:
        self._progress = progress
        self._size = max(size, 1)
        self._stage = ""
        self._began = self._told = 0.0
        self._done = 0

    def begin(self, stage: str) -> None:
        self._stage, self._began, self._told, self._done = stage, time.monotonic(), 0.0, 0

    def advanced(self, done: int) -> None:
        """Bytes of the file consumed so far. Called from the thread that reads ahead, so it only takes note."""
        self._done = done

    def say(self) -> None:
        done, now = self._done, time.monotonic()
        if self._progress is None or now - self._told < TELL_EVERY_S:
            return
        self._told = now
        per_second = done / max(now - self._began, 1e-3)
        fraction = min(done / self._size, 1.0)
        self._progress(
            Progress(
                at=int(time.time() * 1000),
                fraction=fraction,
                stage=self._stage,
                rate=f"{per_second / 1e6:.1f} MB/s",
                eta_s=(self._size - done) / per_second if per_second else None,
            )
        )


class _Columns:
    """The guesses of all columns seen so far, in order of first appearance."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.guesses: dict[str, Guess] = {}

    def observe(self, batch: Any) -> None:
        for field, array in zip(batch.schema, batch.columns, strict=True):
            if field.name not in self.guesses:
                self.guesses[field.name] = self._reader.guess(field)
            self.guesses[field.name].observe(array)

    def schema(self) -> Any:
        import pyarrow as pa

        return pa.schema([(name, guess.arrow_type) for name, guess in self.guesses.items()])

    def convert(self, batch: Any, schema: Any) -> Any:
        import pyarrow as pa

        at = {name: index for index, name in enumerate(batch.schema.names)}
        arrays = [
            self.guesses[name].convert(batch.column(at[name]))
            if name in at
            else pa.nulls(batch.num_rows, schema.field(name).type)
            for name in schema.names
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _convert(reader: Reader, path: Path, staging: Path, tell: _Teller) -> tuple[Path, str, int, tuple[Column, ...]]:
    """Write while the types hold; where a later row widens one, read on to learn them all, then write in a second
    reading."""
    columns = _Columns(reader)
    tell.begin("reading")
    out: ParquetOut | None = None
    widened = False
    rows = 0
    try:
        for batch in reader.batches(tell.advanced):
            tell.say()
            rows += batch.num_rows
            columns.observe(batch)
            if widened:
                continue
            schema = columns.schema()
            if out is None:
                out = ParquetOut(staging / "first.parquet", schema)
            elif schema != out.schema:
                widened = True
                out.abandon()
                tell.begin("reading to the end: a column's type widened")
                continue
            out.add(columns.convert(batch, schema))
        if out is None or not rows:
            raise Invalid(f"{path.name} has a header but no row under it.", "rows")
        if widened:
            tell.begin("reading again with the widened types")
            out = ParquetOut(staging / "second.parquet", columns.schema())
            again = 0
            for batch in reader.batches(tell.advanced):
                tell.say()
                again += batch.num_rows
                out.add(columns.convert(batch, out.schema))
            if again != rows:
                raise Invalid(
                    f"{path.name} changed while it was read ({rows} rows, then {again}); import it again.", "path"
                )
        out.finish()
    finally:
        if out is not None:
            out.abandon()
    described = tuple(
        Column(
            name=name, type=column_type(guess.arrow_type), nulls=out.nulls[name], note=guess.note or _type_note(guess)
        )
        for name, guess in columns.guesses.items()
    )
    return out.path, out.digest.hexdigest(), rows, described


def _type_note(guess: Guess) -> str:
    return str(guess.arrow_type) if column_type(guess.arrow_type) == "other" else ""


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
