"""A bounded sample of the rows themselves, for what counts cannot tell: examples, worst slices, many columns together.

Of each window the `ROWS` rows with the smallest hash of their identity are kept, which is a simple random sample that
does not depend on how the rows came in: two samples of one window merge into the sample of both, and a row that comes
twice is kept once. Source: bottom-k sketches, Cohen & Kaplan, PODC (2007).

Columns that the monitor redacts are never written. One Parquet file a window, `samples/START-VERSION.parquet`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from backends.entities import Millis
from console.monitoring.feeds.scored import write_atomically

SAMPLES = "samples"
ROWS = 500
"""Kept of a window."""
FILES = 400
"""Windows whose sample is kept; the oldest are let go."""
OWN = "sample."
"""Columns of ours begin with it: `sample.key` (uint64), `sample.id`, `sample.at` (ms), `sample.target` (NaN where
unlabelled), `sample.score0` and so on."""

Vector = np.ndarray[Any, Any]


def keys_of(ids: pd.Series[Any] | None, rows: pd.DataFrame, at: Vector) -> Vector:
    """A hash of each row's identity, shape (n,): of its id, or of its values and time where it has none."""
    if ids is not None:
        named: Vector = pd.util.hash_pandas_object(ids.astype("str"), index=False).to_numpy()
        return named
    found = pd.util.hash_pandas_object(rows.astype("str"), index=False).to_numpy()
    mixed: Vector = found ^ pd.util.hash_array(np.asarray(at, dtype=np.int64))
    return mixed


def keep_sample(
    folder: Path,
    rows: pd.DataFrame,
    *,
    at: Vector,
    start: Millis,
    version: str,
    ids: pd.Series[Any] | None = None,
    scores: Vector | None = None,
    targets: Vector | None = None,
    redact: Sequence[str] = (),
) -> None:
    """Add the rows of one window to its sample. rows: shape (n, columns); at (n,) ms; scores (n,) or (n, classes)."""
    keys = keys_of(ids, rows, at)
    path = folder / SAMPLES / f"{start}-{_plain(version)}.parquet"
    before = None
    if path.is_file():
        with pyarrow.parquet.ParquetFile(path) as parquet:
            known = parquet.read(columns=[f"{OWN}key"]).column(0).to_numpy()
            if len(known) >= ROWS and bool((keys > known.max()).all()):
                return
            before = parquet.read()
    chosen = np.argsort(keys, kind="stable")[:ROWS]
    kept = rows.iloc[chosen].drop(columns=[name for name in redact if name in rows.columns]).reset_index(drop=True)
    kept[f"{OWN}key"] = keys[chosen]
    kept[f"{OWN}at"] = np.asarray(at)[chosen]
    kept[f"{OWN}id"] = "" if ids is None else ids.astype("str").to_numpy()[chosen]
    kept[f"{OWN}target"] = np.nan if targets is None else np.asarray(targets, dtype=np.float64)[chosen]
    if scores is not None:
        table = np.asarray(scores, dtype=np.float64).reshape(len(rows), -1)[chosen]
        for number in range(table.shape[1]):
            kept[f"{OWN}score{number}"] = table[:, number]
    fresh = pa.Table.from_pandas(kept, preserve_index=False)
    write_atomically(_smallest(fresh if before is None else _put_together(before, fresh)), path)
    if before is None:
        _forget(path.parent)


def _put_together(before: pa.Table, fresh: pa.Table) -> pa.Table:
    try:
        return pa.concat_tables([before, fresh], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # a column has another type by now: pandas finds one for both
        both = pd.concat([before.to_pandas(), fresh.to_pandas()], ignore_index=True)
        return pa.Table.from_pandas(both, preserve_index=False)


def _smallest(rows: pa.Table) -> pa.Table:
    """The `ROWS` rows with the smallest keys, of those with one key the last."""
    keys = rows.column(f"{OWN}key").to_numpy()
    _, last = np.unique(keys[::-1], return_index=True)
    return rows.take(pa.array(len(keys) - 1 - last[:ROWS]))


def label_sample(folder: Path, starts: Sequence[Millis], labels: pd.Series[Any]) -> None:
    """Put late labels (id → encoded target) to the sampled rows of these windows."""
    wanted, ids = set(starts), pa.array(labels.index, type=pa.string())
    given = labels.to_numpy(dtype=np.float64)
    for path in _paths(folder):
        if _start(path) not in wanted:
            continue
        with pyarrow.parquet.ParquetFile(path) as parquet:
            rows = parquet.read()
        places = pc.fill_null(pc.index_in(rows.column(f"{OWN}id").cast(ids.type), value_set=ids), -1).to_numpy()
        if (places >= 0).any():
            targets = np.where(places >= 0, given[places], rows.column(f"{OWN}target").to_numpy())
            at = rows.column_names.index(f"{OWN}target")
            write_atomically(rows.set_column(at, f"{OWN}target", pa.array(targets, from_pandas=True)), path)


def read_sample(
    folder: Path, *, since: Millis | None = None, until: Millis | None = None, version: str = "", limit: int = 5000
) -> pd.DataFrame:
    """The sampled rows of windows that start from `since` on and before `until`, at most `limit` of them drawn evenly;
    empty where there are none. With more than one version in it, name one."""
    parts = []
    for path in _paths(folder):
        start = _start(path)
        if (since is not None and start < since) or (until is not None and start >= until):
            continue
        if version and path.stem.split("-", 1)[1] != _plain(version):
            continue
        parts.append(pd.read_parquet(path).assign(**{f"{OWN}start": start}))
    if not parts:
        return pd.DataFrame()
    rows = pd.concat(parts, ignore_index=True)
    return rows if len(rows) <= limit else rows.nsmallest(limit, f"{OWN}key").reset_index(drop=True)


def _paths(folder: Path) -> list[Path]:
    """Oldest window first."""
    found = [path for path in (folder / SAMPLES).glob("*.parquet") if not path.name.startswith(".")]
    return sorted(found, key=_start)


def _start(path: Path) -> Millis:
    return int(path.stem.split("-", 1)[0])


def _plain(version: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]", "_", version)


def _forget(folder: Path) -> None:
    for path in _paths(folder.parent)[:-FILES]:
        path.unlink(missing_ok=True)
