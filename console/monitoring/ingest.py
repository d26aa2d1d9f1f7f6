"""A batch file becomes counts: read, score with the version the alias names, put rows into windows, add up, judge.

Only a worker process comes here. A file counts once, by its sha256; a crash at any point leaves either nothing or
something that the next try completes without counting a row twice. No row's features are kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from backends.contract import Backend, BackendError, Invalid, Unreachable
from backends.entities import Millis, Monitor, Window
from console.monitoring import alerts, schema
from console.monitoring.ack import restate
from console.monitoring.batch import SchemaEvent, fit_columns, read_batch, sha256_of, times_of
from console.monitoring.champion import Champion, load_champion, scores_of
from console.monitoring.counting import add_scores, as_text, count_answers, count_features, encode_labels
from console.monitoring.counts import add, unpack
from console.monitoring.folder import BatchRecord, locked, log_batch, monitor_folder
from console.monitoring.in_hand import in_hand
from console.monitoring.labels import apply_labels, drop_pending, is_label_file, take_pending
from console.monitoring.policy import read_policy
from console.monitoring.scored import segment_path, write_segment
from console.monitoring.windows import make_window, window_bounds

MAX_WINDOWS = 5000
"""A single file that spans more windows has a broken time column."""


def ingest_batch(backend: Backend, monitor: str, file: Path, *, champion: Champion | None = None) -> BatchRecord:
    """Score and count one batch file (or take its labels, if it holds only ids and labels).

    A file that cannot be used is recorded as failed with the reason and raises nothing; a version that cannot be loaded
    or a store that is away raises, because the file is not to blame. champion: an already loaded version to use.
    """
    with locked(monitor_folder(backend, monitor)):
        return ingest_held(backend, monitor, file, champion=champion)


def ingest_held(backend: Backend, monitor: str, file: Path, *, champion: Champion | None = None) -> BatchRecord:
    """As `ingest_batch`, for whoever holds the lock of the monitor's folder."""
    began = time.monotonic()
    definition: Monitor = backend.need("monitors").get(monitor)
    read_policy(definition.policy)
    folder = monitor_folder(backend, definition.name)
    champion = champion or load_champion(backend, definition)
    digest = ""
    try:
        digest = sha256_of(file)
        with in_hand(backend, monitor, folder, file, digest):
            record = _ingest(backend, definition, folder, file, digest, champion)
    except Unreachable:  # the store is away or full: the file is not to blame, and is to be tried again
        raise
    except (BackendError, FileNotFoundError, PermissionError) as error:
        record = BatchRecord(at=_now(), file=file.name, sha256=digest, state="failed", reason=str(error))
    record = _with(record, seconds=round(time.monotonic() - began, 4), version=champion.version.version)
    log_batch(folder, record)
    return record


