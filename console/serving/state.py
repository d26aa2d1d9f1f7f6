"""What a server says of itself, and what can be read from it without a server: the records of `GET /state`."""

from __future__ import annotations

import msgspec

from backends.entities import Millis, Record


class TargetState(Record, frozen=True, kw_only=True):
    """One target as it is."""

    target: str
    """`@champion` or `v7`."""
    alias: str = ""
    share: float = 1.0
    shadow: bool = False
    version: str = ""
    sha256: str = ""
    loaded_at: Millis = 0
    state: str = ""
    """`serving`; or `kept`: another version was wanted, this one goes on, and `why` says for what reason."""
    why: str = ""
    wanted: str = ""
    engine: str = ""
    """`sklearn` or `onnx`."""
    quick: bool = False
    """One-row requests are answered without a data frame, by steps that were found to give the same."""
    row_ms: float = 0.0
    """What an answer for one row took when the version was tried."""


class VersionState(Record, frozen=True, kw_only=True):
    """What one version did since the server's start. Times in milliseconds, None where it answered nothing."""

    version: str
    requests: int = 0
    rows: int = 0
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    """HTTP status → answers."""
    errors: dict[str, int] = msgspec.field(default_factory=dict)
    """Of those, 400 and up."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    mean_ms: float | None = None
    times: tuple[int, ...] = ()
    """Answers by time, in the cells of `counters.EDGES`."""
    shadow_requests: int = 0
    shadow_errors: int = 0


class TargetTally(Record, frozen=True, kw_only=True):
    """The last answers of one target's callers."""

    target: str
    keys: int = 0
    failed: int = 0
    """Of the keys: their last answer had a status of 400 or more."""
    times: tuple[int, ...] = ()
    """Keys by the time of their last answer, in the cells of `counters.EDGES`."""
    scores: tuple[int, ...] = ()
    """Keys by their last score, in cells of equal share over all targets, ascending; empty where none has scores."""


class WorkerState(Record, frozen=True, kw_only=True):
    pid: int
    cpu_seconds: float
    rss: int
    """Bytes."""
    in_flight: int
    connections: int
    loaded: tuple[str, ...]


class State(Record, frozen=True, kw_only=True):
    """All that `GET /state` says."""

    deployment: str
    model: str
    url: str
    pid: int
    started_at: Millis
    at: Millis
    draining: bool
    targets: tuple[TargetState, ...]
    versions: tuple[VersionState, ...]
    """Those that answered; `-` is what was answered by none (wrong paths, wrong tokens)."""
    workers: tuple[WorkerState, ...]
    swaps: int
    logged: int
    log_dropped: int
    log_trouble: str
    shadow_dropped: int
    tallies: tuple[TargetTally, ...] = ()
    """Of the targets that share the traffic, what each caller last got; empty where one answers alone."""
    away: str = ""
    """Why the registry cannot be asked, so that what the aliases name now is not known; empty where it can."""
