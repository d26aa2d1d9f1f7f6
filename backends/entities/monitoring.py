"""What is watched in production, and what was seen."""

from __future__ import annotations

from enum import StrEnum

from backends.entities.record import Millis, Record


class MonitorState(StrEnum):
    OK = "ok"
    WARN = "warn"
    FIRING = "firing"
    NO_DATA = "no data"


class Monitor(Record, frozen=True, kw_only=True):
    """A standing comparison of what a model sees with what it was trained on."""

    name: str
    model: str
    alias: str = "champion"
    """Scores with the version this alias names when a batch arrives."""
    source: str = ""
    """Folder that is watched for batches, or empty when they are handed in."""
    time_column: str = ""
    label_column: str = ""
    id_column: str = ""
    window: str = "day"
    """`minute`, `hour`, `day`, or `batch`: how rows are put into windows."""
    policy: dict[str, float] = {}
    created_at: Millis = 0
    created_by: str = ""
    state: MonitorState = MonitorState.NO_DATA
    rows: int = 0
    windows: int = 0
    last_at: Millis | None = None
    """End of the newest window."""
    note: str = ""
    paused: bool = False


class ColumnScore(Record, frozen=True, kw_only=True):
    """How far one column of one window is from the reference."""

    column: str
    state: MonitorState
    psi: float | None = None
    ks: float | None = None
    missing: float = 0.0
    """Share of missing values, 0 to 1."""
    outside: float = 0.0
    """Share beyond the reference's range, 0 to 1."""
    new: float = 0.0
    """Share in categories the reference never saw, 0 to 1."""
    new_levels: tuple[str, ...] = ()
    reason: str = ""


class Estimate(Record, frozen=True, kw_only=True):
    """A measured quantity with its interval."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0


class Window(Record, frozen=True, kw_only=True):
    """What a monitor saw between two times, stored as counts and never as rows."""

    monitor: str
    start: Millis
    end: Millis
    model_version: str
    rows: int
    labelled: int = 0
    counts: bytes = b""
    """Packed cell counts per column and of the score; `console.monitoring` alone packs and unpacks."""
    columns: tuple[ColumnScore, ...] = ()
    prediction: ColumnScore | None = None
    performance: dict[str, Estimate] = {}
    reference: dict[str, float] = {}
    """The same metrics on held-out reference data."""
    state: MonitorState = MonitorState.OK
    segment: str = ""


class AlertState(StrEnum):
    FIRING = "firing"
    ACKED = "acked"
    RESOLVED = "resolved"


class Alert(Record, frozen=True, kw_only=True):
    """Something a monitor wants a person to know."""

    id: str
    monitor: str
    metric: str
    state: AlertState
    opened_at: Millis
    text: str
    severity: str = "warn"
    resolved_at: Millis | None = None
    acked_by: str = ""
    windows: int = 1
    note: str = ""
    """What a person wrote on it; the store keeps it, whatever a scorer puts."""
