"""The protocol's JSON as our records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import msgspec

from backends.contract import BackendError
from backends.entities import (
    Artifact,
    DatasetInput,
    Experiment,
    LoggedMetric,
    LoggedModel,
    MetricPoint,
    Model,
    ModelFile,
    ModelOutput,
    ModelVersion,
    Progress,
    Run,
    RunStatus,
    Signature,
    Source,
)
from backends.mlflow import names
from backends.system_metrics import is_system

P = ParamSpec("P")
T = TypeVar("T")
Json = Mapping[str, Any]

_LARGEST: Final = 1.797693134862315e308
"""SQL stores keep an infinity as the largest number."""
_HIDDEN: Final = frozenset(
    {
        names.RUN_NAME, names.USER, names.NOTE, names.PARENT, names.SOURCE_NAME, names.COMMIT, names.BRANCH, names.REPO,
        names.STATUS, names.EXIT_CODE, names.REASON, names.ENGINE, names.STARTED, names.CREATED, names.PROGRESS,
        names.SOURCE, names.SOURCE_TYPE, names.DELETED, names.KEY, names.HEARD,
    }
)  # fmt: skip
"""Tags that are fields of a run."""


def _of_the_protocol(read: Callable[P, T]) -> Callable[P, T]:
    """A reader whose every stumble says that it was given something else than the protocol's JSON."""

    @wraps(read)
    def reading(*args: P.args, **named: P.kwargs) -> T:
        try:
            return read(*args, **named)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError):
            what = read.__name__.replace("_", " ")
            raise BackendError(
                f"the server gave {what} in a form that is not MLflow's; see that the context's address is that of an "
                "MLflow server"
            ) from None

    return reading


@_of_the_protocol
def pairs(found: Iterable[Json]) -> dict[str, str]:
    return {str(each.get("key", "")): str(each.get("value", "")) for each in found}


def number(value: Any) -> float:
    """Numbers come as numbers, or as the protocol's words for what JSON cannot say."""
    found = float(value)
    if math.isnan(found):
        return math.nan  # the one and only, so that two records of the same are equal
    if abs(found) >= _LARGEST:
        return math.copysign(math.inf, found)
    return found


def integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def json_tag(text: str, kind: type[T]) -> T | None:
    """A record that one of our consoles wrote into a tag; somebody else's text is passed over."""
    try:
        return msgspec.json.decode(text, type=kind) if text else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


# ---------------------------------------------------------------- experiments and runs


@_of_the_protocol
def experiment(found: Json) -> Experiment:
    tags = pairs(found.get("tags", ()))
    created = integer(found.get("creation_time")) or 0
    updated = integer(found.get("last_update_time")) or created
    return Experiment(
        id=str(found.get("experiment_id", "")),
        name=str(found.get("name", "")),
        created_at=created,
        updated_at=updated,
        note=tags.pop(names.NOTE, ""),
        tags=tags,
        deleted_at=None if found.get("lifecycle_stage", "active") == "active" else updated,
    )


@_of_the_protocol
def points(found: Iterable[Json]) -> tuple[MetricPoint, ...]:
    return tuple(
        MetricPoint(
            key=str(each["key"]),
            value=number(each.get("value", 0)),
            step=integer(each.get("step")) or 0,
            at=integer(each.get("timestamp")) or 0,
        )
        for each in found
    )


