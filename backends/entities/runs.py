"""Experiments and runs, with what they measure and leave behind."""

from __future__ import annotations

from enum import StrEnum

from backends.entities.data import DatasetInput
from backends.entities.record import Millis, Record


class RunStatus(StrEnum):
    """Where a run stands. Only the first three can change."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"
    """Its process vanished without a word: killed with its supervisor, or the machine went down."""

    @property
    def ended(self) -> bool:
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.STOPPING)


class Experiment(Record, frozen=True, kw_only=True):
    """A named group of runs."""

    id: str
    name: str
    created_at: Millis
    updated_at: Millis = 0
    runs: int | None = None
    """None where nobody counted."""
    note: str = ""
    tags: dict[str, str] = {}
    deleted_at: Millis | None = None


class Progress(Record, frozen=True, kw_only=True):
    """How far a run is, as it last said."""

    at: Millis
    fraction: float | None = None
    """0 to 1, or None when the end is not known."""
    stage: str = ""
    rate: str = ""
    eta_s: float | None = None


class Source(Record, frozen=True, kw_only=True):
    """The code a run was started from."""

    entry: str = ""
    commit: str = ""
    branch: str = ""
    dirty: bool = False
    diff: str = ""
    """Artifact path of the uncommitted diff, or empty."""
    repo: str = ""


class Run(Record, frozen=True, kw_only=True):
    """One execution: parameters in, metrics and artifacts out."""

    id: str
    name: str
    experiment: str
    status: RunStatus
    created_at: Millis
    created_by: str = ""
    started_at: Millis | None = None
    ended_at: Millis | None = None
    params: dict[str, str] = {}
    metrics: dict[str, float] = {}
    """The latest value of each metric (only the asked-for keys, where a page names its columns)."""
    tags: dict[str, str] = {}
    inputs: tuple[DatasetInput, ...] = ()
    source: Source = Source()
    parent: str = ""
    engine: str = "local"
    progress: Progress | None = None
    exit_code: int | None = None
    reason: str = ""
    """Why it ended as it did, in one line; empty when it finished well."""
    deleted_at: Millis | None = None
    note: str = ""
    heard_at: Millis | None = None
    """When it last said something by itself: a metric of its own, a parameter, how far it is, a line of output. None
    where nobody knows."""
    broken: dict[str, int] = {}
    """Its metrics that are NaN or infinite, though they were finite before → the step from which on. A server that
    keeps no such thing tells those that are so beyond step 0."""


class MetricPoint(Record, frozen=True, kw_only=True):
    """One measurement of a run."""

    key: str
    value: float
    step: int = 0
    at: Millis = 0


class MetricBucket(Record, frozen=True, kw_only=True):
    """What a stretch of steps held: enough to draw it truthfully in one column."""

    first_step: int
    last_step: int
    low: float
    high: float
    last: float
    count: int
    at: Millis = 0
    """Time of the last point."""


class MetricSeries(Record, frozen=True, kw_only=True):
    """The course of a metric, cut to at most the asked number of buckets. NaN points are their own buckets (a gap)."""

    run: str
    key: str
    buckets: tuple[MetricBucket, ...]
    count: int


class Artifact(Record, frozen=True, kw_only=True):
    """A file that a run left."""

    run: str
    path: str
    bytes: int
    sha256: str
    """Empty where the store records none."""
    created_at: Millis = 0
    folder: bool = False
    """A folder, as `ArtifactStore.children` lists them; `bytes` is 0 then."""


class LoggedMetric(Record, frozen=True, kw_only=True):
    """A measurement of a logged model, on a dataset where that was said."""

    key: str
    value: float
    step: int = 0
    at: Millis = 0
    run: str = ""
    dataset: str = ""
    digest: str = ""


class LoggedModel(Record, frozen=True, kw_only=True):
    """A model that a run left, before and beside any registration: a checkpoint, with files of its own.

    Its files are in the artifact store under its own id.
    """

    id: str
    name: str
    experiment: str
    run: str = ""
    type: str = ""
    """`sklearn`, …, as the client says."""
    status: str = "pending"
    """`pending`, `ready` or `failed`."""
    created_at: Millis = 0
    updated_at: Millis = 0
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: tuple[LoggedMetric, ...] = ()
    deleted_at: Millis | None = None


class ModelOutput(Record, frozen=True, kw_only=True):
    """A logged model that a run left at a step."""

    model: str
    """Id of the logged model."""
    step: int = 0


class LogChunk(Record, frozen=True, kw_only=True):
    """A piece of a run's log, by byte offset."""

    text: str
    start: int
    end: int
    size: int
    """Bytes in the whole log now."""
    ended: bool
    """No more will come."""
