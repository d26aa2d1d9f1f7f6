"""An MLflow server as a backend: everything it offers, and what it lacks from the sidecar beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.contract import Backend
    from backends.login import Login

PAGE: int = 50
"""Rows that a visible pane asks for at once: of runs with ten metrics, parameters and tags that is 170 kB."""


def open_mlflow(name: str, url: str, sidecar: Backend, login: Login, options: Mapping[str, str]) -> Backend:
    """The backend of `mlflow+https://…`. Nothing is asked yet: a server that is away is no error before that."""
    import threading

    from backends.contract import Backend, BackendError, Features, Invalid
    from backends.mlflow.client_artifacts import MlflowArtifacts
    from backends.mlflow.client_experiments import MlflowExperiments
    from backends.mlflow.client_logged_models import MlflowLoggedModels
    from backends.mlflow.client_pages import RunPages
    from backends.mlflow.client_registry import MlflowRegistry
    from backends.mlflow.client_room import Room
    from backends.mlflow.client_runs import MlflowRuns
    from backends.mlflow.transport import Transport
    from backends.remote.state import State

    home = sidecar.home
    if home is None:
        raise Invalid(f"context {name}: an MLflow server needs a directory for what it cannot keep", "sidecar")
    transport = Transport(url, login=login, options=options, cache=home / "mlflow-cache.db", name=name)
    state = State(home / "mlflow.db")
    room = Room(transport, sidecar, state)
    experiments = MlflowExperiments(room)
    artifacts = MlflowArtifacts(room, home)
    pages = RunPages(room, experiments)
    registry = MlflowRegistry(room, artifacts, pages)

    entries = registry.aliases.half_done()

    def settle() -> None:
        try:
            registry.aliases.settle(registry.get, entries)
        except BackendError:
            pass  # the server is away: at the next opening then

    settling = threading.Thread(target=settle, name="reconcile", daemon=True)
    if entries:
        settling.start()

    def tracking(run: str) -> dict[str, str]:
        return transport.environment() | ({"MLFLOW_RUN_ID": run} if run else {})

    def close() -> None:
        if settling.is_alive():
            settling.join()  # each of its questions ends by the transport's time limit
        transport.close()
        state.close()
        sidecar.close()

    lacks = transport.flavour.lacks
    return Backend(
        name=name,
        url=transport.root,
        features=Features(delete=True, metric_history=True, actor=True, history=True, page_limit=PAGE),
        experiments=experiments,
        runs=MlflowRuns(room, experiments, pages),
        logged_models=MlflowLoggedModels(room, experiments),
        artifacts=None if "artifacts" in lacks else artifacts,
        registry=registry,
        missing=dict(lacks),
        changed=room.changed,
        close=close,
        tracking=tracking,
    )
