"""The verbs, as small Protocols by capability, and the family of errors that every adapter speaks.

A `Backend` is a record of the capabilities it has. A missing one is None, and `Backend.missing` says why in a sentence
that a pane shows. Adapters are plain blocking Python, safe to call from several threads at once; each call ends within
the adapter's own time limit.

Lists are pages. A page is asked for *at* a cursor:

    START            the first rows
    END              the last rows
    "#N"             from row number N, counted from 0   (only with `Features.seek`)
    "@ID"            the page that holds the row with this id (only with `Features.seek`)
    anything else    what an earlier page gave as `next` or `previous`

Every mutation carries a `Mutation` and is journaled by the backend itself: for a store with transactions in the same
one, for a remote server as an intent before and an outcome after in the sidecar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from backends.entities import (
    Alert,
    AliasMove,
    Artifact,
    Capacity,
    Column,
    Dataset,
    DatasetInput,
    DatasetVersion,
    Definition,
    Deployment,
    DeploymentStatus,
    Experiment,
    GateResult,
    JournalEntry,
    LaunchSpec,
    LogChunk,
    LoggedMetric,
    LoggedModel,
    MetricPoint,
    MetricSeries,
    Millis,
    Model,
    ModelFile,
    ModelOutput,
    ModelVersion,
    Monitor,
    Progress,
    Record,
    Report,
    Request,
    Run,
    RunQueue,
    RunStatus,
    Signature,
    Source,
    Window,
)
from backends.query import Query

T = TypeVar("T")

START = ""
END = "$"

# ---------------------------------------------------------------- errors


class BackendError(Exception):
    """What went wrong, to what, and what to do: the message is one to show to a person (after `safe_text`)."""


class NotFound(BackendError):
    """The named thing is not there."""


class Conflict(BackendError):
    """It changed under you: the expected state is not the state. Nothing was changed."""


class Refused(BackendError):
    """A rule forbids it: a failed gate, read-only, a protected alias. Nothing was changed."""

    def __init__(self, message: str, gates: Sequence[GateResult] = ()) -> None:
        super().__init__(message)
        self.gates = tuple(gates)


class Invalid(BackendError):
    """The input is wrong. `field` names the part that is."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Unauthorized(BackendError):
    """The server does not accept who we are."""


