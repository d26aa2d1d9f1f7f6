"""Many small files of scored rows made into few: sixteen of one size become one of the next, and what a day has left is
one once it is over.

A merged file holds the rows of one version, of one day by when they were written, each with when its own file was: so
late labels find the newest prediction of an id as if nothing had been merged. It has its name once it is whole on the
disk, and from then on what it replaces is read by nobody (`scored_files`); a process that dies before leaves all as it
was, and one that dies after leaves files that the next merge removes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from console.monitoring.counted.ranked import QUERY
from console.monitoring.feeds.scored import WRITTEN
from console.monitoring.feeds.scored_files import (
    MERGED,
    PREFIX,
    SEGMENTS,
    Replaced,
    ScoredFile,
    beside,
    clear_replaced,
    replaced_by,
    scored_files,
)

SIZES = (32 << 10, 512 << 10, 4 << 20)
"""Bytes: a file is of the first size that it is under. The largest stay as they are, because a label that comes late
writes its file anew."""
EVERY, FEWEST = 16, 8
"""Each so many small files it is looked whether so many are of one size, version and day: some may be alone of their
kind."""
DAY_NS = 86_400 * 10**9

log = logging.getLogger("scorer")


def merge_if_many(folder: Path, added: int) -> int:
    """Merge where the files that were added make another `EVERY` of the small ones; how many files became fewer. The
    caller holds the lock of the folder, with no chunk in hand: its next try would write a file of its own again."""
    if not added or sum(each.size < SIZES[-1] for each in scored_files(folder)) % EVERY >= added:
        return 0
    return merge_scored(folder)


def merge_scored(folder: Path) -> int:
    """Merge what is of one size, version and day; how many files became fewer. The caller holds the lock, as above."""
    clear_replaced(folder)
    today = time.time_ns() // DAY_NS
    likes: dict[tuple[int, int], list[ScoredFile]] = defaultdict(list)
    for file in scored_files(folder):
        size = next((number for number, least in enumerate(SIZES) if file.size < least), None)
        if size is not None:
            day = file.modified_ns // DAY_NS
            likes[day, size if day == today else -1].append(file)
    gone = 0
    for (_, size), files in likes.items():
        fewest = FEWEST if size >= 0 else 2
        if len(files) >= fewest:
            kinds: dict[str, list[ScoredFile]] = defaultdict(list)
            for file in reversed(files):  # the oldest first
                kinds[_kind(file)].append(file)
            for kind, own in kinds.items():
                if kind and len(own) >= fewest:
                    gone += len(own) - 1
                    _merge(folder / SEGMENTS, kind, own)
    return gone


def _kind(file: ScoredFile) -> str:
    """What files have in common that may be merged: the version, and what is kept of each row."""
    if file.is_merged:
        return file.path.name.removeprefix(MERGED).partition("-")[0]
    try:
        with pyarrow.parquet.ParquetFile(file.path) as parquet:
            version = parquet.read(columns=["version"]).column(0)
            names = sorted(parquet.schema_arrow.names)
    except (pa.ArrowInvalid, OSError) as error:
        log.warning("the scored rows %s cannot be read: %s; they stay as they are", file.path.name, error)
        return ""
    told = str(version[0].as_py()) if len(version) else ""
    return hashlib.sha256("\n".join([told, *names]).encode()).hexdigest()[:12]


def _merge(folder: Path, kind: str, files: Sequence[ScoredFile]) -> None:
    """One file of many, the oldest first."""
    tables = []
    last = 0
    for file in files:
        with pyarrow.parquet.ParquetFile(file.path) as parquet:
            table = parquet.read().replace_schema_metadata(None)
        if not file.is_merged:
            last = max(last + 1, file.modified_ns)  # of two with one time, the later name counts as the newer
            table = _dated(table, last)
        tables.append(table)
    whole = pa.concat_tables(tables, promote_options="permissive")
    names = "\n".join(f"{file.path.name} {file.modified_ns}" for file in files)
    path = folder / f"{MERGED}{kind}-{hashlib.sha256(names.encode()).hexdigest()[:16]}.parquet"
    replaced = Replaced(
        files={file.path.name: file.modified_ns for file in files},
        chunks=tuple(
            chunk
            for file in files
            for chunk in (replaced_by(file.path).chunks if file.is_merged else (file.path.name[:PREFIX],))
        ),
    )
    fresh = folder / f".{MERGED}tmp"
    pyarrow.parquet.write_table(whole, fresh)
    newest = max(last, files[-1].modified_ns)
    os.utime(fresh, ns=(newest, newest))
    _to_disk(fresh)
    note = folder / f".{MERGED}json.tmp"
    note.write_bytes(msgspec.json.encode(replaced))
    _to_disk(note)
    note.replace(beside(path))
    fresh.replace(path)
    _to_disk(folder)
    for file in files:
        file.path.unlink()
        if file.is_merged:
            beside(file.path).unlink()


def _dated(table: pa.Table, written: int) -> pa.Table:
    """The rows of a chunk as they stand among others: with when they were written, and queries that are its own."""
    if QUERY in table.column_names:
        own = pc.binary_join_element_wise(str(written), table.column(QUERY).cast(pa.string()), ":")
        table = table.set_column(table.column_names.index(QUERY), QUERY, own)
    return table.append_column(WRITTEN, pa.array([written] * len(table), type=pa.int64()))


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
