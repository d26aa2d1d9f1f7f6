"""Scored predictions kept by id, one Parquet segment a batch, so that labels can come later. No features are kept."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from console.monitoring.feeds.scored_files import SEGMENTS, ScoredFile, scored_files

WRITTEN = "written"
"""Column of merged files: when each row's own file was written, in ns. No two files have the same."""
PENDING = "pending.parquet"
"""Labels whose prediction has not come yet."""

Vector = np.ndarray[Any, Any]


def segment_path(folder: Path, sha256: str) -> Path:
    return folder / SEGMENTS / f"{sha256}.parquet"


def write_segment(
    path: Path,
    ids: pd.Series[Any],
    scores: np.ndarray[Any, Any],
    targets: Any,
    starts: Any,
    version: str,
    *,
    at: Any,
    members: pd.DataFrame | None = None,
) -> None:
    """Keep the predictions of one batch. ids (n,) text, scores (n,) or (n, classes), targets (n,) NaN where unlabelled,
    starts (n,): start of the window each row was counted in, at (n,): when it happened, in ms;
    members (n, …): its segments and groups."""
    table = scores.reshape(len(scores), -1)
    columns: dict[str, Any] = {"id": ids.to_numpy(), "start": starts, "at": at, "target": targets}
    columns |= {f"score{number}": table[:, number] for number in range(table.shape[1])}
    frame = pd.DataFrame(columns)
    frame["version"] = version
    if members is not None and len(members.columns):
        frame = pd.concat([frame, members.reset_index(drop=True)], axis=1)
    write_atomically(frame[frame["id"].notna()], path)
    now = time.time_ns()
    os.utime(path, ns=(now, now))  # finer than the system's own: it tells which of two predictions with an id is newer


def predictions_of(folder: Path, ids: pa.Array) -> Iterator[tuple[Path, pd.DataFrame, np.ndarray[Any, Any]]]:
    """The newest predictions with these ids (each once): file by file its path, all its rows, and the positions of
    those, shape (n,). Of an id that more than one chunk has, those of the last to be written."""
    newest, held_by = np.full(len(ids), -1, dtype=np.int64), np.full(len(ids), -1, dtype=np.int64)
    found: list[tuple[Path, Vector, Vector, Vector]] = []
    wanted, left = ids, np.arange(len(ids))
    for file in scored_files(folder):
        open_yet = np.flatnonzero(newest < file.modified_ns)  # what is merged may be older than the newest of its file
        if len(open_yet) == 0:
            break
        if len(open_yet) < len(left):
            wanted, left = ids.take(pa.array(open_yet)), open_yet
        rows, places, written = _found_in(file, wanted)
        if len(rows) == 0:
            continue
        which = left[places]
        before = newest.copy()
        np.maximum.at(newest, which, written)
        held_by[newest > before] = len(found)
        found.append((file.path, rows, which, written))
    for number, (path, rows, which, written) in enumerate(found):
        own = rows[(written == newest[which]) & (held_by[which] == number)]
        if len(own):
            yield path, pd.read_parquet(path), own


def _found_in(file: ScoredFile, wanted: pa.Array) -> tuple[Vector, Vector, Vector]:
    """Of the rows of a file that have one of these ids: their positions, the positions of the ids, when each was
    written."""
    with pyarrow.parquet.ParquetFile(file.path) as parquet:  # a tenth of what all columns cost; most have none
        merged = WRITTEN in parquet.schema_arrow.names
        table = parquet.read(columns=["id", *([WRITTEN] if merged else [])])
    places = pc.index_in(table.column("id").cast(wanted.type), value_set=wanted).combine_chunks()
    rows = np.flatnonzero(places.is_valid().to_numpy(zero_copy_only=False))
    spots = places.drop_null().to_numpy()
    written = table.column(WRITTEN).to_numpy()[rows] if merged else np.full(len(rows), file.modified_ns, dtype=np.int64)
    return rows, spots, written


def targets_of(folder: Path) -> pd.DataFrame:
    """The labelled predictions in the order in which they were written: columns id, target, version. Raises
    FileNotFoundError where files were merged meanwhile: who holds the folder's lock never sees it."""
    parts = [pd.DataFrame({"id": pd.Series(dtype="str"), "target": 0.0, "version": pd.Series(dtype="str"), WRITTEN: 0})]
    for file in reversed(scored_files(folder)):
        with pyarrow.parquet.ParquetFile(file.path) as parquet:
            names = [name for name in parts[0] if name in parquet.schema_arrow.names]
            part = parquet.read(columns=names).replace_schema_metadata(None).to_pandas()
        if WRITTEN not in part:
            part[WRITTEN] = file.modified_ns
        parts.append(part[part["target"].notna()])
    found = pd.concat(parts).sort_values(WRITTEN, kind="stable", ignore_index=True)
    return found.drop(columns=WRITTEN)


def scores_in(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The scores of a segment's rows, shape (n,) or (n, classes)."""
    names = [name for name in frame.columns if name.startswith("score")]
    table: np.ndarray[Any, Any] = frame[names].to_numpy(dtype=np.float64)
    return table[:, 0] if len(names) == 1 else table


def write_atomically(rows: pd.DataFrame | pa.Table, path: Path, *, keep_time: bool = False) -> None:
    """All of it or the old one: a temporary name beside it, then a rename. keep_time: the time of the one before."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.tmp")
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
    pyarrow.parquet.write_table(table, fresh)
    if keep_time and path.exists():
        shutil.copystat(path, fresh)
    fresh.replace(path)


def read_pending(folder: Path) -> pd.DataFrame:
    """Labels without a prediction yet: columns id, label (text)."""
    path = folder / PENDING
    return (
        pd.read_parquet(path)
        if path.is_file()
        else pd.DataFrame({"id": pd.Series(dtype="str"), "label": pd.Series(dtype="str")})
    )
