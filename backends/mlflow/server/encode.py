"""Our records as the protocol's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from backends.entities import (
    Artifact,
    DatasetInput,
    Experiment,
    LoggedModel,
    MetricPoint,
    Model,
    ModelOutput,
    ModelVersion,
    Progress,
    Run,
    RunStatus,
    Source,
)
from backends.mlflow import names
from backends.mlflow.server.answers import number
from backends.mlflow.server.room import DEFAULT, Room

Json = dict[str, Any]


def pairs(found: Mapping[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in found.items()]


def lean(found: Json) -> Json:
    """Without what is empty."""
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}


# ---------------------------------------------------------------- experiments and runs


def experiment(room: Room, found: Experiment) -> Json:
    tags = dict(found.tags)
    if found.note:
        tags[names.NOTE] = found.note
    numbered = room.id_of(found.name)
    return lean(
        {
            "experiment_id": numbered,
            "name": "Default" if found.name == DEFAULT else found.name,
            "artifact_location": f"mlflow-artifacts:/{numbered}",
            "lifecycle_stage": "active" if found.deleted_at is None else "deleted",
            "creation_time": found.created_at,
            "last_update_time": found.updated_at or found.created_at,
            "tags": pairs(tags),
        }
    )


def artifact_uri(room: Room, run: Run) -> str:
    return f"mlflow-artifacts:/{room.id_of(run.experiment)}/{run.id}/artifacts"


def model_uri(room: Room, model: LoggedModel) -> str:
    return f"mlflow-artifacts:/{room.id_of(model.experiment)}/models/{model.id}/artifacts"


def run_info(room: Room, run: Run) -> Json:
    return lean(
        {
            "run_uuid": run.id,
            "run_id": run.id,
            "experiment_id": room.id_of(run.experiment),
            "run_name": run.name,
            "user_id": run.tags.get(names.USER, run.created_by),
            "status": names.TO_MLFLOW[run.status],
            "start_time": run.created_at if run.started_at is None else run.started_at,
            "end_time": run.ended_at,
            "artifact_uri": artifact_uri(room, run),
            "lifecycle_stage": "active" if run.deleted_at is None else "deleted",
        }
    )


def run_tags(run: Run) -> dict[str, str]:
    """Its tags, and what the protocol keeps as tags; what was set by name wins."""
    said = {
        names.RUN_NAME: run.name,
        names.USER: run.created_by,
        names.NOTE: run.note,
        names.PARENT: run.parent,
        names.REASON: run.reason,
        names.SOURCE_NAME: run.source.entry,
        names.COMMIT: run.source.commit,
        names.BRANCH: run.source.branch,
        names.REPO: run.source.repo,
        names.EXIT_CODE: "" if run.exit_code is None else str(run.exit_code),
        names.DELETED: "" if run.deleted_at is None else str(run.deleted_at),
    }
    if run.status in (RunStatus.QUEUED, RunStatus.STOPPING, RunStatus.LOST):
        said[names.STATUS] = run.status.value
    if run.engine != names.CLIENT:
        # Runs of ours: what clients send themselves stays as they sent it.
        said |= {names.ENGINE: run.engine, names.CREATED: str(run.created_at)}
        said[names.STARTED] = "" if run.started_at is None else str(run.started_at)
        said[names.SOURCE] = "" if run.source == Source() else msgspec.json.encode(run.source).decode()
    if run.progress is not None:
        said[names.PROGRESS] = msgspec.json.encode(run.progress).decode()
    return {key: value for key, value in said.items() if value} | run.tags


def metric(point: MetricPoint) -> Json:
    return {"key": point.key, "value": number(point.value), "timestamp": point.at, "step": point.step}


def run(room: Room, found: Run, latest: Iterable[MetricPoint] | None, outputs: Iterable[ModelOutput] = ()) -> Json:
    """`latest` None: the values alone, as a page of runs has them."""
    if latest is None:
        at = found.ended_at or found.started_at or found.created_at
        latest = (MetricPoint(key=key, value=value, at=at) for key, value in found.metrics.items())
    data = {
        "metrics": [metric(point) for point in latest],
        "params": pairs(found.params),
        "tags": pairs(run_tags(found)),
    }
    made: Json = {"info": run_info(room, found), "data": lean(data), "inputs": {}, "outputs": {}}
    if found.inputs:
        made["inputs"] = {"dataset_inputs": [dataset_input(each) for each in found.inputs]}
    models = [{"model_id": each.model, "step": each.step} for each in outputs]
    if models:
        made["outputs"] = {"model_outputs": models}
    return made


def dataset_input(read: DatasetInput) -> Json:
    tags = {names.CONTEXT: read.context}
    if read.version != read.digest:
        tags |= {names.DATASET_VERSION: read.version, names.DATASET_DIGEST: read.digest}
    dataset = {
        "name": read.dataset,
        "digest": read.digest[:36],
        "source_type": read.source_type or "local",
        "source": read.source or "{}",
        "schema": read.schema,
        "profile": read.profile,
    }
    return {"tags": pairs(tags), "dataset": lean(dataset)}


def progress_of(text: str) -> Progress | None:
    try:
        return msgspec.json.decode(text, type=Progress)
    except msgspec.DecodeError:
        return None


# ---------------------------------------------------------------- registry


def model(room: Room, found: Model, latest: Iterable[ModelVersion]) -> Json:
    return lean(
        {
            "name": found.name,
            "creation_timestamp": found.created_at,
            "last_updated_timestamp": found.updated_at or found.created_at,
            "description": found.note,
            "latest_versions": [version(room, each) for each in latest],
            "tags": pairs(found.tags),
            "aliases": [{"alias": alias, "version": held} for alias, held in found.aliases.items()],
        }
    )


def version(room: Room, found: ModelVersion) -> Json:  # noqa: ARG001 as the others
    tags = {key: value for key, value in found.tags.items() if key != names.STAGE}
    tags.setdefault(names.CREATED_BY, found.created_by)
    if names.VERSION not in tags and found.file.sha256:
        tags[names.VERSION] = version_record(found)
    return lean(
        {
            "name": found.model,
            "version": found.version,
            "creation_timestamp": found.created_at,
            "last_updated_timestamp": found.created_at,
            "current_stage": found.tags.get(names.STAGE, "None"),
            "source": found.source or (f"runs:/{found.run}/{found.file.path}" if found.run else ""),
            "run_id": found.run,
            "status": "READY",
            "tags": pairs({key: value for key, value in tags.items() if value}),
            "aliases": list(found.aliases),
            "model_id": found.logged_model,
        }
    ) | {"description": found.note}


def version_record(found: ModelVersion) -> str:
    """What the protocol has no field for, as one of our clients reads it from the tag `console.version_record`."""
    kept = {
        "run": found.run,
        "created_by": found.created_by,
        "file": found.file,
        "signature": found.signature,
        "metrics": {key: number(value) for key, value in found.metrics.items()},
        "params": found.params,
        "inputs": found.inputs,
    }
    return msgspec.json.encode(kept).decode()


# ---------------------------------------------------------------- logged models and files

_STATUS = {"pending": "LOGGED_MODEL_PENDING", "ready": "LOGGED_MODEL_READY", "failed": "LOGGED_MODEL_UPLOAD_FAILED"}
MODEL_STATUS = {spelled: status for status, spelled in _STATUS.items()}


def logged_status(found: LoggedModel) -> str:
    return _STATUS[found.status].removeprefix("LOGGED_MODEL_")


def logged_model(room: Room, found: LoggedModel) -> Json:
    info = {
        "model_id": found.id,
        "experiment_id": room.id_of(found.experiment),
        "name": found.name,
        "creation_timestamp_ms": found.created_at,
        "last_updated_timestamp_ms": found.updated_at,
        "artifact_uri": model_uri(room, found),
        "status": _STATUS[found.status],
        "model_type": found.type,
        "source_run_id": found.run,
        "tags": pairs(found.tags),
    }
    metrics = [
        lean(
            {
                "key": each.key,
                "timestamp": each.at,
                "dataset_name": each.dataset,
                "dataset_digest": each.digest,
                "model_id": found.id,
                "run_id": each.run,
            }
        )
        | {"value": number(each.value), "step": each.step}
        for each in found.metrics
    ]
    return {"info": lean(info), "data": lean({"params": pairs(found.params), "metrics": metrics})}


def file(found: Artifact, strip: str = "") -> Json:
    path = found.path[len(strip) :]
    return {"path": path, "is_dir": True} if found.folder else {"path": path, "is_dir": False, "file_size": found.bytes}
