"""The nouns, as frozen typed records.

One declaration is type, validation and JSON: `msgspec.json.encode(entity)` is what `--json` prints, and
`msgspec.json.decode(text, type=Run)` is what reads it back. Ids, names and versions are opaque strings that no pane
parses. Every time is `Millis`: whole milliseconds since 1970-01-01 UTC; screens turn it into local time.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

Millis = int
"""Milliseconds since the epoch, UTC."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What every noun is: immutable, keyword-only, JSON both ways."""


# ---------------------------------------------------------------- data


class ColumnType(StrEnum):
    """What a column holds, as far as a model cares."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STRING = "string"
    DATETIME = "datetime"
    DATE = "date"
    OTHER = "other"

    @property
    def numeric(self) -> bool:
        return self in (ColumnType.INT, ColumnType.FLOAT, ColumnType.BOOL)


class Column(Record, frozen=True, kw_only=True):
    """One column of a dataset version or of a model's signature."""

    name: str
    type: ColumnType
    nulls: int | None = None
    """How many values are missing; None where nobody counted."""
    unit: str = ""
    """Of measurement, as people write it: `min`, `km`, `USD`."""
    note: str = ""
    """What it means."""


class Dataset(Record, frozen=True, kw_only=True):
    """A named line of versions."""

    name: str
    created_at: Millis
    created_by: str = ""
    versions: int = 0
    latest: str = ""
    rows: int = 0
    """Rows of the latest version."""
    updated_at: Millis = 0
    note: str = ""
    tags: dict[str, str] = {}


class DatasetVersion(Record, frozen=True, kw_only=True):
    """An immutable content: same content, same digest, same version."""

    dataset: str
    version: str
    digest: str
    """sha256 of the content in canonical form (schema and rows), independent of the file it came from."""
    rows: int
    bytes: int
    """Size of the stored Parquet file."""
    columns: tuple[Column, ...]
    source: str
    """Where it came from, in words: a path, a recipe, a query."""
    created_at: Millis
    created_by: str = ""
    parent: str = ""
    """`name@version` that this was made from, or empty."""
    inputs: tuple[str, ...] = ()
    """Further versions it was made from, such as the other side of a join, each as `name@version`."""
    made_by: str = ""
    """The definition that made it, as `kind:name@version`, or empty: `transform:prepare@3`, `features:trip@2`."""
    object: str = ""
    """sha256 of the stored file in the object store."""
    note: str = ""
    tags: dict[str, str] = {}

    @property
    def ref(self) -> str:
        return f"{self.dataset}@{self.version}"


class DatasetInput(Record, frozen=True, kw_only=True):
    """A dataset version that a run read."""

    dataset: str
    version: str
    """Of what a tracking client logged without a version of ours: its digest."""
    digest: str
    context: str = "training"
    source_type: str = ""
    """`local`, `s3`, `http`, …: how whoever logged it calls the place it came from; empty for our own datasets."""
    source: str = ""
    """Where it came from, as it was logged."""
    schema: str = ""
    """As it was logged; filled in by `RunStore.get` alone."""
    profile: str = ""
    """As it was logged; filled in by `RunStore.get` alone."""


class Definition(Record, frozen=True, kw_only=True):
    """A named text of which every version is kept: a set of checks, a transform, a feature set.

    Same text, same digest, same version. What the text says is the business of the room that reads it.
    """

    kind: str
    """`checks`, `transform`, `features`, …"""
    name: str
    version: str
    digest: str
    """sha256 of the text."""
    text: str
    created_at: Millis
    created_by: str = ""
    note: str = ""
    state: str = ""
    """What was learned from data to carry it out, as JSON: means, edges, categories. Empty where nothing is."""

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def whole(self) -> str:
        """As `DatasetVersion.made_by` names it."""
        return f"{self.kind}:{self.ref}"


# ---------------------------------------------------------------- runs


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


# ---------------------------------------------------------------- registry


