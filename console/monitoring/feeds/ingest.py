"""A chunk of rows becomes counts: read, score with the version that answers, put rows into windows, add up, judge.

Only a worker process comes here. A chunk counts once, by the sha256 of its content; a crash at any point leaves either
nothing or something that the next try completes without counting a row twice. Of the rows themselves a bounded sample
is kept, without the columns that the monitor redacts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from backends.contract import Backend, BackendError, Invalid, Unreachable
from backends.entities import Millis, Monitor, Window
from console.monitoring.alarms.ack import restate
from console.monitoring.alarms.policy import read_policy
from console.monitoring.alarms.review import review
from console.monitoring.counted.columns import as_text
from console.monitoring.counted.counts import add, unpack
from console.monitoring.counted.windows import make_window
from console.monitoring.feeds import sample, schema
from console.monitoring.feeds.batch import SchemaEvent, read_rows
from console.monitoring.feeds.batch_log import BatchRecord, log_batch
from console.monitoring.feeds.beside import add_segment_windows, carried, count_rows
from console.monitoring.feeds.champion import Champion
from console.monitoring.feeds.chunk import Chunk, whole_file
from console.monitoring.feeds.growing import given_whole
from console.monitoring.feeds.in_hand import PLACE, InHand, in_hand, read_in_hand
from console.monitoring.feeds.known_files import remember
from console.monitoring.feeds.labels import add_batches, apply_labels, drop_pending, is_label_file, take_pending
from console.monitoring.feeds.rows import Rows, check_related, own_labels, parted, timed
from console.monitoring.feeds.scored import PENDING, segment_path, write_segment
from console.monitoring.feeds.scored_merging import merge_if_many
from console.monitoring.feeds.spots import Spot, find_spots, tumbling_starts
from console.monitoring.feeds.versions import Versions
from console.monitoring.folder import locked, monitor_folder
from console.monitoring.rolled import roll_up

if TYPE_CHECKING:
    import pandas as pd

Vector = np.ndarray[Any, Any]

APART = "apart"
"""State of a record that says: these pieces cannot be counted at once, and nothing of them was."""

log = logging.getLogger("scorer")


def ingest_batch(
    backend: Backend,
    monitor: str,
    file: Path,
    *,
    champion: Champion | None = None,
    versions: Versions | None = None,
) -> BatchRecord:
    """Score and count one batch file (or take its labels, if it holds only ids and labels).

    A file that cannot be used is recorded as failed with the reason and raises nothing; a version that cannot be loaded
    or a store that is away raises, because the file is not to blame. champion: an already loaded version to use.
    """
    folder = monitor_folder(backend, monitor)
    with locked(folder):
        try:
            chunk = given_whole(whole_file(file))
        except (BackendError, OSError) as error:
            record = BatchRecord(at=_now(), file=file.name, sha256="", state="failed", reason=str(error))
            log_batch(folder, record)
            return record
        return ingest_held(backend, monitor, chunk, champion=champion, versions=versions)


def ingest_chunk(
    backend: Backend, monitor: str, chunk: Chunk, *, champion: Champion | None = None, versions: Versions | None = None
) -> BatchRecord:
    """As `ingest_batch`, of any chunk. Raises Unreachable where the store is away or the disk full: try it again."""
    with locked(monitor_folder(backend, monitor)):
        return ingest_held(backend, monitor, chunk, champion=champion, versions=versions)


def finish_begun(backend: Backend, monitor: str, *, versions: Versions | None = None) -> None:
    """Count what a process that died had begun: how far its file is counted is known only then."""
    folder = monitor_folder(backend, monitor)
    if read_in_hand(folder) is None:
        return
    with locked(folder):
        begun = read_in_hand(folder)
        if begun is None:
            return
        if begun.chunk.intact:
            ingest_held(backend, monitor, begun.chunk, versions=versions)
        else:  # it is gone, or another file: nobody can finish it
            (folder / PLACE).unlink(missing_ok=True)


def ingest_held(
    backend: Backend,
    monitor: str,
    chunk: Chunk,
    *,
    champion: Champion | None = None,
    versions: Versions | None = None,
) -> BatchRecord:
    """As `ingest_chunk`, for whoever holds the lock of the monitor's folder."""
    began = time.monotonic()
    definition: Monitor = backend.need("monitors").get(monitor)
    read_policy(definition.policy)
    folder = monitor_folder(backend, definition.name)
    versions = versions or Versions(backend, definition, champion)
    scoring = versions.scoring_version

    def finish(begun: InHand) -> None:
        ingest_held(backend, monitor, begun.chunk, versions=versions)

    try:
        with in_hand(folder, chunk, scoring, finish) as version:
            try:
                record = _ingest(backend, definition, folder, chunk, versions, version)
            except Unreachable:  # the store is away or full: the chunk is not to blame, and is to be tried again
                raise
            except BackendError as error:
                record = _record(chunk, "failed", version=version, reason=str(error))
            told = " ".join(text for text in (chunk.said, record.reason) if text)
            record = msgspec.structs.replace(record, seconds=round(time.monotonic() - began, 4), reason=told)
            if chunk.progress is not None and not (chunk.given and record.state == "failed"):
                remember(
                    folder, chunk.progress, begin=chunk.begin, failed=record.state == "failed", mended=chunk.mended
                )
                if chunk.supersedes and record.state != "failed":
                    backend.need("monitors").forget_batches(monitor, (chunk.supersedes,))
    except OSError as error:
        raise Unreachable(f"{chunk.name} was not counted: {error.strerror or error}; it is tried again") from error
    if record.state != APART:
        log_batch(folder, record)
    if chunk.spooled:
        Path(chunk.path).unlink(missing_ok=True)
    if record.scored and definition.id_column:
        _merge_scored(folder, added=len(record.version.split(", ")))
    return record


