"""The MLflow protocol, offered by the agent on loopback: what unmodified scripts log to."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.connect import server_of_runs
from backends.contract import Backend, Invalid, NotFound, Unreachable
from backends.local.process_identity import own_identity
from backends.local.protocol_access import (
    OWNER,
    ProtocolPresence,
    last_presence,
    presence_path,
    read_token,
    write_presence,
)
from backends.local.run_folder import RunFolder
from console.agent.intake import Intake, Receive, Scope, Send
from console.agent.jobs import launcher_ref
from console.agent.tickets import Tickets
from console.config import current_actor

AFTER_MS = 600_000
"""A run's token is good for so long after its end: what a script sends last may come late."""
FRESH_S = 5.0
"""How long an answer about a run's token is believed."""


class Protocol:
    """Starts the server once, on the port it had before, so that scripts at work survive a restart of the agent."""

    def __init__(self, backend: Backend, workspace: Path, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._workspace = workspace
        self._say = say
        self._server: Any = None
        self._untold = 0
        """The port that it listens on while nobody has been told."""
        self._wide: Any = None
        self._known: dict[str, tuple[float, Any]] = {}
        self._ref = launcher_ref(workspace, say)
        # A remote context's clients speak to its own server; its jobs on a cluster fetch their token here.
        self._remote = server_of_runs(workspace) is not None
        self._wanted = not self._remote or (self._ref is not None and "agent" in self._ref.options)

    def step(self) -> None:
        if not self._wanted:
            return
        if self._server is not None:
            self._tell()
            return
        from backends.mlflow.server.app import make_app
        from backends.mlflow.server.serve import ProtocolServer

        app: Any = _nothing
        if not self._remote:
            protocol = make_app(self._backend, who=self._who, supervised=self._supervised)
            app = Intake(self._backend, self._who, protocol)
        if self._ref is not None:
            app = Tickets(self._backend, self._workspace, app)
        self._listen_wide(app)
        before = last_presence(self._workspace)
        server = ProtocolServer(app, port=before.port if before is not None else 0)
        try:
            port = server.start()
        except Unreachable as taken:
            server = ProtocolServer(app)
            port = server.start()
            self._say(f"{taken}; it listens on port {port} instead: running scripts of before cannot reach it")
        self._server, self._untold = server, port
        self._tell()

    def _tell(self) -> None:
        """Where it listens, for those who look; on a full disk at the next step."""
        if self._untold:
            write_presence(self._workspace, ProtocolPresence(process=own_identity(), port=self._untold))
            self._say(f"the MLflow protocol is served on 127.0.0.1:{self._untold}")
            self._untold = 0

    def _listen_wide(self, app: Any) -> None:
        """Where the launcher's jobs come from other machines: on the address that its option `listen` names."""
        listen = self._ref.options.get("listen", "") if self._ref is not None else ""
        if not listen or self._wide is not None:
            return
        from backends.mlflow.server.serve import ProtocolServer

        host, _, port = listen.rpartition(":")
        if not host or not port.isdigit():
            raise Invalid(f'launcher_options: listen = "{listen}": wanted is ADDRESS:PORT', "listen")
        self._wide = ProtocolServer(app, host=host, port=int(port))
        self._wide.start()
        self._say(f"the MLflow protocol is served on {listen} too, for jobs elsewhere")

    def stop(self) -> None:
        for server in (self._server, self._wide):
            if server is not None:
                server.stop()

    def forget(self) -> None:
        """The workspace is gone: so is the place that clients look for."""
        presence_path(self._workspace).unlink(missing_ok=True)

    # ------------------------------------------------------------ who may come in

    def _who(self, token: str) -> Any:
        known = self._known.get(token)
        if known is not None and time.monotonic() - known[0] < FRESH_S:
            return known[1]
        found = self._caller(token)
        if len(self._known) > 1_000:
            self._known.clear()
        self._known[token] = (time.monotonic(), found)
        return found

    def _caller(self, token: str) -> Any:
        from backends.mlflow.server.room import Caller

        name = read_token(self._workspace, token)
        if name is None:
            return None
        if name == OWNER:
            return Caller(current_actor())
        try:
            run = self._backend.need("runs").get(name)
        except NotFound:
            return None
        if run.ended_at is not None and time.time() * 1000 - run.ended_at > AFTER_MS:
            return None
        return Caller(run.created_by or current_actor(), run.id)

    def _supervised(self, run: str) -> bool:
        """Whether a supervisor of ours will tell the run's end."""
        try:
            folder = RunFolder.of(self._workspace, run)
        except Invalid:  # no id that we give: no run of ours
            return False
        return folder.spec() is not None and folder.exit() is None


async def _nothing(scope: Scope, _receive: Receive, send: Send) -> None:
    """Beside a server of its own there is no protocol here."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
