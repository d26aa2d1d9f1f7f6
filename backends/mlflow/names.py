"""Names that both sides of the protocol use: MLflow's own tags, and ours for what MLflow has no place for."""

from __future__ import annotations

from typing import Final

from backends.entities import RunStatus

API: Final = "/api/2.0/mlflow"
API_3: Final = "/api/3.0/mlflow"
AJAX: Final = "/ajax-api/2.0/mlflow"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"

# ---------------------------------------------------------------- MLflow's tags

RUN_NAME: Final = "mlflow.runName"
USER: Final = "mlflow.user"
NOTE: Final = "mlflow.note.content"
PARENT: Final = "mlflow.parentRunId"
SOURCE_NAME: Final = "mlflow.source.name"
SOURCE_TYPE: Final = "mlflow.source.type"
COMMIT: Final = "mlflow.source.git.commit"
BRANCH: Final = "mlflow.source.git.branch"
REPO: Final = "mlflow.source.git.repoURL"
CONTEXT: Final = "mlflow.data.context"
IS_PROMPT: Final = "mlflow.prompt.is_prompt"

# ---------------------------------------------------------------- ours, on a server that keeps tags only

OURS: Final = "console."
STATUS: Final = "console.status"
"""Our status where MLflow's five say less: stopping, lost, queued."""
EXIT_CODE: Final = "console.exit_code"
REASON: Final = "console.reason"
ENGINE: Final = "console.engine"
CLIENT: Final = "mlflow"
"""Engine of a run that an MLflow client made by itself."""
STARTED: Final = "console.started_at"
CREATED: Final = "console.created_at"
PROGRESS: Final = "console.progress"
"""JSON of the Progress record."""
HEARD: Final = "console.heard_at"
"""When the run wrote to a log that the server does not have."""
SOURCE: Final = "console.source"
"""JSON of the Source record, for what MLflow's source tags do not say."""
DELETED: Final = "console.deleted_at"
KEY: Final = "console.key"
"""Idempotency key of what was made: asked again after a crash, it is found by it."""
DATASET_VERSION: Final = "console.version"
"""On a dataset input: our version."""
DATASET_DIGEST: Final = "console.digest"
"""On a dataset input: the whole digest; MLflow keeps 36 characters."""
VERSION: Final = "console.version_record"
"""On a model version: JSON of what MLflow keeps nowhere (file, signature, metrics, parameters, inputs, actor)."""
CREATED_BY: Final = "console.created_by"
MOVE: Final = "console.move."
"""On a model version: `console.move.<alias>.<milliseconds>` → JSON of an AliasMove that ended or began there."""
STAGE: Final = "console.stage"
"""On a version in our own store: MLflow's old stage."""

TO_MLFLOW: Final[dict[RunStatus, str]] = {
    RunStatus.QUEUED: "SCHEDULED",
    RunStatus.RUNNING: "RUNNING",
    RunStatus.STOPPING: "RUNNING",
    RunStatus.FINISHED: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.STOPPED: "KILLED",
    RunStatus.LOST: "FAILED",
}
FROM_MLFLOW: Final[dict[str, RunStatus]] = {
    "SCHEDULED": RunStatus.QUEUED,
    "RUNNING": RunStatus.RUNNING,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.STOPPED,
}
