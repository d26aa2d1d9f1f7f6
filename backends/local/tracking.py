"""Where the command of a run is told to log over the MLflow protocol, and what it is kept from."""

from __future__ import annotations

from collections.abc import Callable

from backends.contract import Backend, BackendError
from backends.entities import LaunchSpec
from backends.local.run_folder import RunFolder

TRACKING_VARIABLES = frozenset(
    {
        "MLFLOW_TRACKING_URI",
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_RUN_ID",
    }
)
"""Of whoever started the agent: a command must not log there by accident."""


def tracking(folder: RunFolder, spec: LaunchSpec, backend: Backend, note: Callable[[str], None]) -> dict[str, str]:
    """By which an MLflow client in the command logs to this run. It goes into the command's environment alone."""
    if not spec.tracking or backend.tracking is None:
        return {}
    try:
        return backend.tracking(folder.run)
    except BackendError as away:
        note(f"the command runs without a place to log to over the MLflow protocol: {away}")
        return {}


def withheld(folder: RunFolder) -> frozenset[str]:
    """Variables that tell of other places to log to, and the one that holds the server's token."""
    from backends.connect import remote_of

    remote = remote_of(folder.workspace)
    return TRACKING_VARIABLES | ({remote.login.env} if remote is not None and remote.login.env else set())
