"""`POST /jobs/ticket {"run", "ticket"}`: what a job on a cluster asks once, to be told the secrets it logs with.

A ticket lies with the job's files, where others on the cluster may read it; what it was for does not, and who asks a
second time gets nothing: the job then says that somebody else was first.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import Backend, BackendError
from backends.local.run_folder import RunFolder
from console.agent.handing import redeem
from console.agent.intake import Receive, Scope, Send

PATH = "/jobs/ticket"
LONGEST = 4096


class Tickets:
    """An ASGI application: tickets are taken here, all else goes on to `inner`."""

    def __init__(self, backend: Backend, workspace: Path, inner: Any) -> None:
        self._backend = backend
        self._workspace = workspace
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._inner(scope, receive, send)
            return
        body = b""
        while len(body) <= LONGEST:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        by = str((scope.get("client") or ("?",))[0])
        status, answer = await asyncio.to_thread(self._answer, scope["method"], body, by)
        said = msgspec.json.encode(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(said)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    def _answer(self, method: str, body: bytes, by: str) -> tuple[int, dict[str, str]]:
        if method != "POST" or len(body) > LONGEST:
            return 405, {"error": "a ticket is shown by POST"}
        try:
            shown = msgspec.json.decode(body, type=dict[str, str])
            folder = RunFolder.of(self._workspace, shown.get("run", ""))
            if self._backend.need("runs").get(folder.run).status.ended:
                return 403, {"error": "the run has ended"}
            if not redeem(folder, shown.get("ticket", ""), by, time.time_ns() // 1_000_000):
                return 403, {"error": "this ticket is not good: it was used already, by another than the job"}
            assert self._backend.tracking is not None, "tickets are for what is logged to"  # noqa: S101
            found = self._backend.tracking(folder.run)
        except (BackendError, msgspec.DecodeError):
            return 403, {"error": "this ticket is not good"}
        hidden = {key: value for key, value in found.items() if key not in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID")}
        return 200, hidden
