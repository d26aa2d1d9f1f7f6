"""Rows and labels by HTTP: `POST /monitors/NAME/rows` and `/labels`, beside the MLflow protocol and with its token.

A JSON list of objects, or JSON lines. 202 is answered once they are on disk; with the header `Idempotency-Key` what is
sent again counts once. Who sends may have only the workspace owner's token: a run's is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import msgspec

from backends.contract import Backend, BackendError, Invalid, NotFound
from backends.local.agent_presence import ring_bell
from console.monitoring.feeds.handing import MOST_BYTES, hand_over

PREFIX = "/monitors/"
KEY_BYTES = 200

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _NoAnswerError(Exception):
    """Why not, as a status and words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Intake:
    """An ASGI application: what is for a monitor is taken here, all else goes on to `inner`."""

    def __init__(self, backend: Backend, who: Callable[[str], Any], inner: Any) -> None:
        """who: the caller that a token stands for, or None; one with a `run` is that run."""
        self._backend = backend
        self._who = who
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._inner(scope, receive, send)
            return
        try:
            status, answer = 202, await self._take(scope, receive)
        except _NoAnswerError as error:
            status, answer = error.status, {"error": str(error)}
        body = msgspec.json.encode(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status >= 400:
            headers.append((b"connection", b"close"))  # what else it sends is read by nobody
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        kind, _, token = headers.get("authorization", "").partition(" ")
        caller = self._who(token.strip()) if kind.lower() == "bearer" else None
        if caller is None:
            raise _NoAnswerError(401, "wanted: the header Authorization: Bearer TOKEN; monitor show says where it is")
        if caller.run:
            raise _NoAnswerError(403, "a run's token cannot feed monitors: use that of the workspace")
        parts = scope.get("raw_path", scope["path"].encode()).decode("latin-1").removeprefix(PREFIX).split("/")
        if len(parts) != 2 or parts[1] not in ("rows", "labels"):
            raise _NoAnswerError(404, "there is /monitors/NAME/rows and /monitors/NAME/labels")
        if scope["method"] != "POST":
            raise _NoAnswerError(405, "rows and labels are sent by POST")
        key = headers.get("idempotency-key", "")
        if len(key) > KEY_BYTES:
            raise _NoAnswerError(400, f"an Idempotency-Key has at most {KEY_BYTES} bytes")
        body = await _body(receive, headers.get("content-length", ""))
        return await asyncio.to_thread(self._keep, unquote(parts[0]), parts[1] == "labels", body, key)

    def _keep(self, name: str, labels: bool, body: bytes, key: str) -> dict[str, Any]:
        rows = rows_of(body)
        try:
            monitor = self._backend.need("monitors").get(name)
            if labels and not (monitor.id_column and monitor.label_column):
                raise Invalid(f"monitor {name} has no id column or no label column, so labels cannot be joined", "id")
            data = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
            kept = hand_over(self._backend, monitor.name, data, labels=labels, key=key)
        except NotFound as error:
            raise _NoAnswerError(404, str(error)) from error
        except Invalid as error:
            raise _NoAnswerError(400, str(error)) from error
        except BackendError as error:
            raise _NoAnswerError(503, str(error)) from error
        except OSError as error:
            raise _NoAnswerError(507, f"nothing was kept: {error.strerror}; send it again later") from error
        if self._backend.home is not None:
            ring_bell(self._backend.home)
        return {"accepted": len(rows), "id": kept.split(".")[0]}


def rows_of(body: bytes) -> list[dict[str, Any]]:
    """The objects of a JSON list or of JSON lines. Refused whole where one is none: half of it would be sent again."""
    text = body.lstrip()
    try:
        if text.startswith(b"["):
            rows = msgspec.json.decode(text, type=list[dict[str, Any]])
        else:
            decode = msgspec.json.Decoder(dict[str, Any]).decode
            rows = [decode(line) for line in text.splitlines() if line.strip()]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _NoAnswerError(400, f"wanted: a JSON list of objects, or one object a line; {error}") from error
    if not rows:
        raise _NoAnswerError(400, "there is no row in it")
    return rows


async def _body(receive: Receive, told: str) -> bytes:
    if told.isdigit() and int(told) > MOST_BYTES:
        raise _NoAnswerError(413, f"at most {MOST_BYTES} bytes at once")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _NoAnswerError(400, "the sender hung up")
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise _NoAnswerError(413, f"at most {MOST_BYTES} bytes at once")
        if not message.get("more_body"):
            return bytes(body)
