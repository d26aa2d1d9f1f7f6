"""Where runs are kept, with their experiments, models and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from backends.contract.mutation import Mutation
from backends.contract.paging import START, Count, Page
from backends.entities import (
    Artifact,
    DatasetInput,
    Experiment,
    LoggedMetric,
    LoggedModel,
    MetricPoint,
    MetricSeries,
    Millis,
    ModelOutput,
    Progress,
    Run,
    RunStatus,
    Source,
)

if TYPE_CHECKING:
    from backends.query import Query


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

    def hear(self, run: str, at: Millis) -> None:
        """The run said something that is kept elsewhere, such as a line of its log: `Run.heard_at` is no earlier."""
        ...

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
