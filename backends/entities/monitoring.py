"""What is watched in production, and what was seen."""

from __future__ import annotations

from enum import StrEnum

from backends.entities.record import Millis, Record


class MonitorState(StrEnum):
    OK = "ok"
    WARN = "warn"
    FIRING = "firing"
    NO_DATA = "no data"


class Segment(Record, frozen=True, kw_only=True):
    """A part of the rows with a name."""

    name: str
    where: str
    """A condition on the row's columns in the query language: `origin = JFK and distance > 500`."""


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
    group_column: str = ""
    """Which query (session, list) a row answers: its rows are ranked against each other. Empty where nothing is."""
    top: int = 10
    """Ranks that the ranking metrics look at (the k of NDCG@k): as fixed as the cells of its windows are."""
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
    deployment: str = ""
    """Fed by what this deployment answered; empty where it has another source."""
    segments: tuple[Segment, ...] = ()
    """Parts of the rows that are counted beside the whole."""
    protected: tuple[str, ...] = ()
    """Columns whose groups the answers are compared between."""
    redact: tuple[str, ...] = ()
    """Columns whose values are kept in no sample; they may be absent from what arrives."""
    rules: str = ""
    """The alert policy as TOML (see `console.monitoring.alarms.rules`); empty for the default rules with the knobs of
    `policy`."""
    keep: dict[str, str] = {}
    """How long what is kept of it: `minutes`, `hours`, `days`, `scored`, `samples`, `ids` → a time such as `90 d`, or
    `always`; what is not named stays as the store has it (see `console.retention.monitors`)."""

    @property
    def service_source(self) -> str:
        """Whose service windows belong to it: its deployment's, else those of its own metric source."""
        return self.deployment or f"monitor:{self.name}"


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
    jensen_shannon: float | None = None
    """Distance (root of the divergence, natural logarithm), 0 to 0.833."""
    wasserstein: float | None = None
    """In standard deviations of the reference; None for categories."""
    p_value: float | None = None
    """That chance alone makes a distance as large, by the column's own test."""
    q_value: float | None = None
    """The p-value corrected over the columns of the window (Benjamini-Hochberg)."""
    fault: str = ""
    """What went wrong with the values, in one word or two: `missing`, `new level`, `unit change`, `swapped`, `stuck`,
    `outside`, `gone`; empty where nothing did."""


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
    label: ColumnScore | None = None
    """How far the labels are from those of the reference; None without labels."""
    label_lag: float | None = None
    """Median time from a prediction to its label, in seconds."""
    lags: dict[int, int] = {}
    """Labels that came later, by how long they took: cell n holds those of 2**(n/4) to 2**((n+1)/4) seconds."""
    estimated: dict[str, Estimate] = {}
    """The performance metrics as they are expected to be from scores alone, without labels."""
    multivariate: dict[str, Estimate] = {}
    """What many columns say together: `reconstruction` (error of the reference's principal components, in standard
    deviations of the reference's own), `domain` (area under the ROC curve of a classifier that tells window from
    reference)."""
    bias: dict[str, Estimate] = {}
    """`COLUMN.metric` → how unlike the groups of a protected column are answered."""


class Holding(Record, frozen=True, kw_only=True):
    """How much of one kind a store holds of a monitor."""

    what: str
    """`minutes`, `hours` or `days` by the length of windows (batches count as what they last), `views` for those that
    are made from others, `ids` for batches that are known again."""
    segments: bool = False
    """Windows of segments, not of the whole."""
    count: int
    bytes: int
    """Without the store's own overhead."""


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
    rule: str = ""
    """Name of the rule that it comes from."""
    segment: str = ""
    """Part of the rows that it is about; empty for all."""
    runbook: str = ""
    """Where it is written what to do."""
    resolved_by: str = ""
    """Who said that it is over; empty where the measure did."""
    muted_until: Millis | None = None
    """Nobody is told until then; the store fills it from the mutes when it reads."""