@_of_the_protocol
def run(found: Json, experiment_name: str) -> Run:
    info, data = found.get("info", {}), found.get("data", {})
    tags = pairs(data.get("tags", ()))
    status = _status(str(info.get("status", "RUNNING")), tags.get(names.STATUS, ""))
    begun = integer(info.get("start_time")) or 0
    created = integer(tags.get(names.CREATED)) or begun
    started = integer(tags.get(names.STARTED))
    if started is None and status is not RunStatus.QUEUED and names.CREATED not in tags:
        started = begun
    deleted = info.get("lifecycle_stage", "active") != "active"
    ended = integer(info.get("end_time")) if status.ended else None
    metrics = points(data.get("metrics", ()))
    progress = json_tag(tags.get(names.PROGRESS, ""), Progress)
    said = [point.at for point in metrics if not is_system(point.key)]
    heard = max((*said, integer(tags.get(names.HEARD)) or 0, 0 if progress is None else progress.at))
    return Run(
        id=str(info.get("run_id") or info.get("run_uuid", "")),
        name=str(info.get("run_name") or tags.get(names.RUN_NAME, "")),
        experiment=experiment_name,
        status=status,
        created_at=created,
        created_by=tags.get(names.USER) or str(info.get("user_id", "")),
        started_at=started,
        ended_at=ended or None,
        params=pairs(data.get("params", ())),
        metrics={point.key: point.value for point in metrics},
        tags={key: value for key, value in tags.items() if key not in _HIDDEN},
        inputs=tuple(map(dataset_input, found.get("inputs", {}).get("dataset_inputs", ()))),
        source=_source(tags),
        parent=tags.get(names.PARENT, ""),
        engine=tags.get(names.ENGINE, names.CLIENT),
        progress=progress,
        heard_at=heard or None,
        broken={
            point.key: point.step
            for point in metrics
            if point.step > 0 and not math.isfinite(point.value) and not is_system(point.key)
        },
        exit_code=integer(tags.get(names.EXIT_CODE)) if status.ended else None,
        reason=tags.get(names.REASON, "") if status.ended else "",
        deleted_at=(integer(tags.get(names.DELETED)) or ended or created) if deleted else None,
        note=tags.get(names.NOTE, ""),
    )


@_of_the_protocol
def run_id(found: Json) -> str:
    return str(found["info"]["run_id"])


@_of_the_protocol
def experiment_of(found: Json) -> str:
    """The id of a run's experiment."""
    return str(found.get("info", {}).get("experiment_id", ""))


def _status(said: str, ours: str) -> RunStatus:
    """MLflow's five, told apart further by our tag where it does not contradict them."""
    status = names.FROM_MLFLOW.get(said, RunStatus.RUNNING)
    try:
        finer = RunStatus(ours)
    except ValueError:
        return status
    return finer if names.TO_MLFLOW[finer] == said else status


def _source(tags: Mapping[str, str]) -> Source:
    kept = json_tag(tags.get(names.SOURCE, ""), Source)
    return kept or Source(
        entry=tags.get(names.SOURCE_NAME, ""),
        commit=tags.get(names.COMMIT, ""),
        branch=tags.get(names.BRANCH, ""),
        repo=tags.get(names.REPO, ""),
    )


@_of_the_protocol
def dataset_input(found: Json) -> DatasetInput:
    tags, dataset = pairs(found.get("tags", ())), found.get("dataset", {})
    digest = str(dataset.get("digest", ""))
    ours = names.DATASET_VERSION in tags
    return DatasetInput(
        dataset=str(dataset.get("name", "")),
        version=tags.get(names.DATASET_VERSION, digest),
        digest=tags.get(names.DATASET_DIGEST, digest),
        context=tags.get(names.CONTEXT, ""),
        source_type="" if ours else str(dataset.get("source_type", "")),
        source="" if ours else str(dataset.get("source", "")),
        schema=str(dataset.get("schema", "")),
        profile=str(dataset.get("profile", "")),
    )


