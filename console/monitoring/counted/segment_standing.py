"""How each part of a monitor's rows stands: its newest window, and what was counted of it. Plain Python."""

from __future__ import annotations

from backends.contract import Backend
from backends.entities import Estimate, Monitor, Segment

COUNTED = 1000
"""Newest windows that are added up."""


class SegmentStanding(Segment, frozen=True, kw_only=True):
    """A segment and what was counted of it."""

    counted: bool = True
    """Whether it is counted on, or only its history is kept."""
    windows: int = 0
    rows: int = 0
    labelled: int = 0
    state: str = ""
    performance: dict[str, Estimate] = {}  # noqa: RUF012
    """Of its newest window."""


def segments_standing(backend: Backend, monitor: Monitor, *, limit: int = COUNTED) -> tuple[SegmentStanding, ...]:
    """Each segment of the monitor, in its order, over its newest `limit` windows."""
    return tuple(_standing(backend, monitor.name, segment, limit) for segment in monitor.segments)


def _standing(backend: Backend, monitor: str, segment: Segment, limit: int) -> SegmentStanding:
    windows = backend.need("monitors").windows(monitor, limit=limit, segment=segment.name)
    newest = windows[-1] if windows else None
    return SegmentStanding(
        name=segment.name,
        where=segment.where,
        windows=len(windows),
        rows=sum(window.rows for window in windows),
        labelled=sum(window.labelled for window in windows),
        state="no data" if newest is None else newest.state,
        performance={} if newest is None else newest.performance,
    )
