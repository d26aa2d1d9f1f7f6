"""What a server counts of itself: requests, errors and time by version, in buckets that add up over workers."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from backends.entities.service import TIME_EDGES, quantile_of

EDGES: Final = TIME_EDGES
"""Upper edges in seconds, those of the service windows that are kept of a server."""

NONE: Final = "-"
"""The version of what was answered by none: a wrong path, a wrong token."""


class Counted(msgspec.Struct):
    """Of one version, since the worker's start."""

    requests: int = 0
    rows: int = 0
    statuses: dict[str, int] = {}
    seconds: float = 0.0
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(EDGES) + 1))
    shadow_requests: int = 0
    """Times that it was asked as a shadow; `buckets` and `requests` hold only answers that were given."""
    shadow_errors: int = 0
    shadow_seconds: float = 0.0

    def add(self, status: int, seconds: float, rows: int) -> None:
        self.requests += 1
        self.rows += rows
        key = str(status)
        self.statuses[key] = self.statuses.get(key, 0) + 1
        self.seconds += seconds
        self.buckets[bisect.bisect_left(EDGES, seconds)] += 1

    @property
    def errors(self) -> dict[str, int]:
        """By status, 400 and up."""
        return {status: count for status, count in sorted(self.statuses.items()) if status >= "4"}


class WorkerStats(msgspec.Struct):
    """What one worker says of itself."""

    pid: int = 0
    versions: dict[str, Counted] = {}
    """By version; answers of none are under `-`."""
    logged: int = 0
    """Rows handed to the log."""
    log_dropped: int = 0
    log_trouble: str = ""
    shadow_dropped: int = 0
    in_flight: int = 0
    connections: int = 0
    rss: int = 0
    """Bytes."""
    cpu_seconds: float = 0.0
    loaded: list[str] = []
    quick: list[str] = []
    """Of those, the versions that answer one row without a data frame."""
    row_ms: dict[str, float] = {}
    """By version, what an answer for one row took when it was tried."""
    swaps: int = 0


def summed(stats: Iterable[WorkerStats]) -> dict[str, Counted]:
    """By version, over workers."""
    out: dict[str, Counted] = {}
    for worker in stats:
        for version, found in worker.versions.items():
            total = out.setdefault(version, Counted())
            total.requests += found.requests
            total.rows += found.rows
            total.seconds += found.seconds
            total.shadow_requests += found.shadow_requests
            total.shadow_errors += found.shadow_errors
            total.shadow_seconds += found.shadow_seconds
            total.buckets = [a + b for a, b in zip(total.buckets, found.buckets, strict=True)]
            for status, count in found.statuses.items():
                total.statuses[status] = total.statuses.get(status, 0) + count
    return out


def quantile(buckets: Sequence[int], share: float) -> float | None:
    """The time in seconds within which this share of the answers were given, linear within its bucket; None for no
    answers."""
    return quantile_of(buckets, share)
