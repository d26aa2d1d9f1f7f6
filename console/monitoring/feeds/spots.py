"""Which stored window the rows of a stretch of time belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backends.contract import Backend, Invalid
from backends.entities import Millis, Monitor, Record, Window
from console.monitoring.counted.windows import LENGTHS, window_bounds

MAX_WINDOWS = 5000
"""Rows handed in at once that span more windows have a broken time column."""

Vector = np.ndarray


class Spot(Record, frozen=True):
    """Where rows of one stretch are added up."""

    start: Millis
    end: Millis
    window: Window | None = None
    """What is stored there."""


def tumbling_starts(at: Vector, monitor: Monitor, name: str) -> Vector:
    """Start of the minute, hour or day of each row, shape (n,); of a batch, its first row's time throughout."""
    if monitor.window == "batch":
        return np.full(len(at), at.min())
    length = LENGTHS.get(monitor.window)
    if length is None:
        window_bounds(monitor.window, 0)  # says what is known
        raise AssertionError
    starts: Vector = at - at % length
    if len(np.unique(starts)) > MAX_WINDOWS:
        raise Invalid(
            f"{name} spans more than {MAX_WINDOWS} windows of a {monitor.window}; is {monitor.time_column!r} its time?",
            "time_column",
        )
    return starts


def find_spots(backend: Backend, monitor: Monitor, version: str, starts: Vector, at: Vector) -> dict[int, Spot]:
    """Tumbling start → the window of this version that covers it, stored or to be made.

    Counts of two versions cannot be added: where the version changed within a window, the newer one's begins at its own
    first row. A stretch whose windows were merged into a longer one belongs to that one.
    """
    order = [int(start) for start in np.unique(starts)]
    if monitor.window == "batch":
        ends = {order[0]: int(at.max()) + 1}
    else:
        ends = {start: start + LENGTHS[monitor.window] for start in order}
    stored = backend.need("monitors").overlapping(monitor.name, since=order[0], until=max(ends.values()))
    spots: dict[int, Spot] = {}
    for start in order:
        end = ends[start]
        here = [window for window in stored if window.start < end and window.end > start]
        taken = max((window.start for window in here if window.start >= start), default=-1)
        # A batch is a window by itself, unless those of its day were merged.
        own = newest_of([each for each in here if _is_day(each)] if monitor.window == "batch" else here, version)
        if own is not None:
            spots[start] = Spot(own.start, max(own.end, end), own)
        elif monitor.window == "batch":
            spots[start] = Spot(start if taken < start else taken + 1, end)
        else:
            spots[start] = Spot(start if taken < start else max(int(at[starts == start].min()), taken + 1), end)
    return spots


def _is_day(window: Window) -> bool:
    return window.start % LENGTHS["day"] == 0 and window.end - window.start >= LENGTHS["day"]


def newest_of(windows: Sequence[Window], version: str) -> Window | None:
    """The one of this version that begins last."""
    return max((each for each in windows if each.model_version == version), key=lambda each: each.start, default=None)
