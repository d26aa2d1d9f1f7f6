"""Our own protocol server over a workspace, in this process, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.contract import Backend
from backends.local import open_local
from backends.mlflow.server.app import make_app
from backends.mlflow.server.room import Caller
from backends.mlflow.server.serve import ProtocolServer

TOKEN = "a-token-for-tests"


@dataclass
class OwnServer:
    """A running server; `supervised` holds the runs whose end a supervisor decides."""

    backend: Backend
    url: str
    server: ProtocolServer
    supervised: set[str] = field(default_factory=set)

    def stop(self) -> None:
        self.server.stop()
        self.backend.close()


def start_own(workspace: Path, **more: Any) -> OwnServer:
    backend = open_local(workspace)
    supervised: set[str] = set()
    app = make_app(
        backend,
        who=lambda token: Caller("ann@box") if token == TOKEN else None,
        supervised=supervised.__contains__,
        **more,
    )
    server = ProtocolServer(app)
    return OwnServer(backend, f"http://127.0.0.1:{server.start()}", server, supervised)
