"""Labels that come after the prediction, in any order: found by id, and the window's counts put right."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from backends.contract import Backend, Invalid
from backends.entities import Millis, Monitor, Record, Window
from console.monitoring.alarms.review import review
from console.monitoring.counted.columns import Vector, as_text
from console.monitoring.counted.counting import add_scores, count_answers, encode_labels
from console.monitoring.counted.counts import MIXED, layout_of, unpack
from console.monitoring.counted.members import SEGMENT, change_groups
from console.monitoring.counted.profile import Profile
from console.monitoring.counted.ranked import QUERY, change_ranked
from console.monitoring.counted.windows import relabelled
from console.monitoring.feeds.batch import read_batch, times_of
from console.monitoring.feeds.batch_log import BatchRecord
from console.monitoring.feeds.beside import batch_key, segment_window
from console.monitoring.feeds.champion import Champion
from console.monitoring.feeds.chunk import Chunk, whole_file
from console.monitoring.feeds.sample import label_sample
from console.monitoring.feeds.scored import PENDING, predictions_of, read_pending, scores_in, write_atomically
from console.monitoring.feeds.spots import newest_of
from console.monitoring.folder import locked, monitor_folder
from console.monitoring.quality.bias import Groups, add_groups
from console.monitoring.quality.lag import added, lags_of, with_lags
from console.monitoring.quality.ranking import add_ranked
from console.monitoring.reference import as_ranked_by, read_profile
from console.monitoring.rolled import roll_up

if TYPE_CHECKING:
    from console.monitoring.feeds.versions import Versions


MOST_WAITING = 1_000_000
"""Labels that wait for their prediction; of more, the oldest are let go."""


class Spot(Record, frozen=True):
    """A window that labels reach."""

    version: str
    start: Millis
    segment: str = ""

    @property
    def order(self) -> tuple[Millis, bool, str]:
        """By time, the segments before the whole: it is the whole that says that a stretch is done."""
        return self.start, not self.segment, self.segment


_Change = tuple[Vector, Vector, Groups, dict[int, int], tuple[float, ...]]
"""What labels add to the cells of scores and labels, to the sums, to the groups, to the lags and to the ranking of a
window."""


def is_label_file(frame: pd.DataFrame, monitor: Monitor, features: Sequence[str]) -> bool:
    """Whether a batch holds ids and labels and no column of the model."""
    named = bool(monitor.id_column and monitor.label_column)
    return (
        named
        and {monitor.id_column, monitor.label_column} <= set(frame.columns)
        and not set(features) & set(frame.columns)
    )


def ingest_labels(
    backend: Backend, monitor: str, file: Path, champion: Champion | None = None, *, versions: Versions | None = None
) -> BatchRecord:
    """Take a file of ids and labels, whatever else it holds. Raises Invalid when the monitor or the file has no such
    columns."""
    from console.monitoring.feeds.ingest import ingest_held

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
        return ingest_held(backend, monitor, whole_file(file, labels=True), champion=champion, versions=versions)


def apply_labels(
    backend: Backend, monitor: Monitor, folder: Path, frame: pd.DataFrame, chunk: Chunk, champion: Champion
) -> BatchRecord:
    """Put labels to the predictions with their ids; a label that differs from an earlier one corrects it. They came
    when the chunk did, or at the times of the monitor's time column where they have it.

    Where more than one chunk has predictions with an id, the label is that of the newest. Labels without a prediction
    wait for it. All windows (each segment's too), the stretches made of them and the samples are written before any
    kept prediction, so that a crash between them is completed by the next try: a window refuses the same file twice,
    and a sampled row takes the same label twice.
    """
    absent = [name for name in (monitor.id_column, monitor.label_column) if name not in frame]
    if absent:
        raise Invalid(f"{chunk.name} has no column {', '.join(absent)}; labels need the id and the label", "file")
    ids = pd.Series(as_text(frame[monitor.id_column]).to_pandas()).astype("object")
    text = pd.Series(as_text(frame[monitor.label_column]).to_pandas()).astype("object")
    labels = pd.Series(text.to_numpy(), index=ids.to_numpy())
    came = pd.Series(_came(frame, monitor, chunk), index=labels.index)
    kept = (labels.index.notna() & labels.notna()).to_numpy()
    labels, came = labels[kept], came[kept]
    newest = ~labels.index.duplicated(keep="last")
    labels, came = labels[newest], came[newest]
    found: set[str] = set()
    profiles = {champion.version.version: champion.profile}
    places = _Places(backend, monitor)
    changes: dict[Spot, list[_Change]] = defaultdict(list)
    sampled: list[tuple[list[Millis], pd.Series[Any]]] = []
    rewritten: list[tuple[Path, pd.DataFrame]] = []
    matched = 0
    for path, segment, positions in predictions_of(folder, pa.array(labels.index, type=pa.string())):
        hit = np.zeros(len(segment), dtype=bool)
        hit[positions] = True
        found |= set(segment.loc[hit, "id"])
        version = str(segment["version"].iloc[0])
        if version not in profiles:
            reference = read_profile(backend, backend.need("registry").version(monitor.model, version))
            profiles[version] = as_ranked_by(reference, monitor)
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
            for name, inside in _parts_of(rows[here]):
                place = places.find(version, int(start), name)
                if place is None:
                    continue
                at = np.flatnonzero(here)[inside]
                changes[Spot(version, place, name)].append(
                    (
                        *_change(rows.iloc[at], old[differs][at], fresh[differs][at], waited[at], profile),
                        _ranked(segment, int(start), name, rows.index, fresh[differs], profile.top),
                    )
                )
        starts = [int(start) for start in rows["start"].unique()]
        sampled.append((starts, pd.Series(fresh[differs], index=rows["id"].to_numpy())))
        segment.loc[rows.index, "target"] = fresh[differs]
        rewritten.append((path, segment))
    reached = _write_windows(backend, monitor, changes, profiles, chunk.digest)
    for starts, given in sampled:
        label_sample(folder, starts, given[~given.index.duplicated(keep="last")])
    if reached:
        review(backend, monitor, champion.profile, champion.version.version)
        roll_up(backend, monitor, reached)
    for path, segment in rewritten:
        write_atomically(segment, path, keep_time=True)
    missing = labels[~labels.index.isin(found)]
    if len(missing):
        _keep_pending(folder, missing)
    add_batches(backend, monitor.name, chunk)
    waiting = f"{len(missing)} labels wait for their prediction" if len(missing) else ""
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


def add_batches(backend: Backend, monitor: str, chunk: Chunk) -> None:
    """Know a chunk as counted: last of all, so that a try that died before is made again."""
    for digest in (*(piece.digest for piece in chunk.pieces), chunk.digest):
        backend.need("monitors").add_batch(monitor, digest)


class _Places:
    """Where the windows are that rows were counted in: merged into longer ones since then, or as they were."""

    def __init__(self, backend: Backend, monitor: Monitor) -> None:
        self._store = backend.need("monitors")
        self._monitor = monitor.name
        self._known: dict[tuple[str, Millis, str], Millis | None] = {}

    def find(self, version: str, start: Millis, segment: str) -> Millis | None:
        """Start of the window of this version (and segment) that covers the moment; None where it is gone."""
        key = (version, start, segment)
        if key not in self._known:
            found = self._store.overlapping(self._monitor, since=start, until=start + 1, segment=segment)
            own = newest_of(found, version)
            self._known[key] = None if own is None else own.start
        return self._known[key]


def _came(frame: pd.DataFrame, monitor: Monitor, chunk: Chunk) -> Vector:
    """When each label came, shape (n,), in ms."""
    if monitor.time_column and monitor.time_column in frame:
        times = times_of(frame[monitor.time_column])
        told: Vector = times.fillna(chunk.at).to_numpy(dtype=np.int64)
        return told
    return np.array(chunk.times(len(frame)), dtype=np.int64)


def _waited(rows: pd.DataFrame, came: pd.Series[Any], old: Vector) -> Vector:
    """Seconds from each prediction to its first label; NaN for a correction, or where nobody knows."""
    if "at" not in rows:
        return np.full(len(rows), np.nan)
    waited = (came.reindex(rows["id"]).to_numpy() - rows["at"].to_numpy()) / 1000
    first: Vector = np.where(np.isnan(old), waited, np.nan)
    return first


def _parts_of(rows: pd.DataFrame) -> list[tuple[str, Vector]]:
    """The whole and the segments that any of these rows is in, each with which rows."""
    found: list[tuple[str, Vector]] = [("", np.ones(len(rows), dtype=bool))]
    for name in rows.columns:
        if str(name).startswith(SEGMENT):
            inside = rows[name].fillna(False).to_numpy(dtype=bool)
            if inside.any():
                found.append((str(name).removeprefix(SEGMENT), inside))
    return found


def _ranked(
    segment: pd.DataFrame, start: int, name: str, index: pd.Index[Any], fresh: Vector, top: int
) -> tuple[float, ...]:
    """What new labels change in the ranking of a window: that of a query hangs on all of its rows. index, fresh: which
    rows of the file have a new label, and theirs."""
    if QUERY not in segment:
        return ()
    targets = segment["target"].copy()
    targets.loc[index] = fresh
    inside = (segment["start"] == start).to_numpy()
    if name:
        inside = inside & segment[SEGMENT + name].fillna(False).to_numpy(dtype=bool)  # pandas lends what is read-only
    rows = segment[inside]
    reached = rows.index.isin(index)
    return change_ranked(rows, scores_in(rows), rows["target"].to_numpy(), targets[inside].to_numpy(), reached, top)


def _change(
    rows: pd.DataFrame, old: Vector, fresh: Vector, waited: Vector, profile: Profile
) -> tuple[Vector, Vector, Groups, dict[int, int]]:
    """What new labels of some kept predictions change in a window."""
    layout, scores = layout_of(profile), scores_in(rows)
    cells, sums = count_answers(scores, fresh, profile, layout)
    before, sums_before = count_answers(scores, old, profile, layout)
    groups = change_groups(rows, scores, old, fresh, profile)
    return cells - before, np.array(sums) - np.array(sums_before), groups, lags_of(waited[~np.isnan(waited)])


def _write_windows(
    backend: Backend, monitor: Monitor, changes: dict[Spot, list[_Change]], profiles: dict[str, Profile], digest: str
) -> list[Window]:
    """Put the windows right, once each, and return those of the whole, oldest first."""
    store = backend.need("monitors")
    counted = store.batches(monitor.name, among=[_key(spot, digest) for spot in changes])
    reached = []
    for spot, parts in sorted(changes.items(), key=lambda item: item[0].order):
        key = _key(spot, digest)
        if spot.segment:
            window = segment_window(backend, monitor.name, spot.segment, spot.start)
        else:
            window = store.windows(monitor.name, since=spot.start, until=spot.start + 1)[0]
        if window is None:
            continue
        if key not in counted:  # else by a try that was cut short: corrected twice, a cell would fall below zero
            fresh = _corrected(window, parts, profiles[spot.version])
            window = fresh if store.add_window(fresh, batch=key) else window
        if not spot.segment:
            reached.append(window)
    return reached


def _key(spot: Spot, digest: str) -> str:
    """Under which a window remembers a file of labels."""
    return batch_key(digest, spot.start, spot.version, spot.segment) if spot.segment else f"{digest}@{spot.start}"


def _corrected(window: Window, parts: Sequence[_Change], profile: Profile) -> Window:
    layout = layout_of(profile)
    cells = sum((part[0] for part in parts), np.zeros(layout.answers[1] - layout.answers[0], dtype=np.int64))
    sums = sum((part[1] for part in parts), np.zeros(len(parts[0][1])))
    counts = add_scores(unpack(window.counts), layout, cells, tuple(float(value) for value in sums))
    lags: dict[int, int] = {}
    for _, _, groups, waited, ranked in parts:
        counts.groups = add_groups(counts.groups, groups)
        if ranked and (counts.top == profile.top or (not counts.ranked and counts.top != MIXED)):
            counts.ranked, counts.top = add_ranked(counts.ranked, ranked), profile.top
        elif ranked:  # it was ranked at another k, and would be without these
            counts.ranked, counts.top = (), MIXED
        lags = added(lags, waited)
    return with_lags(relabelled(window, profile, layout, counts), lags)


def take_pending(folder: Path, ids: pa.Array) -> pd.Series[Any] | None:
    """Labels that came before these predictions, in their order (missing where there is none); None if there are
    none."""
    if not (folder / PENDING).is_file():
        return None
    pending = read_pending(folder)
    known = pd.Series(pending["label"].to_numpy(dtype=object), index=pending["id"].to_numpy(dtype=object))
    found = known.reindex(pd.Series(ids.to_pandas()).astype("object")).reset_index(drop=True)
    return found if bool(found.notna().any()) else None


def drop_pending(folder: Path, ids: pa.Array) -> None:
    """Forget waiting labels whose prediction has come."""
    if not (folder / PENDING).is_file():
        return
    pending = read_pending(folder)
    left = pending[~pending["id"].isin(ids.to_pylist())]
    if len(left) == 0:
        (folder / PENDING).unlink()
    elif len(left) < len(pending):
        write_atomically(left, folder / PENDING)


def _keep_pending(folder: Path, labels: pd.Series[Any]) -> None:
    fresh = pd.DataFrame({"id": labels.index.astype("str"), "label": labels.astype("str").to_numpy()})
    both = pd.concat([read_pending(folder), fresh], ignore_index=True)
    write_atomically(both.drop_duplicates("id", keep="last").tail(MOST_WAITING), folder / PENDING)


def _now() -> Millis:
    return int(time.time() * 1000)
