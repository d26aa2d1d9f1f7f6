"""The windows of segments, which stand beside those of the whole: filled from the same rows, each row once.

They are written before the whole's window, because that one ends the file. A try that was cut short in between is
completed by the next: a window refuses the same file twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from backends.contract import Backend
from backends.entities import Millis, Monitor, Window
from console.monitoring.champion import Champion
from console.monitoring.counting import Vector, add_scores, count_answers, count_features
from console.monitoring.counts import Counts, add, unpack
from console.monitoring.members import SEGMENT, count_groups
from console.monitoring.windows import make_window

if TYPE_CHECKING:
    import pandas as pd


def batch_key(digest: str, start: Millis, version: str, segment: str) -> str:
    """Under which a segment's window remembers a file."""
    return f"{digest}@{start}#{version}#{segment}"


def count_rows(
    champion: Champion, rows: pd.DataFrame, scores: Vector | None, targets: Vector, members: pd.DataFrame | None = None
) -> Counts:
    """All counts of rows: their columns, and with scores the answers, labels and groups. rows: n; scores (n,) or
    (n, classes); targets (n,); members: as `members_of`, the same rows."""
    profile, layout = champion.profile, champion.layout
    counts = count_features(rows, profile, layout)
    if scores is None:
        return counts
    counts = add_scores(counts, layout, *count_answers(scores, targets, profile, layout))
    if members is not None and len(members.columns):
        counts.groups = count_groups(members, scores, targets, profile)
    return counts


def add_segment_windows(
    backend: Backend,
    monitor: Monitor,
    champion: Champion,
    rows: pd.DataFrame,
    scores: Vector | None,
    targets: Vector,
    members: pd.DataFrame,
    *,
    start: Millis,
    end: Millis,
    digest: str,
    gone: Sequence[str] = (),
) -> list[Window]:
    """Add the rows of one stretch of time to the windows of their segments. The rows of `rows`, `scores`, `targets` and
    `members` are the same; a segment without a row gets no window."""
    store = backend.need("monitors")
    version = champion.version.version
    stored = []
    for name in members.columns:
        if not str(name).startswith(SEGMENT):
            continue
        inside = members[name].to_numpy(dtype=bool)
        if not inside.any():
            continue
        segment = str(name).removeprefix(SEGMENT)
        counts = count_rows(
            champion,
            rows[inside],
            None if scores is None else np.asarray(scores)[inside],
            targets[inside],
            members[inside],
        )
        own = segment_window(backend, monitor.name, segment, start)
        # One of another version was left by a try that was cut short before the alias moved, and holds nothing else.
        if own is not None and own.model_version == version:
            counts = add(unpack(own.counts), counts)
        window = make_window(
            monitor.name, champion.profile, champion.layout, counts, start=start, end=end, version=version, gone=gone,
            segment=segment,
        )  # fmt: skip
        store.add_window(window, batch=batch_key(digest, start, version, segment))
        stored.append(window)
    return stored


def segment_window(backend: Backend, monitor: str, segment: str, start: Millis) -> Window | None:
    """The window of a segment that starts then."""
    found = backend.need("monitors").windows(monitor, since=start, until=start + 1, segment=segment)
    return next((window for window in found if window.start == start), None)
