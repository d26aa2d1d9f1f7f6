"""Runs of an MLflow server: the verbs of `RunStore` over the protocol.

What MLflow has no field for lies in tags of ours (`names.py`), so that every console on the server sees the same.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from backends.contract import START, Conflict, Count, Invalid, Mutation, NotFound, Page, Refused, Unsupported
from backends.entities import (
    DatasetInput,
    Experiment,
    MetricBucket,
    MetricPoint,
    MetricSeries,
    Millis,
    Progress,
    Run,
    RunStatus,
    Source,
)
from backends.mlflow import decode, names
from backends.mlflow.client_experiments import MlflowExperiments
from backends.mlflow.client_pages import RunPages
from backends.mlflow.client_room import Room, check_name, check_unicode, check_value
from backends.query import Query
from backends.remote.state import now

_POINTS: Final = 1_000
_PAIRS: Final = 100
_PAGE: Final = 25_000
_PROGRESS_S: Final = 2.0
_HEARD_MS: Final = 30_000
_PARAM: Final = 6_000
_TAG: Final = 8_000
_SAMPLE: Final = 50


class MlflowRuns:
    """`RunStore` over the protocol."""

    def __init__(self, room: Room, experiments: MlflowExperiments, pages: RunPages) -> None:
        self._room = room
        self._experiments = experiments
        self._pages = pages
        self._told: dict[str, float] = {}
        self._heard: dict[str, Millis] = {}

    # ------------------------------------------------------------ reading

    def page(
        self,
        query: Query | None = None,
        *,
        at: str = START,
        limit: int = 100,
        columns: Sequence[str] | None = None,
        deleted: bool = False,
    ) -> Page[Run]:
        found = self._pages.page(query or Query(), at, limit, deleted)
        if columns is None:
            return found
        return msgspec.structs.replace(found, items=tuple(_narrow(run, columns) for run in found.items))

    def count(self, query: Query | None = None, *, limit: int = 10_000, deleted: bool = False) -> Count:
        return self._pages.count(query or Query(), limit, deleted)

    def get(self, run: str) -> Run:
        return self._pages.run(self._raw(run))

    def _raw(self, run: str) -> dict[str, Any]:
        if not run or len(run) < 4:
            raise NotFound(f"run {run} is not there; give a run's id, or its first 4 characters or more.")
        try:
            found: dict[str, Any] = self._room.transport.get("runs/get", {"run_id": run})["run"]
        except (NotFound, Invalid):
            if not run.isalnum() or len(run) >= 32:
                raise NotFound(f"run {run} is not there; give a run's id, or its first 4 characters.") from None
            whole = self._pages.by_prefix(run).id
            found = self._room.transport.get("runs/get", {"run_id": whole})["run"]
        return found

    def latest(self, run: str) -> tuple[MetricPoint, ...]:
        found = decode.points(self._raw(run).get("data", {}).get("metrics", ()))
        return tuple(sorted(found, key=lambda point: point.key))

    def points(self, run: str, key: str, *, at: str = START, limit: int = _PAGE) -> Page[MetricPoint]:
        params = {"run_id": self.get(run).id, "metric_key": key, "max_results": min(limit, _PAGE), "page_token": at}
        found = self._room.transport.get("metrics/get-history", params, keep=False)
        items = decode.points(found.get("metrics", ()))
        return Page(items=tuple(sorted(items, key=lambda point: point.step)), next=found.get("next_page_token") or None)

    def keys(self, scope: str, *, prefix: str = "", limit: int = 200) -> tuple[str, ...]:
        """Those of the runs seen last, else of the newest: the server has no list of them, and is not asked for each
        letter that is typed."""
        if scope not in ("metrics", "params", "tags"):
            raise Invalid(f"keys are of metrics, params or tags, not {scope!r}.", "scope")
        seen = self._pages.seen
        if not seen.some:
            self.page(limit=_SAMPLE)
        found = [
            pair
            for pair in seen.keys(scope, _SAMPLE * 4).items()
            if pair[0].startswith(prefix) and not pair[0].startswith("mlflow.")
        ]
        return tuple(key for key, _ in sorted(found, key=lambda pair: (-pair[1], pair[0])))[:limit]

    def experiments(self) -> tuple[Experiment, ...]:
        return self._experiments.list()

    def series(
        self, run: str, key: str, *, buckets: int = 400, first_step: int | None = None, last_step: int | None = None
    ) -> MetricSeries:
        """As many points as buckets, spread over the steps by the server. Of an ended run it is read once."""
        return self._pages.seen.course(
            run, key, (buckets, first_step, last_step), lambda: self._read(run, key, buckets, first_step, last_step)
        )

    def _read(self, run: str, key: str, buckets: int, first_step: int | None, last_step: int | None) -> MetricSeries:
        params: dict[str, Any] = {"run_ids": run, "metric_key": key, "max_results": max(2, min(buckets, 2_500))}
        if first_step is not None:
            params["start_step"] = first_step
        if last_step is not None:
            params["end_step"] = last_step
        try:
            found = self._room.transport.get("metrics/get-history-bulk-interval", params).get("metrics", ())
        except Unsupported:  # an older server
            found = self._room.transport.get("metrics/get-history", {"run_id": run, "metric_key": key}).get(
                "metrics", ()
            )
        points = sorted(decode.points(found), key=lambda point: (point.step, point.at))
        kept = tuple(
            MetricBucket(
                first_step=point.step, last_step=point.step, low=point.value, high=point.value, last=point.value,
                count=1, at=point.at,
            )
            for point in points
        )  # fmt: skip
        return MetricSeries(run=run, key=key, buckets=kept, count=len(kept))

    # ------------------------------------------------------------ life

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
        check_name("run", name)
        check_name("experiment", experiment, "experiment")
        if id:
            raise Unsupported("an MLflow server gives its runs their ids itself; nothing was made. Leave the id out.")
        made = self._room.state.made_before("run.create", mutation)
        if made is not None:
            return self.get(made)
        self._check(params or {}, tags or {})
        at = now()
        ours = {
            names.USER: mutation.actor,
            names.ENGINE: engine,
            names.STATUS: RunStatus.QUEUED.value,
            names.CREATED: str(at),
            names.PARENT: parent,
            names.KEY: mutation.key,
            **_source_tags(source),
        }
        given = {key: value for key, value in ours.items() if value} | (tags or {})
        number = self._experiments.ensure(experiment)
        body = {"experiment_id": number, "run_name": name, "start_time": at, "tags": _pairs(given)}
        run = self._begun(number, mutation.key) if self._room.state.tried_before(mutation) else ""
        if not run:
            run = decode.run_id(self._room.change("POST", "runs/create", body)["run"])
        self._update(run, status="SCHEDULED")
        if params:
            self.log_params(run, params)
        if inputs:
            self.add_inputs(run, inputs)
        self._room.state.note("run.create", mutation, run)  # whole; before, its tag tells what there is of it
        self._room.record("run.create", run, mutation, after={"name": name, "experiment": experiment})
        return self.get(run)

    def _begun(self, experiment: str, key: str) -> str:
        """The run that an earlier try with this key made, of which no answer came or which it did not finish."""
        if "'" in key:
            return ""
        body = {
            "experiment_ids": [experiment],
            "filter": f"tags.`{names.KEY}` = '{key}'",
            "max_results": 1,
            "run_view_type": "ALL",
        }
        found = self._room.transport.search("runs/search", body, keep=False).get("runs", ())
        return decode.run_id(found[0]) if found else ""

    def start(self, run: str, *, at: Millis | None = None) -> Run:
        found = self.get(run)
        if found.status is not RunStatus.QUEUED:
            raise Conflict(f"run {found.id} is {found.status}, only a queued one can start; nothing was changed.")
        self._tags(found.id, {names.STARTED: str(now() if at is None else at), names.STATUS: None}, found)
        self._update(found.id, status="RUNNING")
        return self.get(found.id)

    def mark_stopping(self, run: str) -> Run:
        found = self.get(run)
        if found.status.ended:
            raise Conflict(f"run {found.id} is {found.status} already, there is nothing to stop; nothing was changed.")
        self._tags(found.id, {names.STATUS: RunStatus.STOPPING.value}, found)
        self._update(found.id, status="RUNNING")
        return self.get(found.id)

    def end(
        self, run: str, status: RunStatus, *, exit_code: int | None = None, reason: str = "", at: Millis | None = None
    ) -> Run:
        if not status.ended:
            raise Invalid(f"a run cannot end as {status}; nothing was changed.", "status")
        found = self.get(run)
        if found.status is status:
            return found
        if found.status.ended:
            raise Conflict(
                f"run {found.id} has ended as {found.status} and cannot end as {status}; nothing was changed."
            )
        tags: dict[str, str | None] = {
            names.STATUS: status.value if status is RunStatus.LOST else None,
            names.REASON: reason[:_TAG] or None,
            names.EXIT_CODE: None if exit_code is None else str(exit_code),
        }
        self._tags(found.id, tags, found)
        self._update(found.id, status=names.TO_MLFLOW[status], end_time=now() if at is None else at)
        return self.get(found.id)

    def reopen(self, run: str) -> Run:
        found = self.get(run)
        if found.status is not RunStatus.RUNNING:
            self._tags(found.id, {names.STATUS: None, names.REASON: None, names.EXIT_CODE: None}, found)
            self._update(found.id, status="RUNNING")
        return self.get(found.id)

    def _update(self, run: str, **fields: Any) -> None:
        self._room.change("POST", "runs/update", {"run_id": run, **fields}, repeatable=True)

    # ------------------------------------------------------------ what a run says

    def log_points(self, run: str, points: Sequence[MetricPoint]) -> None:
        for point in points:
            check_name("metric", point.key, "key")
            if not (-(2**63) <= point.step < 2**63 and -(2**63) <= point.at < 2**63):
                raise Invalid("a step or time is beyond 64 bits; nothing was logged.", "step")
        for start in range(0, len(points), _POINTS):
            metrics = [
                {"key": p.key, "value": _number(p.value), "timestamp": p.at, "step": p.step}
                for p in points[start : start + _POINTS]
            ]
            self._room.change("POST", "runs/log-batch", {"run_id": run, "metrics": metrics})

    def log_params(self, run: str, params: dict[str, str]) -> None:
        self._check(params, {})
        known = self.get(run).params
        for key, value in params.items():
            if known.get(key, value) != value:
                raise Invalid(
                    f"parameter {key} of run {run} is {known[key]} and cannot become {value}; nothing was changed. "
                    "Start another run, or log it under another name.",
                    f"params.{key}",
                )
        fresh = _pairs({key: value for key, value in params.items() if key not in known})
        for start in range(0, len(fresh), _PAIRS):
            body = {"run_id": run, "params": fresh[start : start + _PAIRS]}
            self._room.change("POST", "runs/log-batch", body, repeatable=True)

    def set_source(self, run: str, source: Source) -> None:
        self._tags(run, dict(_source_tags(source)))

    def set_parent(self, run: str, parent: str) -> None:
        found = self.get(run)
        if found.parent != parent:
            self._tags(found.id, {names.PARENT: parent or None}, None)

    def set_progress(self, run: str, progress: Progress) -> None:
        """At most every two seconds: a server is no terminal."""
        if time.monotonic() - self._told.get(run, -_PROGRESS_S) < _PROGRESS_S and progress.fraction != 1.0:
            return
        self._told[run] = time.monotonic()
        self._tags(run, {names.PROGRESS: msgspec.json.encode(progress).decode()[:_TAG]})

    def hear(self, run: str, at: Millis) -> None:
        """At most every half minute."""
        if at - self._heard.get(run, -_HEARD_MS) >= _HEARD_MS:
            self._heard[run] = at
            self._tags(run, {names.HEARD: str(at)})

    def add_inputs(self, run: str, inputs: Sequence[DatasetInput]) -> None:
        datasets = [_input(each) for each in inputs]
        if datasets:
            self._room.change("POST", "runs/log-inputs", {"run_id": run, "datasets": datasets}, repeatable=True)

    # ------------------------------------------------------------ what people say of a run

    def set_tags(self, run: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        if self._room.state.made_before("run.tag", mutation) is not None:
            return
        self._check({}, {key: value or "" for key, value in tags.items()})
        found = self.get(run)
        changed = {key: value for key, value in tags.items() if found.tags.get(key) != value}
        self._tags(found.id, changed, found)
        if changed:
            before = {key: found.tags.get(key) for key in changed}
            self._room.record("run.tag", found.id, mutation, before={"tags": before}, after={"tags": changed})
        self._room.state.note("run.tag", mutation)

    def _tags(self, run: str, tags: Mapping[str, str | None], found: Run | None = None) -> None:
        """Set and take away; `found` tells which of those to be taken away are there at all."""
        given = _pairs({key: value for key, value in tags.items() if value is not None})
        for start in range(0, len(given), _PAIRS):
            body = {"run_id": run, "tags": given[start : start + _PAIRS]}
            self._room.change("POST", "runs/log-batch", body, repeatable=True)
        for key in [key for key, value in tags.items() if value is None]:
            if found is not None and not _has(found, key):
                continue
            try:
                self._room.change("POST", "runs/delete-tag", {"run_id": run, "key": key})
            except NotFound:
                pass  # it is away, as wanted

    def rename(self, run: str, name: str, mutation: Mutation) -> None:
        check_name("run", name)
        check_unicode(name, "name")
        if self._room.state.made_before("run.rename", mutation) is not None:
            return
        found = self.get(run)
        if found.name != name:
            self._update(found.id, run_name=name)
            self._room.record("run.rename", found.id, mutation, before={"name": found.name}, after={"name": name})
        self._room.state.note("run.rename", mutation)

    def set_note(self, run: str, note: str, mutation: Mutation) -> None:
        if self._room.state.made_before("run.note", mutation) is not None:
            return
        check_value("a note", "", note, _TAG, "note")
        found = self.get(run)
        if found.note != note:
            self._tags(found.id, {names.NOTE: note})
            self._room.record("run.note", found.id, mutation, before={"note": found.note}, after={"note": note})
        self._room.state.note("run.note", mutation)

    def delete(self, run: str, mutation: Mutation, *, unended: bool = False) -> None:
        if self._room.state.made_before("run.delete", mutation) is not None:
            return
        found = self.get(run)
        if not unended and not found.status.ended:
            raise Refused(
                f"run {found.id} is {found.status} and cannot be deleted; nothing was changed. Stop it first."
            )
        if found.deleted_at is None:
            at = now()
            self._tags(found.id, {names.DELETED: str(at)})
            self._room.change("POST", "runs/delete", {"run_id": found.id}, repeatable=True)
            before, after = {"deleted_at": None}, {"deleted_at": at}
            self._room.record("run.delete", found.id, mutation, before=before, after=after)
        self._room.state.note("run.delete", mutation)

    def restore(self, run: str, mutation: Mutation) -> None:
        if self._room.state.made_before("run.restore", mutation) is not None:
            return
        found = self.get(run)
        if found.deleted_at is not None:
            self._room.change("POST", "runs/restore", {"run_id": found.id}, repeatable=True)
            before, after = {"deleted_at": found.deleted_at}, {"deleted_at": None}
            self._room.record("run.restore", found.id, mutation, before=before, after=after)
        self._room.state.note("run.restore", mutation)

    def _check(self, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        for what, pairs, most in (("parameter", params, _PARAM), ("tag", tags, _TAG)):
            for key, value in pairs.items():
                check_name(what, key, f"{what}s")
                check_value(what, key, value, most, "params" if what == "parameter" else "tags")


def _narrow(run: Run, columns: Sequence[str]) -> Run:
    chosen: dict[str, set[str]] = {"metrics": set(), "params": set(), "tags": set()}
    for column in columns:
        scope, _, key = column.partition(".")
        if scope in chosen:
            chosen[scope].add(key)
    kept = {
        scope: {key: value for key, value in getattr(run, scope).items() if key in wanted}
        for scope, wanted in chosen.items()
    }
    return msgspec.structs.replace(run, **kept)


def _has(found: Run, key: str) -> bool:
    fields = {
        names.STATUS: True,
        names.REASON: bool(found.reason),
        names.EXIT_CODE: found.exit_code is not None,
    }
    return fields.get(key, key in found.tags)


def _pairs(found: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in found.items()]


def _number(value: float) -> float | str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _source_tags(source: Source | None) -> dict[str, str]:
    if source is None or source == Source():
        return {}
    said = {
        names.SOURCE_NAME: source.entry,
        names.COMMIT: source.commit,
        names.BRANCH: source.branch,
        names.REPO: source.repo,
        names.SOURCE: msgspec.json.encode(source).decode(),
    }
    return {key: value for key, value in said.items() if value}


def _input(read: DatasetInput) -> dict[str, Any]:
    tags = {names.CONTEXT: read.context, names.DATASET_VERSION: read.version, names.DATASET_DIGEST: read.digest}
    dataset = {
        "name": read.dataset,
        "digest": read.digest[:36],
        "source_type": read.source_type or "local",
        "source": read.source or "{}",
        "schema": read.schema,
        "profile": read.profile,
    }
    return {"tags": _pairs(tags), "dataset": {key: value for key, value in dataset.items() if value}}
