"""Scored predictions kept by id, one Parquet segment a batch, so that labels can come later. No features are kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SEGMENTS = "scored"
PENDING = "pending.parquet"
"""Labels whose prediction has not come yet."""


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


def scores_in(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The scores of a segment's rows, shape (n,) or (n, classes)."""
    names = [name for name in frame.columns if name.startswith("score")]
    table: np.ndarray[Any, Any] = frame[names].to_numpy(dtype=np.float64)
    return table[:, 0] if len(names) == 1 else table


def write_atomically(frame: pd.DataFrame, path: Path, *, keep_time: bool = False) -> None:
    """All of it or the old one: a temporary name beside it, then a rename. keep_time: the time of the one before."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.tmp")
    frame.to_parquet(fresh, index=False)
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
