"""HTTP with patience that ends: who sends a request drop by drop is cut off, and holds nobody up."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from console.serving.spec import Limits

_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class TimedProtocol(H11Protocol):
    """uvicorn's, with a time limit for the headers and one for the body."""

    limits = Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = ""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._enter("header", self.limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._enter("", 0)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def _look(self) -> None:
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            self._enter("body", self.limits.body_seconds)
        elif state is h11.IDLE and self.conn.trailing_data[0]:
            self._enter("header", self.limits.header_seconds)
        elif self._phase:
            self._enter("", 0)

    def _enter(self, phase: str, seconds: float) -> None:
        if phase == self._phase:
            return  # the time runs from its first byte
        self._phase = phase
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._cut) if phase else None

    def _cut(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_LATE)
        self.transport.close()


class QuietServer(uvicorn.Server):
    """uvicorn, which takes no signals: its process does."""

    def capture_signals(self) -> Any:
        import contextlib

        return contextlib.nullcontext()


def make_server(app: Any, limits: Limits) -> QuietServer:
    """Listens only when it is given sockets."""
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    logging.getLogger("uvicorn").propagate = False
    config = uvicorn.Config(
        app,
        http=type("Timed", (TimedProtocol,), {"limits": limits}),
        loop="asyncio",
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        ws="none",
        backlog=1024,
        limit_concurrency=limits.connections,
        timeout_keep_alive=int(limits.idle_seconds),
        timeout_graceful_shutdown=int(limits.drain_seconds),
        h11_max_incomplete_event_size=64 * 1024,
    )
    return QuietServer(config)