class Signature(Record, frozen=True, kw_only=True):
    """What a model takes and gives."""

    inputs: tuple[Column, ...] = ()
    outputs: tuple[Column, ...] = ()


class Package(Record, frozen=True, kw_only=True):
    """How whoever logged a model packed it, as its MLmodel file says."""

    flavors: tuple[str, ...] = ()
    """`sklearn`, `python_function`, …: by which it can be loaded."""
    loader: str = ""
    """Module that loads it as a plain function."""
    mlflow: str = ""
    """Version of MLflow that wrote it."""
    python: str = ""
    bytes: int = 0
    """Of the model, as it says itself."""
    requirements: tuple[str, ...] = ()
    """Packages that it needs, as pip is told."""


class ModelFile(Record, frozen=True, kw_only=True):
    """The serialised model of a version, and what is known of its safety."""

    sha256: str = ""
    bytes: int = 0
    format: str = ""
    """`skops`, `pickle`, `onnx`, …"""
    path: str = ""
    """Artifact path within the run."""
    untrusted: tuple[str, ...] = ()
    """Types in the file that the console's allow-list does not hold."""
    inspected: bool = False
    """Somebody looked for such types; else that `untrusted` is empty says nothing."""
    libraries: dict[str, str] = {}
    owner: str = ""
    """Id of the logged model that keeps the file, where it is not the version's run."""


class Model(Record, frozen=True, kw_only=True):
    """A registered model: a name under which versions and aliases live."""

    name: str
    created_at: Millis
    created_by: str = ""
    updated_at: Millis = 0
    versions: int = 0
    latest: str = ""
    aliases: dict[str, str] = {}
    """alias → version."""
    note: str = ""
    tags: dict[str, str] = {}
    kind: str = "model"
    """`model`, or `prompt`: some registries keep prompts under the same names."""


class ModelVersion(Record, frozen=True, kw_only=True):
    """One registered result of a run."""

    model: str
    version: str
    created_at: Millis
    created_by: str = ""
    run: str = ""
    file: ModelFile = ModelFile()
    signature: Signature = Signature()
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}
    inputs: tuple[DatasetInput, ...] = ()
    aliases: tuple[str, ...] = ()
    note: str = ""
    tags: dict[str, str] = {}
    source: str = ""
    """URI of its files, as whoever registered it gave it."""
    logged_model: str = ""
    """Id of the logged model it was registered from."""
    package: Package | None = None
    """Filled in by `backends.mlmodel.with_package` alone."""

    @property
    def ref(self) -> str:
        return f"{self.model}@{self.version}"


class GateStatus(StrEnum):
    PASS = "pass"  # noqa: S105
    WARN = "warn"
    FAIL = "fail"


class GateResult(Record, frozen=True, kw_only=True):
    """One check that stands before a promotion."""

    gate: str
    status: GateStatus
    value: str = ""
    """What was measured, as a person reads it."""
    rule: str = ""
    """What was wanted."""
    detail: str = ""


