"""What runs, datasets, models, journal entries, monitors and deployments can be asked for."""

from __future__ import annotations

from backends.entities import DeploymentState, DeploymentWish, MonitorState, Outcome, RunStatus
from backends.query_nodes import Fields, Scope

SCOPE_WORDS: dict[str, Scope] = {
    "metrics": "metric",
    "metric": "metric",
    "params": "param",
    "param": "param",
    "parameters": "param",
    "parameter": "param",
    "tags": "tag",
    "tag": "tag",
    "dataset": "dataset",
    "datasets": "dataset",
    "alias": "alias",
    "aliases": "alias",
    "attributes": "attribute",
    "attribute": "attribute",
    "attr": "attribute",
    "run": "attribute",
}
"""The word before the dot, as MLflow and people write it."""

SCOPE_NAMES: dict[Scope, str] = {
    "metric": "metrics",
    "param": "params",
    "tag": "tags",
    "dataset": "dataset",
    "alias": "alias",
    "attribute": "attributes",
}

DATASET_KEYS = ("name", "version", "digest", "context", "ref")
"""What `dataset.` of a run can be asked for; `ref` is `name@version`."""

_CREATED_BY = {"created_by": "user", "by": "user", "user_id": "user"}
_CREATED = {"created_at": "created", "creation_time": "created", "creation_timestamp": "created", "age": "created"}
_UPDATED = {"updated_at": "updated", "last_update_time": "updated", "last_updated_timestamp": "updated"}

RUN_FIELDS = Fields(
    noun="run",
    attributes={
        "id": "text",
        "name": "text",
        "status": "text",
        "experiment": "text",
        "user": "text",
        "created": "time",
        "started": "time",
        "ended": "time",
        "duration": "number",
        "parent": "text",
        "engine": "text",
        "note": "text",
        "deleted": "bool",
    },
    scopes=("metric", "param", "tag", "dataset"),
    aliases={
        **_CREATED_BY,
        **_CREATED,
        "run_id": "id",
        "run_uuid": "id",
        "run_name": "name",
        "run name": "name",
        "date": "started",
        "start_time": "started",
        "started_at": "started",
        "end_time": "ended",
        "ended_at": "ended",
        "experiment_name": "experiment",
        "state": "status",
    },
    values={"status": tuple(status.value for status in RunStatus)},
    value_aliases={
        "status": {"scheduled": "queued", "killed": "stopped", "canceled": "stopped", "cancelled": "stopped"}
    },
    refused={
        "artifact_uri": "runs are not found by where their files lie; use id or name",
        "lifecycle_stage": "use deleted = true or deleted = false",
        "experiment_id": "use experiment, which is the experiment's name",
    },
)

DATASET_FIELDS = Fields(
    noun="dataset",
    attributes={
        "name": "text",
        "latest": "text",
        "versions": "number",
        "rows": "number",
        "user": "text",
        "created": "time",
        "updated": "time",
        "note": "text",
    },
    scopes=("tag",),
    aliases={**_CREATED_BY, **_CREATED, **_UPDATED},
)

MODEL_FIELDS = Fields(
    noun="model",
    attributes={
        "name": "text",
        "latest": "text",
        "versions": "number",
        "user": "text",
        "created": "time",
        "updated": "time",
        "note": "text",
    },
    scopes=("tag", "alias"),
    aliases={**_CREATED_BY, **_CREATED, **_UPDATED, "description": "note"},
    refused={
        "run_id": "models hold versions of many runs; ask runs for the id",
        "source_path": "models are not found by where their files lie; use name or tags",
        "version_number": "use versions, the number of versions, or latest",
    },
)

VERSION_FIELDS = Fields(
    noun="model version",
    attributes={
        "model": "text",
        "version": "number",
        "run": "text",
        "user": "text",
        "created": "time",
        "note": "text",
        "source": "text",
    },
    scopes=("tag", "alias", "metric", "param"),
    aliases={
        **_CREATED_BY,
        **_CREATED,
        "name": "model",
        "run_id": "run",
        "version_number": "version",
        "source_path": "source",
        "description": "note",
        "last_updated_timestamp": "created",
        "last_updated": "created",
    },
)

JOURNAL_FIELDS = Fields(
    noun="journal entry",
    attributes={
        "seq": "number",
        "id": "text",
        "at": "time",
        "actor": "text",
        "action": "text",
        "target": "text",
        "reason": "text",
        "outcome": "text",
        "detail": "text",
        "undone": "bool",
    },
    aliases={
        "time": "at",
        "when": "at",
        "created": "at",
        "who": "actor",
        "user": "actor",
        "by": "actor",
        "what": "action",
    },
    values={"outcome": tuple(outcome.value for outcome in Outcome)},
)

MONITOR_FIELDS = Fields(
    noun="monitor",
    attributes={
        "name": "text",
        "model": "text",
        "alias": "text",
        "state": "text",
        "source": "text",
        "window": "text",
        "rows": "number",
        "windows": "number",
        "last": "time",
        "user": "text",
        "created": "time",
        "note": "text",
        "paused": "bool",
    },
    aliases={**_CREATED_BY, **_CREATED, "status": "state", "last_at": "last"},
    values={"state": tuple(state.value for state in MonitorState)},
)

DEPLOYMENT_FIELDS = Fields(
    noun="deployment",
    attributes={
        "name": "text",
        "model": "text",
        "state": "text",
        "desired": "text",
        "health": "text",
        "url": "text",
        "port": "number",
        "workers": "number",
        "user": "text",
        "created": "time",
        "note": "text",
    },
    aliases={**_CREATED_BY, **_CREATED, "status": "state", "replicas": "workers"},
    values={
        "state": tuple(state.value for state in DeploymentState),
        "desired": tuple(wish.value for wish in DeploymentWish),
        "health": ("ok", "warn", "failed"),
    },
)