class Unreachable(BackendError):
    """The server or the store does not answer. `retry_at` is when it makes sense to ask again, `since` when it last
    answered, each if known."""

    def __init__(self, message: str, retry_at: Millis | None = None, since: Millis | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at
        self.since = since


class Unsupported(BackendError):
    """This backend has no such thing."""


# ---------------------------------------------------------------- shared records


class Mutation(msgspec.Struct, frozen=True):
    """Who changes something and why. There is no way to change anything without one.

    `key` makes the change idempotent: a second call with the same key does nothing and returns what the first one made.
    """

    actor: str
    reason: str = ""
    key: str = ""
    action: str = ""
    """Journal action where the verb's own is not the whole story, e.g. `model.rollback` for a `set_alias`."""
    gates: tuple[GateResult, ...] = ()
    undoes: str = ""
    """Id of the journal entry that this takes back."""

    def __post_init__(self) -> None:
        if not self.actor.strip():
            raise ValueError("a mutation needs an actor")


class Page(Record, Generic[T], frozen=True, kw_only=True):
    """A stretch of a list, in the order asked for."""

    items: tuple[T, ...]
    next: str | None = None
    """Cursor of what follows, None at the end."""
    previous: str | None = None
    """Cursor of what comes before, None at the start."""
    first: int | None = None
    """Row number of `items[0]`, where known."""
    total: int | None = None
    note: str = ""
    """What a person should know of this list, as half a sentence: "among the newest 1 000 runs". Empty when it is
    simply what was asked for."""


class Count(Record, frozen=True, kw_only=True):
    """How many rows a query has; `exact` is False when counting stopped at the limit."""

    value: int
    exact: bool = True


class Features(Record, frozen=True, kw_only=True):
    """Finer differences between backends, as data."""

    seek: bool = False
    count: bool = False
    server_sort: bool = False
    compare_and_set: bool = False
    """Alias moves are atomic against the expected holder."""
    actor: bool = False
    history: bool = False
    delete: bool = False
    metric_history: bool = False
    read_only: bool = False
    own_ids: bool = False
    """A run can be made under an id that is given."""
    any_keys: bool = False
    """Keys of metrics, parameters and tags may be any text."""
    whole_series: bool = False
    """The course of a metric keeps its lows and highs however it is cut; else it is thinned to some of its points."""
    page_limit: int = 0
    """Rows that one question of a visible pane may ask for, so that it stays small; 0 for any number."""


# ---------------------------------------------------------------- capabilities


class DatasetStore(Protocol):
    """Content-addressed dataset versions, stored as Parquet."""

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[Dataset]: ...

    def get(self, name: str) -> Dataset: ...

    def versions(self, name: str, *, at: str = START, limit: int = 100) -> Page[DatasetVersion]:
        """Newest first."""
        ...

    def version(self, ref: str) -> DatasetVersion:
        """By `name@version`, by `name` (the latest), or by a digest or its unique beginning (8 characters or more)."""
        ...

    def path(self, ref: str) -> Path:
        """A local Parquet file with this content; read only."""
        ...

    def add(
        self,
        name: str,
        file: Path,
        *,
        digest: str,
        rows: int,
        columns: Sequence[Column],
        source: str,
        mutation: Mutation,
        parent: str = "",
        note: str = "",
        inputs: Sequence[str] = (),
        made_by: str = "",
    ) -> tuple[DatasetVersion, bool]:
        """Keep a finished Parquet file as the next version, moving it in. An existing version with this digest is
        returned with False instead, and the file is removed."""
        ...

    def set_column(
        self, name: str, column: str, mutation: Mutation, *, note: str | None = None, unit: str | None = None
    ) -> None:
        """What a column of this dataset means and is measured in, for all its versions; None leaves it as it is."""
        ...

    def set_note(self, ref: str, note: str, mutation: Mutation) -> None:
        """Of a version (`name@version`), or of the dataset itself (`name`)."""
        ...

    def delete(self, ref: str, mutation: Mutation) -> int:
        """The dataset with all its versions (`name`), or one version (`name@version`), whose number is not used again.

        Gives the bytes of stored files that nothing names any more; a clean-up of the store gives them back.
        """
        ...


class DefinitionStore(Protocol):
    """Named texts with all their versions: checks, transforms, feature sets. Versions count from 1."""

    def page(self, kind: str, *, at: str = START, limit: int = 100) -> Page[Definition]:
        """The latest version of each name, by name."""
        ...

    def versions(self, kind: str, name: str, *, at: str = START, limit: int = 100) -> Page[Definition]:
        """Newest first."""
        ...

    def get(self, kind: str, ref: str) -> Definition:
        """By `name@version`, or by `name` (the latest)."""
        ...

    def put(
        self, kind: str, name: str, text: str, mutation: Mutation, *, state: str = "", note: str = ""
    ) -> tuple[Definition, bool]:
        """Keep it as the next version. The latest version, if it has this text and state, is returned with False."""
        ...

    def delete(self, kind: str, name: str, mutation: Mutation) -> None:
        """The name with all its versions; what was made by them keeps their names."""
        ...


class ReportStore(Protocol):
    """What examinations found, each kept as it was."""

    def add(self, report: Report) -> Report:
        """Keep it under a new id."""
        ...

    def latest(self, kind: str, subject: str) -> Report | None: ...

    def page(self, kind: str = "", subject: str = "", *, at: str = START, limit: int = 100) -> Page[Report]:
        """Newest first; of any kind or subject where none is named."""
        ...


class RunStore(Protocol):
    """Runs, their parameters and the course of their metrics."""

    def page(
        self,
        query: Query | None = None,
        *,
        at: str = START,
        limit: int = 100,
        columns: Sequence[str] | None = None,
        deleted: bool = False,
    ) -> Page[Run]:
        """Without an order: newest first. `columns` such as `metrics.auc`, `params.lr`, `tags.team` limits which keys
        are filled in; None fills in all."""
        ...

    def count(self, query: Query | None = None, *, limit: int = 10_000, deleted: bool = False) -> Count: ...

    def get(self, run: str) -> Run:
        """By id or by its unique beginning (4 characters or more)."""
        ...

    def latest(self, run: str) -> tuple[MetricPoint, ...]:
        """The latest point of each metric, by key: of the highest step, and there of the highest time."""
        ...

    def points(self, run: str, key: str, *, at: str = START, limit: int = 25_000) -> Page[MetricPoint]:
        """Every point of a metric as it was logged, by step; of one step in the order logged. For exports: a chart
        asks for `series`. A metric that was never logged has none."""
        ...

    def keys(self, scope: str, *, prefix: str = "", limit: int = 200) -> tuple[str, ...]:
        """Known names within `metrics`, `params` or `tags`, most used first."""
        ...

    def experiments(self) -> tuple[Experiment, ...]:
        """Those that are not deleted, by name."""
        ...

    def create(
        self,
        *,
        name: str,
        mutation: Mutation,
        experiment: str = "default",
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        inputs: Sequence[DatasetInput] = (),
        source: Source | None = None,
        parent: str = "",
        engine: str = "local",
        id: str = "",  # noqa: A002
    ) -> Run:
        """A new queued run. The experiment is made if it is not there."""
        ...

    def start(self, run: str, *, at: Millis | None = None) -> Run:
        """queued → running. Any other state is a Conflict."""
        ...

    def end(
        self, run: str, status: RunStatus, *, exit_code: int | None = None, reason: str = "", at: Millis | None = None
    ) -> Run:
        """To a final state, once. A second end is a Conflict unless it says the same."""
        ...

    def mark_stopping(self, run: str) -> Run: ...

    def reopen(self, run: str) -> Run:
        """An ended run goes on: running again, without an end, an exit code or a reason. Of a running one: nothing."""
        ...

    def rename(self, run: str, name: str, mutation: Mutation) -> None: ...

    def log_points(self, run: str, points: Sequence[MetricPoint]) -> None:
        """Append to the course of metrics; steps may come in any order. NaN and infinities are kept."""
        ...

    def log_params(self, run: str, params: dict[str, str]) -> None:
        """Add parameters. A parameter cannot change: a different value is Invalid."""
        ...

    def set_tags(self, run: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        """None removes a tag."""
        ...

    def set_source(self, run: str, source: Source) -> None:
        """The code that a run came from, where it is learned only after the start."""
        ...

    def set_parent(self, run: str, parent: str) -> None: ...

    def set_progress(self, run: str, progress: Progress) -> None: ...

    def add_inputs(self, run: str, inputs: Sequence[DatasetInput]) -> None: ...

    def set_note(self, run: str, note: str, mutation: Mutation) -> None: ...

    def series(
        self,
        run: str,
        key: str,
        *,
        buckets: int = 400,
        first_step: int | None = None,
        last_step: int | None = None,
    ) -> MetricSeries: ...

    def delete(self, run: str, mutation: Mutation, *, unended: bool = False) -> None:
        """Out of sight; `restore` brings it back. Refused while it has not ended, except with `unended`."""
        ...

    def restore(self, run: str, mutation: Mutation) -> None: ...


class ExperimentStore(Protocol):
    """Named groups of runs."""

    def page(self, *, at: str = START, limit: int = 100, deleted: bool = False) -> Page[Experiment]:
        """Last updated first; with `deleted`, the deleted ones only."""
        ...

    def get(self, experiment: str) -> Experiment:
        """By id or by name, deleted or not."""
        ...

    def create(self, name: str, mutation: Mutation, *, tags: dict[str, str] | None = None) -> Experiment:
        """Conflict where the name is taken, be it by a deleted one."""
        ...

    def rename(self, experiment: str, name: str, mutation: Mutation) -> None: ...

    def set_tags(self, experiment: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        """None removes a tag."""
        ...

    def set_note(self, experiment: str, note: str, mutation: Mutation) -> None: ...

    def delete(self, experiment: str, mutation: Mutation, *, unended: bool = False) -> None:
        """Out of sight with its runs; `restore` brings both back. Refused while one of its runs has not ended, except
        with `unended`."""
        ...

    def restore(self, experiment: str, mutation: Mutation) -> None: ...


class LoggedModelStore(Protocol):
    """Models that runs left, registered or not. Their files are in the artifact store, under the model's id."""

    def page(
        self, *, experiments: Sequence[str] = (), run: str = "", at: str = START, limit: int = 100
    ) -> Page[LoggedModel]:
        """Newest first; of these experiments (names), of this run, or all. Without the deleted."""
        ...

    def get(self, model: str) -> LoggedModel:
        """By id, deleted or not."""
        ...

    def create(
        self,
        *,
        name: str,
        experiment: str,
        mutation: Mutation,
        run: str = "",
        type: str = "",  # noqa: A002
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        id: str = "",  # noqa: A002
    ) -> LoggedModel:
        """A pending model; its id begins with `m-`. An empty name is made up."""
        ...

    def finish(self, model: str, status: str) -> LoggedModel:
        """`ready`, `failed`, or `pending` again."""
        ...

    def log_params(self, model: str, params: dict[str, str]) -> None: ...

    def log_metrics(self, model: str, metrics: Sequence[LoggedMetric]) -> None:
        """Of one key, dataset and run the latest stands."""
        ...

    def set_tags(self, model: str, tags: dict[str, str | None], mutation: Mutation) -> None: ...

    def delete(self, model: str, mutation: Mutation) -> None: ...

    def add_outputs(self, run: str, outputs: Sequence[ModelOutput]) -> None:
        """These models came out of the run."""
        ...

    def outputs(self, run: str) -> tuple[ModelOutput, ...]: ...


class ArtifactStore(Protocol):
    """Files that runs and logged models leave, kept by content. `run` is the id of either."""

    def list(self, run: str, *, prefix: str = "") -> tuple[Artifact, ...]:
        """Every file, by path; `prefix` is the beginning of a path. No folders."""
        ...

    def children(self, run: str, path: str = "") -> tuple[Artifact, ...]:
        """What lies directly in a folder: its folders, then its files, each by name. Nothing where there is no such
        folder."""
        ...

    def put(self, run: str, path: str, file: Path) -> Artifact:
        """Keep a copy of the file under the run. The path is relative and cannot leave the run."""
        ...

    def open(self, run: str, path: str, *, fetched: Callable[[int], object] | None = None) -> Path:
        """A local file with this content; read only. `fetched` is told the bytes that have come, where they come from
        elsewhere."""
        ...

    def verify(self, run: str, path: str, sha256: str = "") -> bool:
        """Whether the stored bytes still have this sha256; without one, the recorded one. Unsupported where neither is
        known."""
        ...

    def remove(self, run: str, path: str, mutation: Mutation) -> None:
        """A file, or a folder with all that is in it. NotFound where there is neither."""
        ...


class ModelRegistry(Protocol):
    """Registered models, versions and aliases."""

    def page(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[Model]:
        """By name without an order. `kind` is `model`, `prompt`, or empty for both."""
        ...

    def get(self, name: str) -> Model: ...

    def versions(self, name: str, *, at: str = START, limit: int = 100) -> Page[ModelVersion]:
        """Newest first."""
        ...

    def version(self, model: str, version: str) -> ModelVersion:
        """By version, or by alias with `@alias` as the version."""
        ...

    def holders(self, models: Sequence[Model], alias: str) -> dict[str, ModelVersion]:
        """By model's name the version that holds the alias, for a list of models. A server may be asked for some of
        them at a time: whoever is missing comes with a later look."""
        ...

    def search(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[ModelVersion]:
        """Versions of any model, by `VERSION_FIELDS`; without an order the newest first."""
        ...

    def create(
        self,
        model: str,
        mutation: Mutation,
        *,
        note: str = "",
        tags: dict[str, str] | None = None,
        kind: str = "model",
    ) -> Model:
        """A name without versions. Conflict where it is taken."""
        ...

    def rename(self, model: str, name: str, mutation: Mutation) -> Model:
        """With all its versions and aliases. Conflict where the new name is taken."""
        ...

    def delete(self, model: str, mutation: Mutation) -> None:
        """For good, with versions and aliases; the journal and the history keep what was."""
        ...

    def delete_version(self, model: str, version: str, mutation: Mutation) -> None:
        """For good, and its aliases with it; its number is not used again."""
        ...

    def register(
        self,
        model: str,
        *,
        run: str,
        file: ModelFile,
        signature: Signature,
        mutation: Mutation,
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
        inputs: Sequence[DatasetInput] = (),
        tags: dict[str, str] | None = None,
        note: str = "",
        source: str = "",
        logged_model: str = "",
    ) -> ModelVersion:
        """The next version of a model; the model is made if it is not there."""
        ...

    def set_alias(
        self, model: str, alias: str, version: str | None, *, expected: str | None, mutation: Mutation
    ) -> AliasMove:
        """Point the alias at a version (None takes it away) if it points at `expected` now (None: at nothing), else
        Conflict that says who moved it and when. Setting it where it is already is a Conflict too, except by the same
        idempotency key."""
        ...

    def history(self, model: str, *, alias: str = "", limit: int = 1000) -> tuple[AliasMove, ...]:
        """Newest first."""
        ...

    def set_note(self, model: str, version: str, note: str, mutation: Mutation) -> None:
        """Of a version, or of the model itself where version is empty."""
        ...

    def set_tags(self, model: str, version: str, tags: dict[str, str | None], mutation: Mutation) -> None: ...


class Journal(Protocol):
    """Every change, chained by hash."""

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[JournalEntry]:
        """Newest first without an order."""
        ...

    def get(self, entry: str) -> JournalEntry: ...

    def record(
        self,
        action: str,
        target: str,
        mutation: Mutation,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        outcome: str = "done",
        detail: str = "",
    ) -> JournalEntry:
        """Write what no other verb journals by itself (a failed promotion, a refused one, an acknowledged alert)."""
        ...

    def verify(self) -> tuple[int, str]:
        """(entries checked, "") when the chain holds, else (entries that hold, a sentence about the first that does
        not)."""
        ...


class MonitorStore(Protocol):
    """Monitors, their windows and their alerts."""

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[Monitor]: ...

    def get(self, name: str) -> Monitor: ...

    def put(self, monitor: Monitor, mutation: Mutation) -> Monitor:
        """Make or change a monitor's definition."""
        ...

    def delete(self, name: str, mutation: Mutation) -> None: ...

    def add_window(self, window: Window, *, batch: str = "") -> bool:
        """Keep a window; one with the same monitor, start and segment is replaced. `batch` (a file's sha256 or the
        like) makes it idempotent: False when this batch was added before."""
        ...

    def windows(
        self,
        monitor: str,
        *,
        since: Millis | None = None,
        until: Millis | None = None,
        limit: int = 1000,
        segment: str = "",
    ) -> tuple[Window, ...]:
        """Oldest first; the newest `limit` of them."""
        ...

    def add_batch(self, monitor: str, batch: str) -> bool:
        """Note down a batch that reached no window. False when it was added before."""
        ...

    def batches(self, monitor: str) -> frozenset[str]:
        """Which batches were added already."""
        ...

    def alerts(self, monitor: str = "", *, open_only: bool = False, limit: int = 200) -> tuple[Alert, ...]:
        """Newest first."""
        ...

    def put_alert(self, alert: Alert) -> None: ...

    def ack_alert(self, alert: str, mutation: Mutation) -> Alert: ...


class DeploymentStore(Protocol):
    """What is to be served, and what the agent sees of it."""

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[Deployment]:
        """By name without an order."""
        ...

    def get(self, name: str) -> Deployment: ...

    def create(self, deployment: Deployment, mutation: Mutation) -> Deployment:
        """Conflict where the name is taken. Revision, times and status are the store's to say."""
        ...

    def change(self, deployment: Deployment, mutation: Mutation) -> Deployment:
        """Put this definition in place of the one whose `revision` it has, else Conflict that says who changed it and
        when. The status stays; a definition that says the same changes nothing and keeps its revision."""
        ...

    def delete(self, name: str, mutation: Mutation) -> None:
        """Refused unless it is stopped."""
        ...

    def observe(self, name: str, status: DeploymentStatus) -> bool:
        """Keep what was seen of its server; no change of the definition, and not journaled. False when it says what
        was kept already."""
        ...


class RequestQueue(Protocol):
    """Durable work for the agent."""

    def add(self, kind: str, payload: dict[str, Any], *, key: str, created_by: str, priority: int = 0) -> Request:
        """A second request with the same key is the first one."""
        ...

    def claim(self, by: str, kinds: Sequence[str] = ()) -> Request | None:
        """The next waiting request by priority, then age; atomically ours."""
        ...

    def finish(self, request: str, *, error: str = "") -> None: ...

    def release(self, request: str) -> None:
        """Back to waiting: for what an agent that died had claimed."""
        ...

    def cancel(self, request: str) -> bool:
        """True when it was still waiting."""
        ...

    def prioritise(self, request: str, priority: int) -> bool:
        """True when it was still waiting, and so has its new place."""
        ...

    def list(
        self, *, states: Sequence[str] = ("waiting", "claimed"), kind: str = "", limit: int = 200
    ) -> tuple[Request, ...]: ...


class Launcher(Protocol):
    """Runs commands on an engine, each under a run's id."""

    def submit(self, spec: LaunchSpec, mutation: Mutation) -> None:
        """Accept the command. Repeating it for the same run does nothing."""
        ...

    def cancel(self, run: str, mutation: Mutation) -> None:
        """Ask for the end of the whole process tree; a queued run is stopped at once."""
        ...

    def log(self, run: str, *, start: int = 0, limit: int = 65_536) -> LogChunk:
        """From byte `start`; a negative start counts from the end."""
        ...

    def capacity(self) -> Capacity: ...

    def queue(self) -> RunQueue:
        """What waits and why, in the order in which it will begin."""
        ...

    def prioritise(self, run: str, priority: int, mutation: Mutation) -> None:
        """Move a waiting run: the higher goes first. Conflict when it has begun."""
        ...

    def pause(self, mutation: Mutation) -> None:
        """Begin nothing further until `resume`. Conflict when it is paused."""
        ...

    def resume(self, mutation: Mutation) -> None:
        """Conflict when it is not paused."""
        ...


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """What a context gives: its capabilities, and the reason for each that it lacks."""

    name: str
    url: str
    features: Features
    datasets: DatasetStore | None = None
    definitions: DefinitionStore | None = None
    reports: ReportStore | None = None
    experiments: ExperimentStore | None = None
    runs: RunStore | None = None
    logged_models: LoggedModelStore | None = None
    artifacts: ArtifactStore | None = None
    registry: ModelRegistry | None = None
    journal: Journal | None = None
    monitors: MonitorStore | None = None
    deployments: DeploymentStore | None = None
    requests: RequestQueue | None = None
    launcher: Launcher | None = None
    missing: dict[str, str] = {}
    """capability → why it is not there."""
    changed: Callable[[], object]
    """A cheap token that differs when anything may have changed: compare it, then ask."""
    close: Callable[[], None]
    home: Path | None = None
    """The workspace directory, where there is one."""
    tracking: Callable[[str], dict[str, str]] | None = None
    """The environment in which an MLflow client logs into this backend, under the run of this id where one is given.
    It may hold secrets: it is given to the process it is for, and kept nowhere."""

    def need(self, capability: str) -> Any:
        """The capability, or Unsupported with the reason."""
        found = getattr(self, capability)
        if found is None:
            why = self.missing.get(capability, "this backend does not offer it")
            raise Unsupported(f"{capability}: not available in context {self.name}: {why}")
        return found


def all_pages(fetch: Callable[[str], Page[T]]) -> Iterable[T]:
    """Every item of a paged list, page by page: `all_pages(lambda at: store.page(query, at=at))`."""
    at: str | None = START
    while at is not None:
        page = fetch(at)
        yield from page.items
        at = page.next
