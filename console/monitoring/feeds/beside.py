"""The windows of segments, which stand beside those of the whole: filled from the same rows, each row once.

They are written before the whole's window, because that one ends the file. A try that was cut short in between is
completed by the next: a window refuses the same file twice.
"""

from __future__ import annotations

import msgspec

from backends.contract import Backend
from backends.entities import Millis, Monitor, Window
from console.monitoring.counted.columns import Vector, count_features
from console.monitoring.counted.counting import add_scores, count_answers
from console.monitoring.counted.counts import Counts, add, unpack
from console.monitoring.counted.members import SEGMENT, count_groups
from console.monitoring.counted.ranked import QUERY, count_ranked
from console.monitoring.counted.windows import make_window, own_state
from console.monitoring.feeds.rows import Rows


def batch_key(digest: str, start: Millis, version: str, segment: str) -> str:
    """Under which a segment's window remembers a file."""
    return f"{digest}@{start}#{version}#{segment}"


def count_rows(rows: Rows, mask: Vector) -> Counts:
    """All counts of some rows: their columns, and with scores the answers, labels and groups. mask: their positions,
    shape (m,)."""
    profile, layout = rows.reference.profile, rows.reference.layout
    whole = len(mask) == len(rows.features)
    counts = count_features(rows.features if whole else rows.features.iloc[mask], profile, layout)
    if rows.scores is None:
        return counts
    scores, targets = rows.scores[mask], rows.targets[mask]
    counts = add_scores(counts, layout, *count_answers(scores, targets, profile, layout))
    if len(rows.members.columns):
        counts.groups = count_groups(rows.members.iloc[mask], scores, targets, profile)
    if QUERY in rows.members:
        queries = rows.members[QUERY].to_numpy(dtype=object)[mask]
        counts.ranked, counts.top = count_ranked(queries, scores, targets, profile.top), profile.top
    return counts


def add_segment_windows(
    backend: Backend, monitor: Monitor, rows: Rows, mask: Vector, *, start: Millis, end: Millis, digest: str
) -> list[Window]:
    """Add the rows of one stretch of time to the windows of their segments; a segment without a row gets none. mask:
    positions of the rows of the stretch, shape (m,)."""
    store = backend.need("monitors")
    reference = rows.reference
    version = reference.version.version
    # Of one file and version there may be rows that were scored and rows that were not: each part counts once.
    part = digest if rows.scores is not None else f"{digest}-unscored"
    stored = []
    for name in rows.members.columns:
        if not str(name).startswith(SEGMENT):
            continue
        inside = mask[rows.members[name].to_numpy(dtype=bool)[mask]]
        if not len(inside):
            continue
        segment = str(name).removeprefix(SEGMENT)
        counts = count_rows(rows, inside)
        own = segment_window(backend, monitor.name, segment, start)
        # One of another version was left by a try that was cut short before the alias moved, and holds nothing else.
        if own is not None and own.model_version == version:
            counts = add(unpack(own.counts), counts)
        window = make_window(
            monitor.name, reference.profile, reference.layout, counts, start=start, end=end, version=version,
            gone=rows.gone, segment=segment,
        )  # fmt: skip
        window = carried(window, own, monitor)
        store.add_window(window, batch=batch_key(part, start, version, segment))
        stored.append(window)
    return stored


def carried(window: Window, before: Window | None, monitor: Monitor) -> Window:
    """With what an earlier window knew that counts cannot tell, and without columns that are never seen."""
    if before is not None:
        window = msgspec.structs.replace(
            window,
            label_lag=before.label_lag,
            lags=before.lags,
            multivariate=window.multivariate or before.multivariate,
        )
    if monitor.redact:
        columns = tuple(each for each in window.columns if each.column not in monitor.redact or each.missing < 1)
        window = msgspec.structs.replace(window, columns=columns)
        window = msgspec.structs.replace(window, state=own_state(window))
    return window


def segment_window(backend: Backend, monitor: str, segment: str, start: Millis) -> Window | None:
    """The window of a segment that starts then."""
    found = backend.need("monitors").windows(monitor, since=start, until=start + 1, segment=segment)
    return next((window for window in found if window.start == start), None)