def _ingest(
    backend: Backend, monitor: Monitor, folder: Path, file: Path, digest: str, champion: Champion
) -> BatchRecord:
    if digest in backend.need("monitors").batches(monitor.name):
        return BatchRecord(
            at=_now(), file=file.name, sha256=digest, state="duplicate", reason="counted before, by its content"
        )
    frame = read_batch(file)
    features = champion.meta.features
    if is_label_file(frame, monitor, [column.name for column in features]):
        return apply_labels(backend, monitor, folder, frame, file.name, digest, champion)
    known = (monitor.time_column, monitor.id_column, monitor.label_column, champion.meta.target)
    rows, events = fit_columns(frame, features, file.name, known=known)
    if len(rows.columns) == 0:
        raise Invalid(
            f"{file.name} has none of the {len(features)} columns of {champion.version.ref} "
            f"(first: {', '.join(column.name for column in features[:3])}); "
            f"it has {', '.join(map(str, frame.columns[:5]))}",
            "file",
        )
    at, timeless = _row_times(frame, monitor, file)
    if timeless.any():
        lost = int(timeless.sum())
        if lost == len(frame):
            raise Invalid(
                f"{file.name}: no value of {monitor.time_column!r} can be read as a time; nothing counted",
                "time_column",
            )
        keep = ~timeless
        frame, rows, at = frame[keep], rows[keep], at[keep]
        events.append(
            SchemaEvent(
                column=monitor.time_column,
                kind="unreadable values",
                text=f"{lost} rows of {file.name} have no readable time in {monitor.time_column!r} and were left out.",
                blocks=False,
            )
        )
    scores = None if any(event.blocks for event in events) else _score(champion, rows, file)
    targets = _targets(frame, monitor, champion, folder)
    starts = _window_starts(at, monitor, file)
    if scores is not None and monitor.id_column:
        ids = pd.Series(as_text(frame[monitor.id_column]).to_pandas()) if monitor.id_column in frame else None
        if ids is None:
            raise Invalid(
                f"{file.name} has no column {monitor.id_column!r}, the monitor's id column; add it or clear it",
                "id_column",
            )
        spots = pd.Series(starts).map(_spots(backend, monitor, champion, starts, at))
        write_segment(segment_path(folder, digest), ids, scores, targets, spots.to_numpy(), champion.version.version)
    stored = _store(backend, monitor, champion, rows, scores, targets, starts, at, digest, events)
    if monitor.id_column and monitor.id_column in frame:
        drop_pending(folder, as_text(frame[monitor.id_column]))
    schema.note_events(backend, monitor, events, stored[-1], [column.name for column in features])
    restate(backend, monitor.name)
    return BatchRecord(
        at=_now(),
        file=file.name,
        sha256=digest,
        state="stored",
        rows=len(rows),
        scored=0 if scores is None else len(rows),
        labelled=int((~np.isnan(targets)).sum()) if scores is not None else 0,
        windows=len(stored),
        reason=" ".join(event.text for event in events),
        first=stored[0].start,
        last=stored[-1].start,
    )


def _score(champion: Champion, rows: pd.DataFrame, file: Path) -> np.ndarray[Any, Any]:
    try:
        scores: np.ndarray[Any, Any] = scores_of(champion, rows)
    except Exception as error:  # an estimator may raise anything; the next batch may be good
        raise Invalid(
            f"{champion.version.ref} cannot score {file.name}: {type(error).__name__}: {error}", "file"
        ) from error
    if not np.isfinite(scores).all():
        raise Invalid(
            f"{champion.version.ref} gave scores for {file.name} that are no numbers; nothing counted", "file"
        )
    return scores