# ---------------------------------------------------------------- registry


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of ours has and MLflow has no place for, as JSON in a tag."""

    run: str = ""
    created_by: str = ""
    file: ModelFile = ModelFile()
    signature: Signature = Signature()
    metrics: dict[str, float | str] = {}
    params: dict[str, str] = {}
    inputs: tuple[DatasetInput, ...] = ()


@_of_the_protocol
def model(found: Json, versions: int | None = None) -> Model:
    tags = pairs(found.get("tags", ()))
    created = integer(found.get("creation_timestamp")) or 0
    latest = max((integer(each.get("version")) or 0 for each in found.get("latest_versions", ())), default=0)
    return Model(
        name=str(found.get("name", "")),
        created_at=created,
        created_by=tags.pop(names.CREATED_BY, ""),
        updated_at=integer(found.get("last_updated_timestamp")) or created,
        versions=latest if versions is None else versions,
        latest=str(latest) if latest else "",
        aliases={str(each["alias"]): str(each["version"]) for each in found.get("aliases", ())},
        note=str(found.get("description", "")),
        kind="prompt" if tags.get(names.IS_PROMPT, "").lower() == "true" else "model",
        tags=tags,
    )


@_of_the_protocol
def version(found: Json, aliases: Mapping[str, str]) -> ModelVersion:
    """`aliases` are those of its model: a list of versions does not tell them."""
    tags = pairs(found.get("tags", ()))
    kept = json_tag(tags.get(names.VERSION, ""), VersionRecord) or VersionRecord()
    number_ = str(found.get("version", ""))
    return ModelVersion(
        model=str(found.get("name", "")),
        version=number_,
        created_at=integer(found.get("creation_timestamp")) or 0,
        created_by=kept.created_by or tags.get(names.CREATED_BY, "") or str(found.get("user_id", "")),
        run=str(found.get("run_id", "")) or kept.run,
        file=kept.file,
        signature=kept.signature,
        metrics={key: number(value) for key, value in kept.metrics.items()},
        params=kept.params,
        inputs=kept.inputs,
        aliases=tuple(alias for alias, held in aliases.items() if held == number_),
        note=str(found.get("description", "")),
        tags={
            key: value
            for key, value in tags.items()
            if key not in (names.VERSION, names.CREATED_BY, names.KEY) and not key.startswith(names.MOVE)
        },
        source=str(found.get("source", "")),
        logged_model=str(found.get("model_id", "")),
    )


# ---------------------------------------------------------------- logged models and files

_MODEL_STATUS: Final = {"LOGGED_MODEL_READY": "ready", "LOGGED_MODEL_UPLOAD_FAILED": "failed"}


@_of_the_protocol
def logged_model(found: Json, experiment_name: str) -> LoggedModel:
    info, data = found.get("info", {}), found.get("data", {})
    return LoggedModel(
        id=str(info.get("model_id", "")),
        name=str(info.get("name", "")),
        experiment=experiment_name,
        run=str(info.get("source_run_id", "")),
        type=str(info.get("model_type", "")),
        status=_MODEL_STATUS.get(str(info.get("status", "")), "pending"),
        created_at=integer(info.get("creation_timestamp_ms")) or 0,
        updated_at=integer(info.get("last_updated_timestamp_ms")) or 0,
        params=pairs(data.get("params", ())),
        tags=pairs(info.get("tags", ())),
        metrics=tuple(
            LoggedMetric(
                key=str(each["key"]),
                value=number(each.get("value", 0)),
                step=integer(each.get("step")) or 0,
                at=integer(each.get("timestamp")) or 0,
                run=str(each.get("run_id", "")),
                dataset=str(each.get("dataset_name", "")),
                digest=str(each.get("dataset_digest", "")),
            )
            for each in data.get("metrics", ())
        ),
    )


@_of_the_protocol
def outputs(found: Json) -> tuple[ModelOutput, ...]:
    return tuple(
        ModelOutput(model=str(each.get("model_id", "")), step=integer(each.get("step")) or 0)
        for each in found.get("outputs", {}).get("model_outputs", ())
    )


@_of_the_protocol
def artifact(owner: str, found: Json) -> Artifact:
    folder = bool(found.get("is_dir"))
    size = 0 if folder else integer(found.get("file_size")) or 0
    return Artifact(run=owner, path=str(found.get("path", "")), bytes=size, sha256="", folder=folder)
