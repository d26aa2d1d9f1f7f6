"""Labels that come after the prediction, in any order: found by id, and the window's counts put right."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from backends.contract import Backend, Invalid
from backends.entities import Millis, Monitor, Window
from console.monitoring.batch import read_batch, times_of
from console.monitoring.champion import Champion, read_profile
from console.monitoring.chunk import Chunk, whole_file
from console.monitoring.counting import Vector, add_scores, as_text, count_answers, encode_labels
from console.monitoring.counts import layout_of, unpack
from console.monitoring.folder import BatchRecord, locked, monitor_folder
from console.monitoring.lag import added, lags_of, with_lags
from console.monitoring.profile import Profile
from console.monitoring.scored import PENDING, SEGMENTS, read_pending, scores_in, write_atomically
from console.monitoring.spots import newest_of
from console.monitoring.windows import relabelled

if TYPE_CHECKING:
    import pyarrow as pa


_Change = tuple[Vector, Vector, dict[int, int]]
"""What labels add to the cells of scores and labels, to the sums, and to the lags of a window."""


def is_label_file(frame: pd.DataFrame, monitor: Monitor, features: Sequence[str]) -> bool:
    """Whether a batch holds ids and labels and no column of the model."""
    named = bool(monitor.id_column and monitor.label_column)
    return (
        named
        and {monitor.id_column, monitor.label_column} <= set(frame.columns)
        and not set(features) & set(frame.columns)
    )


def ingest_labels(backend: Backend, monitor: str, file: Path, champion: Champion) -> BatchRecord:
    """Take a file of ids and labels, whatever else it holds. Raises Invalid when the monitor or the file has no such
    columns."""
    from console.monitoring.ingest import ingest_held

    definition: Monitor = backend.need("monitors").get(monitor)
    if not (definition.id_column and definition.label_column):
        raise Invalid(
            f"monitor {monitor} has no id column or no label column, so labels cannot be joined; set both", "id_column"
        )
    frame = read_batch(file)
    absent = [name for name in (definition.id_column, definition.label_column) if name not in frame.columns]
    if absent:
        raise Invalid(f"{file.name} has no column {', '.join(absent)}; labels need the id and the label", "file")
    with locked(monitor_folder(backend, definition.name)):
        return ingest_held(backend, monitor, whole_file(file, labels=True), champion=champion)


def apply_labels(
    backend: Backend, monitor: Monitor, folder: Path, frame: pd.DataFrame, chunk: Chunk, champion: Champion
) -> BatchRecord:
    """Put labels to the predictions with their ids; a label that differs from an earlier one corrects it. They came
    when the chunk did, or at the times of the monitor's time column where they have it.

    Labels without a prediction wait for it. All windows are written before any segment, so that a crash between them is
    completed by the next try: a window refuses the same file twice.
    """
    store = backend.need("monitors")
    ids = pd.Series(as_text(frame[monitor.id_column]).to_pandas()).astype("object")
    text = pd.Series(as_text(frame[monitor.label_column]).to_pandas()).astype("object")
    labels = pd.Series(text.to_numpy(), index=ids.to_numpy())
    came = pd.Series(_came(frame, monitor, chunk), index=labels.index)
    kept = (labels.index.notna() & labels.notna()).to_numpy()
    labels, came = labels[kept], came[kept]
    newest = ~labels.index.duplicated(keep="last")
    labels, came = labels[newest], came[newest]
    missing = set(labels.index)
    profiles = {champion.version.version: champion.profile}
    places = _Places(backend, monitor)
    changes: dict[tuple[str, Millis], list[_Change]] = defaultdict(list)
    rewritten: list[tuple[Path, pd.DataFrame]] = []
    segments = sorted((folder / SEGMENTS).glob("*.parquet"), key=lambda path: -path.stat().st_mtime_ns)
    matched = 0
    for path in segments:
        if not missing:
            break
        segment = pd.read_parquet(path)
        hit = segment["id"].isin(labels.index)
        if not hit.any():
            continue
        missing -= set(segment.loc[hit, "id"])
        version = str(segment["version"].iloc[0])
        if version not in profiles:
            profiles[version] = read_profile(backend, backend.need("registry").version(monitor.model, version))
        profile = profiles[version]
        named = labels.reindex(segment.loc[hit, "id"]).reset_index(drop=True)
        fresh = encode_labels(named, profile.task, profile.positive, profile.classes)
        old = segment.loc[hit, "target"].to_numpy()
        differs = ~np.isnan(fresh) & (np.isnan(old) | (fresh != old))
        rows = segment.loc[hit][differs]
        if len(rows) == 0:
            continue
        matched += len(rows)
        waited = _waited(rows, came, old[differs])
        for start in rows["start"].unique():
            here = (rows["start"] == start).to_numpy()
            place = places.find(version, int(start))
            if place is None:
                continue
            scores = scores_in(rows[here])
            change = _change(scores, old[differs][here], fresh[differs][here], profile)
            changes[version, place].append((*change, lags_of(waited[here][~np.isnan(waited[here])])))
        segment.loc[rows.index, "target"] = fresh[differs]
        rewritten.append((path, segment))
    reached = _write_windows(backend, monitor, changes, profiles, chunk.digest)
    for path, segment in rewritten:
        write_atomically(segment, path)
    if missing:
        _keep_pending(folder, labels[labels.index.isin(missing)])
    store.add_batch(monitor.name, chunk.digest)
    if reached:
        from console.monitoring.ingest import review

        review(backend, monitor, champion)
    waiting = f"{len(missing)} labels wait for their prediction" if missing else ""
    return BatchRecord(
        at=_now(),
        file=chunk.name,
        sha256=chunk.digest,
        state="labels",
        rows=len(frame),
        labelled=matched,
        windows=len(reached),
        version=champion.version.version,
        reason=waiting,
        first=reached[0].start if reached else None,
        last=reached[-1].start if reached else None,
    )


class _Places:
    """Where the windows are that rows were counted in: merged into longer ones since then, or as they were."""

    def __init__(self, backend: Backend, monitor: Monitor) -> None:
        self._store = backend.need("monitors")
        self._monitor = monitor.name
        self._known: dict[tuple[str, Millis], Millis | None] = {}

    def find(self, version: str, start: Millis) -> Millis | None:
        """Start of the window of this version that covers the moment; None where it is gone."""
        key = (version, start)
        if key not in self._known:
            found = self._store.overlapping(self._monitor, since=start, until=start + 1)
            own = newest_of(found, version)
            self._known[key] = None if own is None else own.start
        return self._known[key]


def _came(frame: pd.DataFrame, monitor: Monitor, chunk: Chunk) -> Vector:
    """When each label came, shape (n,), in ms."""
    if monitor.time_column and monitor.time_column in frame:
        times = times_of(frame[monitor.time_column])
        told: Vector = times.fillna(chunk.at).to_numpy(dtype=np.int64)
        return told
    return np.full(len(frame), chunk.at)


def _waited(rows: pd.DataFrame, came: pd.Series[Any], old: Vector) -> Vector:
    """Seconds from each prediction to its first label; NaN for a correction, or where nobody knows."""
    if "at" not in rows:
        return np.full(len(rows), np.nan)
    waited = (came.reindex(rows["id"]).to_numpy() - rows["at"].to_numpy()) / 1000
    first: Vector = np.where(np.isnan(old), waited, np.nan)
    return first


def _change(scores: Vector, old: Vector, fresh: Vector, profile: Profile) -> tuple[Vector, Vector]:
    """What the new labels add to the score cells and to the sums of a window."""
    layout = layout_of(profile)
    cells, sums = count_answers(scores, fresh, profile, layout)
    before, sums_before = count_answers(scores, old, profile, layout)
    return cells - before, np.array(sums) - np.array(sums_before)


def _write_windows(
    backend: Backend,
    monitor: Monitor,
    changes: dict[tuple[str, Millis], list[_Change]],
    profiles: dict[str, Profile],
    digest: str,
) -> list[Window]:
    store = backend.need("monitors")
    counted = store.batches(monitor.name)
    reached = []
    for (version, start), parts in sorted(changes.items(), key=lambda item: item[0][1]):
        profile = profiles[version]
        window = store.windows(monitor.name, since=start, until=start + 1)[0]
        if f"{digest}@{start}" in counted:  # by a try that was cut short: corrected twice, a cell would fall below zero
            reached.append(window)
            continue
        layout = layout_of(profile)
        cells = sum((part[0] for part in parts), np.zeros(layout.answers[1] - layout.answers[0], dtype=np.int64))
        sums = sum((part[1] for part in parts), np.zeros(len(parts[0][1])))
        counts = add_scores(unpack(window.counts), layout, cells, tuple(float(value) for value in sums))
        lags: dict[int, int] = {}
        for part in parts:
            lags = added(lags, part[2])
        fresh = with_lags(relabelled(window, profile, layout, counts), lags)
        kept = store.add_window(fresh, batch=f"{digest}@{start}")
        reached.append(fresh if kept else window)
    return reached


def take_pending(folder: Path, ids: pa.Array) -> pd.Series[Any] | None:
    """Labels that came before these predictions, in their order (missing where there is none); None if there are
    none."""
    pending = read_pending(folder)
    if pending.empty:
        return None
    known = pd.Series(pending["label"].to_numpy(dtype=object), index=pending["id"].to_numpy(dtype=object))
    found = known.reindex(pd.Series(ids.to_pandas()).astype("object")).reset_index(drop=True)
    return found if bool(found.notna().any()) else None


def drop_pending(folder: Path, ids: pa.Array) -> None:
    """Forget waiting labels whose prediction has come."""
    pending = read_pending(folder)
    if pending.empty:
        return
    left = pending[~pending["id"].isin(ids.to_pylist())]
    if len(left) < len(pending):
        write_atomically(left, folder / PENDING)


def _keep_pending(folder: Path, labels: pd.Series[Any]) -> None:
    fresh = pd.DataFrame({"id": labels.index.astype("str"), "label": labels.astype("str").to_numpy()})
    both = pd.concat([read_pending(folder), fresh], ignore_index=True)
    write_atomically(both.drop_duplicates("id", keep="last"), folder / PENDING)


def _now() -> Millis:
    return int(time.time() * 1000)