def _merge_scored(folder: Path, *, added: int) -> None:
    try:
        merge_if_many(folder, added)
    except OSError as error:  # the chunk is counted: what is left apart is merged with what comes
        log.warning("the scored rows were not merged: %s; it is tried again", error.strerror or error)


def _ingest(
    backend: Backend, monitor: Monitor, folder: Path, chunk: Chunk, versions: Versions, version: str
) -> BatchRecord:
    if chunk.copied or backend.need("monitors").batches(monitor.name, among=(chunk.digest, *chunk.also)):
        if monitor.id_column and (folder / PENDING).is_file():  # whoever counted it may have died right after
            frame = _read(chunk, salvage=True)[0]
            features = [column.name for column in versions.reference(version).meta.features]
            if not chunk.labels and not is_label_file(frame, monitor, features):
                _drop_waiting(monitor, folder, frame)
        return _record(chunk, "duplicate", version=version, reason="counted before, by its content")
    if chunk.bare:
        return _record(chunk, "stored" if chunk.mended else "failed", version=version, left_out=chunk.left_out)
    known = versions.reference(version)
    try:
        frame, left_out = _read(chunk, salvage=chunk.salvage)
        labels = chunk.labels or is_label_file(frame, monitor, [column.name for column in known.meta.features])
        if not labels:
            check_related(frame, known, chunk.name)
            frame, at, events = timed(frame, monitor, chunk)
            parts = parted(frame, at, monitor, chunk, versions, version)
            tumbling_starts(at, monitor, chunk.name)
    except Invalid as error:
        if chunk.pieces:
            return _record(chunk, APART, reason=str(error))
        raise
    if labels:
        return apply_labels(backend, monitor, folder, frame, chunk, known)
    parts[0].events = [*events, *parts[0].events]
    stored: list[Window] = []
    for number, rows in enumerate(parts):
        stored += _count(backend, monitor, folder, chunk, rows, number if number else None)
    _tell_events(backend, monitor, parts, stored[-1])
    restate(backend, monitor.name)
    roll_up(backend, monitor, stored)
    add_batches(backend, monitor.name, chunk)
    _drop_waiting(monitor, folder, frame)
    scored = [rows for rows in parts if rows.scores is not None]
    reasons = [left_out, *(event.text for rows in parts for event in rows.events)]
    reasons += [said for rows in parts for said in rows.untold]
    return _record(
        chunk,
        "stored",
        version=", ".join(dict.fromkeys(rows.reference.version.version for rows in parts)),
        rows=len(frame),
        left_out=chunk.left_out,
        scored=sum(len(rows.features) for rows in scored),
        labelled=sum(int((~np.isnan(rows.targets)).sum()) for rows in scored),
        windows=len({(window.start, window.model_version) for window in stored}),
        reason=" ".join(reason for reason in reasons if reason),
        first=min(window.start for window in stored),
        last=max(window.start for window in stored),
    )


def _read(chunk: Chunk, *, salvage: bool) -> tuple[pd.DataFrame, str]:
    first, *behind = chunk.files
    return read_rows(first, title=chunk.name, salvage=salvage, behind=behind)