class CheckResult(Record, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    """Its name, once in a report."""
    kind: str
    """`range`, `unique`, …"""
    status: GateStatus
    columns: tuple[str, ...] = ()
    value: str = ""
    """What was measured, as a person reads it."""
    rule: str = ""
    """What was wanted."""
    detail: str = ""
    failing: int | None = None
    """Rows that fail it, where it is one that rows can fail."""
    rows: int | None = None
    """Rows that it looked at."""
    examples: tuple[str, ...] = ()
    """Some that fail, each as `row N: value`."""
    owner: str = ""
    note: str = ""


class Report(Record, frozen=True, kw_only=True):
    """What was found when a subject was examined: the checks of a dataset version, the bias of a model."""

    kind: str
    """`checks`, `bias`, …"""
    subject: str
    """`name@version` of a dataset or a model, or the id of a run."""
    status: GateStatus
    """The worst of the results."""
    at: Millis
    id: str = ""
    actor: str = ""
    digest: str = ""
    """Of the content that was examined."""
    definition: str = ""
    """By what, as `name@version` of a definition; or the name of a file and the sha256 of its text."""
    results: tuple[CheckResult, ...] = ()
    figures: dict[str, Any] = {}
    """What was measured besides, as JSON; its shape is the business of the room that wrote it."""


class AliasMove(Record, frozen=True, kw_only=True):
    """One change of an alias, as the history keeps it. `version` None means the alias was taken away."""

    model: str
    alias: str
    version: str | None
    previous: str | None
    at: Millis
    actor: str
    reason: str = ""
    action: str = "promote"
    entry: str = ""
    """Id of the journal entry."""


# ---------------------------------------------------------------- journal


class Outcome(StrEnum):
    """What became of a journaled intent."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    ABANDONED = "abandoned"
    """Its process died before the change; nothing was changed."""


class JournalEntry(Record, frozen=True, kw_only=True):
    """One change: who, when, what, from, to, why. Entries are chained by hash."""

    seq: int
    id: str
    at: Millis
    actor: str
    action: str
    """`noun.verb`, e.g. `model.promote`, `run.start`, `dataset.import`."""
    target: str
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reason: str = ""
    gates: tuple[GateResult, ...] = ()
    outcome: Outcome = Outcome.DONE
    detail: str = ""
    key: str = ""
    """Idempotency key of the request."""
    undoes: str = ""
    undone_by: str = ""
    previous_hash: str = ""
    hash: str = ""


# ---------------------------------------------------------------- monitoring


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


# ---------------------------------------------------------------- serving


class DeploymentWish(StrEnum):
    """What a deployment is to be."""

    SERVING = "serving"
    STOPPED = "stopped"


class DeploymentState(StrEnum):
    """What a deployment is."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    """It takes no new requests and answers those it has."""
    STOPPED = "stopped"
    CRASH_LOOP = "crash loop"
    """Its server ended again and again; it is tried again, ever more seldom."""


class Target(Record, frozen=True, kw_only=True):
    """One of the versions that a deployment answers with: the one an alias names, or a fixed one."""

    alias: str = ""
    version: str = ""
    share: float = 1.0
    """0 to 1, of the requests. A shadow has none: it is asked besides, and its answer goes to nobody."""
    shadow: bool = False

    @property
    def label(self) -> str:
        """`champion`, or `v7`."""
        return self.alias or f"v{self.version}"


class Guard(Record, frozen=True, kw_only=True):
    """When a deployment takes the traffic away from a version that does worse than the first target.

    A rule fires where the difference is larger than its effect *and* chance is an unlikely cause (`alpha` over all
    looks together). 0 for an effect turns its rule off.
    """

    alpha: float = 0.01
    """Probability with which versions that do alike are taken apart, over the whole course."""
    errors: float = 0.01
    """Increase of the share of failed requests, 0 to 1."""
    slow: float = 0.10
    """Increase of the share of requests slower than the first target's p95, 0 to 1."""
    drift: float = 0.25
    """Population stability index between the scores."""
    requests: int = 100
    """Fewer answers of either version are not judged."""


class Served(Record, frozen=True, kw_only=True):
    """What a server says of one target."""

    target: str
    """`Target.label`."""
    version: str
    """Which version answers; empty for none."""
    digest: str = ""
    since: Millis = 0
    trouble: str = ""
    """Why it is not the one that is wanted; empty where it is."""


class DeploymentStatus(Record, frozen=True, kw_only=True):
    """What the agent last saw of a deployment's server."""

    state: DeploymentState = DeploymentState.STOPPED
    since: Millis | None = None
    """Since when it is in this state."""
    url: str = ""
    pid: int | None = None
    served: tuple[Served, ...] = ()
    revision: int = 0
    """Of the definition that the server was last given."""
    restarts: int = 0
    """How often it ended by itself since it was last wanted."""
    reason: str = ""
    """What is wrong, in one line; empty when nothing is."""
    tail: tuple[str, ...] = ()
    """The last lines of its log, where it ended by itself."""


class Deployment(Record, frozen=True, kw_only=True):
    """A model that is to be served, and how. What is served is another matter: `status`."""

    name: str
    model: str
    targets: tuple[Target, ...] = (Target(alias="champion"),)
    """The first is the one that others are held against."""
    key: str = ""
    """Column whose value decides which target answers, so that the same customer meets the same version."""
    workers: int = 1
    host: str = "127.0.0.1"
    port: int = 0
    """0 for any that is free."""
    token_file: str = ""
    """Path of a file of mode 0600 with the token that callers send; empty for no token. Never the token itself."""
    log: bool = True
    """Keep predictions."""
    sample: float = 1.0
    """Share of the predictions that are kept, 0 to 1."""
    redact: tuple[str, ...] = ()
    """Columns whose values are not kept."""
    guard: Guard | None = None
    """None where a worse version is left to people."""
    halted: str = ""
    """What the guard last did, until the split is changed."""
    desired: DeploymentWish = DeploymentWish.SERVING
    note: str = ""
    revision: int = 0
    """Counts the changes of the definition: what compare-and-set compares."""
    created_at: Millis = 0
    created_by: str = ""
    changed_at: Millis = 0
    status: DeploymentStatus = DeploymentStatus()

    @property
    def health(self) -> str:
        """`ok`, `warn`, `failed`, or `` where nothing can be said: one word for what is wanted and what is."""
        if self.status.state is DeploymentState.CRASH_LOOP:
            return "failed"
        if self.desired is DeploymentWish.STOPPED or self.status.state is not DeploymentState.SERVING:
            return ""
        return "warn" if self.status.reason or self.halted or any(s.trouble for s in self.status.served) else "ok"


# ---------------------------------------------------------------- requests


class RequestState(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Request(Record, frozen=True, kw_only=True):
    """A durable piece of work for the agent. The database is the queue."""

    id: str
    kind: str
    payload: dict[str, Any]
    state: RequestState
    created_at: Millis
    created_by: str = ""
    priority: int = 0
    claimed_by: str = ""
    claimed_at: Millis | None = None
    ended_at: Millis | None = None
    attempts: int = 0
    error: str = ""


class Capacity(Record, frozen=True, kw_only=True):
    """What a launcher can still take."""

    slots: int
    running: int
    queued: int


class QueuePause(Record, frozen=True, kw_only=True):
    """Who let nothing further begin, and why."""

    actor: str
    at: Millis
    reason: str = ""


class WaitingRun(Record, frozen=True, kw_only=True):
    """A run that has not begun."""

    run: str
    priority: int
    """The higher goes first; of the same, the older."""
    since: Millis
    by: str
    why: str
    """What it waits for, as a sentence."""


class RunQueue(Record, frozen=True, kw_only=True):
    """What an engine runs, and what waits, in the order in which it will begin."""

    slots: int
    running: tuple[str, ...]
    waiting: tuple[WaitingRun, ...]
    paused: QueuePause | None = None

    def why(self, run: str) -> str:
        """What a run waits for, or empty."""
        return next((each.why for each in self.waiting if each.run == run), "")


class LaunchSpec(Record, frozen=True, kw_only=True):
    """A command to run on an engine, under an existing run's id."""

    run: str
    argv: tuple[str, ...]
    env: dict[str, str] = {}
    """Added to the engine's own environment. Never secrets."""
    cwd: str = ""
    files: dict[str, str] = {}
    """Small text files to lay into the run's folder before the start: name → content."""
    priority: int = 0
    grace_s: float = 10.0
    """How long a stop waits between SIGTERM and SIGKILL."""
    control: bool = False
    """It does no work itself but has others do it: it takes no slot, and waits for none."""
    tracking: bool = False
    """The command logs over the MLflow protocol: it is given address, run and token when it starts."""
    max_seconds: float = 0.0
    """After so long it is stopped, and has failed; 0 for no limit."""
    max_memory: int = 0
    """Bytes of resident memory that its processes may take together; 0 for no limit."""
    nice: int = 0
    """0 to 19: how far it stands back behind other processes."""