def _row_times(frame: pd.DataFrame, monitor: Monitor, file: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Time of each row in ms, and which rows have none. Without a time column: the file's own time."""
    if not monitor.time_column:
        return np.full(len(frame), int(file.stat().st_mtime * 1000)), np.zeros(len(frame), dtype=bool)
    if monitor.time_column not in frame:
        raise Invalid(
            f"{file.name} has no column {monitor.time_column!r}, the monitor's time column; it has "
            f"{', '.join(map(str, frame.columns[:8]))}",
            "time_column",
        )
    times = times_of(frame[monitor.time_column])
    return times.fillna(0).to_numpy(dtype=np.int64), times.isna().to_numpy(dtype=bool)


def _targets(frame: pd.DataFrame, monitor: Monitor, champion: Champion, folder: Path) -> np.ndarray[Any, Any]:
    """Labels that came with the batch, else those that came before it; NaN where there is none."""
    profile = champion.profile
    if monitor.label_column and monitor.label_column in frame:
        return encode_labels(frame[monitor.label_column], profile.task, profile.positive, profile.classes)
    if monitor.id_column and monitor.id_column in frame:
        labels = take_pending(folder, as_text(frame[monitor.id_column]))
        if labels is not None:
            return encode_labels(labels, profile.task, profile.positive, profile.classes)
    return np.full(len(frame), np.nan)


def _window_starts(at: np.ndarray[Any, Any], monitor: Monitor, file: Path) -> np.ndarray[Any, Any]:
    if monitor.window == "batch":
        return np.full(len(at), at.min())
    first, stop = window_bounds(monitor.window, int(at.min()))
    starts: np.ndarray[Any, Any] = at - at % (stop - first)
    if len(np.unique(starts)) > MAX_WINDOWS:
        raise Invalid(
            f"{file.name} spans more than {MAX_WINDOWS} windows of a {monitor.window}; "
            f"is {monitor.time_column!r} its time?",
            "time_column",
        )
    return starts


def _existing(
    backend: Backend, monitor: Monitor, version: str, start: Millis, stop: Millis
) -> tuple[Window | None, Millis]:
    """This version's window within the stretch if there is one, and the last start that another one took."""
    found = [
        window
        for window in backend.need("monitors").windows(monitor.name, since=start, until=stop)
        if start <= window.start < stop
    ]
    own = next((window for window in found if window.model_version == version), None)
    return own, max((window.start for window in found), default=-1)


def _spots(
    backend: Backend, monitor: Monitor, champion: Champion, starts: np.ndarray[Any, Any], at: np.ndarray[Any, Any]
) -> dict[int, int]:
    """Tumbling start → start of the window that is stored for it.

    Counts of two versions cannot be added: where the alias moved within a window, the newer version's window begins
    at its own first row.
    """
    spots = {}
    for start in np.unique(starts):
        stop = int(at.max()) + 1 if monitor.window == "batch" else window_bounds(monitor.window, int(start))[1]
        own, taken = _existing(backend, monitor, champion.version.version, int(start), stop)
        if monitor.window == "batch":
            spots[int(start)] = int(start) if taken < start else taken + 1
        elif own is not None:
            spots[int(start)] = own.start
        else:
            spots[int(start)] = int(start) if taken < start else max(int(at[starts == start].min()), taken + 1)
    return spots


def _store(
    backend: Backend,
    monitor: Monitor,
    champion: Champion,
    rows: pd.DataFrame,
    scores: np.ndarray[Any, Any] | None,
    targets: np.ndarray[Any, Any],
    starts: np.ndarray[Any, Any],
    at: np.ndarray[Any, Any],
    digest: str,
    events: Sequence[SchemaEvent],
) -> list[Window]:
    """Add the rows to their windows, oldest first, and let the alerts look after each."""
    store = backend.need("monitors")
    profile, layout = champion.profile, champion.layout
    gone = [event.column for event in events if event.kind in ("gone", "renamed")]
    spots = _spots(backend, monitor, champion, starts, at)
    order = np.unique(starts)
    stored = []
    for number, tumbling in enumerate(order):
        mask = starts == tumbling
        counts = count_features(rows[mask] if len(order) > 1 else rows, profile, layout)
        if scores is not None:
            found, sums = count_answers(scores[mask], targets[mask], profile, layout)
            counts = add_scores(counts, layout, found, sums)
        start = spots[int(tumbling)]
        if monitor.window == "batch":
            end = int(at.max()) + 1
        else:
            end = window_bounds(monitor.window, int(tumbling))[1]
            own, _ = _existing(backend, monitor, champion.version.version, start, end)
            if own is not None:
                counts = add(unpack(own.counts), counts)
        window = make_window(
            monitor.name, profile, layout, counts, start=start, end=end, version=champion.version.version, gone=gone
        )
        # The file is done when its last window is in: only that one carries the bare digest.
        last = number == len(order) - 1
        store.add_window(window, batch=digest if last else f"{digest}@{start}")
        review(backend, monitor, champion)
        stored.append(window)
    return stored


def review(backend: Backend, monitor: Monitor, champion: Champion) -> None:
    """Let the newest windows open, change and resolve alerts; the newest one then says what the state is."""
    store = backend.need("monitors")
    windows = store.windows(monitor.name, limit=alerts.horizon(monitor))
    if not windows or windows[-1].model_version != champion.version.version:
        return
    for alert in alerts.evaluate(monitor, champion.profile, windows, store.alerts(monitor.name, open_only=True)):
        store.put_alert(alert)
    restate(backend, monitor.name)


def _now() -> Millis:
    return int(time.time() * 1000)


def _with(record: BatchRecord, **changes: object) -> BatchRecord:
    return msgspec.structs.replace(record, **changes)