def _drop_waiting(monitor: Monitor, folder: Path, frame: pd.DataFrame) -> None:
    """Labels that waited for these rows wait no longer."""
    if monitor.id_column and monitor.id_column in frame:
        drop_pending(folder, as_text(frame[monitor.id_column]))


def _count(
    backend: Backend, monitor: Monitor, folder: Path, chunk: Chunk, rows: Rows, part: int | None
) -> list[Window]:
    """Count the rows that one version answers: keep their predictions for later labels, then add up the windows."""
    version = rows.reference.version.version
    waiting = None
    if rows.ids is not None:
        waiting = take_pending(folder, as_text(rows.frame[monitor.id_column]))
    own_labels(rows, monitor, waiting)
    starts = tumbling_starts(rows.at, monitor, chunk.name)
    spots = find_spots(backend, monitor, version, starts, rows.at)
    order, inverse = np.unique(starts, return_inverse=True)
    places = np.array([spots[int(start)].start for start in order])[inverse]
    if rows.scores is not None and monitor.id_column:
        if rows.ids is None:
            raise Invalid(
                f"{chunk.name} has no column {monitor.id_column!r}, the monitor's id column; add it or clear it",
                "id_column",
            )
        name = chunk.digest if part is None else f"{chunk.digest}-{part}"
        path = segment_path(folder, name)
        write_segment(path, rows.ids, rows.scores, rows.targets, places, version, at=rows.at, members=rows.members)
    found = {spot.start: spot for spot in spots.values()}
    # Two parts may answer with one version: rows with a score, and rows without.
    mark = chunk.digest if part is None else f"{chunk.digest}-{part}"
    return _store(backend, monitor, folder, rows, places, found, mark)


def _store(
    backend: Backend,
    monitor: Monitor,
    folder: Path,
    rows: Rows,
    places: Vector,
    spots: dict[int, Spot],
    mark: str,
) -> list[Window]:
    """Add the rows to their windows, oldest first, and let the alerts look after each. places: shape (n,), the start of
    each row's window. mark: what these rows are known by, so that they are counted once."""
    store = backend.need("monitors")
    reference = rows.reference
    stored = []
    order = sorted(spots)
    for number, start in enumerate(order):
        spot = spots[start]
        mask = np.flatnonzero(places == start) if len(order) > 1 else np.arange(len(places))
        counts = count_rows(rows, mask)
        if spot.window is not None:
            counts = add(unpack(spot.window.counts), counts)
        window = make_window(
            monitor.name,
            reference.profile,
            reference.layout,
            counts,
            start=spot.start,
            end=spot.end,
            version=reference.version.version,
            gone=rows.gone,
        )
        window = carried(window, spot.window, monitor)
        if number >= len(order) - sample.FILES:
            _keep_sample(folder, monitor, rows, mask, spot)
        add_segment_windows(backend, monitor, rows, mask, start=spot.start, end=spot.end, digest=mark)
        store.add_window(window, batch=f"{mark}@{spot.start}")
        stored.append(window)
        # One that is new is looked at before the next is: so are alerts opened and resolved in their order.
        if spot.window is None or number == len(order) - 1:
            review(backend, monitor, reference.profile, reference.version.version)
    return stored


def _keep_sample(folder: Path, monitor: Monitor, rows: Rows, mask: Vector, spot: Spot) -> None:
    sample.keep_sample(
        folder,
        rows.features.iloc[mask],
        at=rows.at[mask],
        start=spot.start,
        version=rows.reference.version.version,
        ids=None if rows.ids is None else rows.ids.iloc[mask],
        scores=None if rows.scores is None else rows.scores[mask],
        targets=rows.targets[mask],
        redact=monitor.redact,
    )


def _tell_events(backend: Backend, monitor: Monitor, parts: Sequence[Rows], window: Window) -> None:
    """What was odd about the columns becomes alerts, and what is as trained again ends them."""
    events: list[SchemaEvent] = [event for rows in parts for event in rows.events]
    columns = {column.name for rows in parts for column in rows.reference.meta.features}
    schema.note_events(backend, monitor, events, window, sorted(columns))


def _record(chunk: Chunk, state: str, **known: Any) -> BatchRecord:
    return BatchRecord(at=_now(), file=chunk.name, sha256=chunk.digest, state=state, **known)


def _now() -> Millis:
    return int(time.time() * 1000)
