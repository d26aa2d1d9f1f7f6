"""The protocol's server: uvicorn in a thread of the agent."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any

import uvicorn

from backends.contract import Unreachable


class _Sleeper(uvicorn.Server):
    """Asleep until a client comes or it is to end. Uvicorn's own looks ten times a second whether it should, which is
    most of what an agent without work would cost."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        # One tick sets the headers of every answer, and sees an end that was asked for before the loop was known.
        if not await self.on_tick(0):
            await self._ended.wait()

    def end(self) -> None:
        """From any thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._ended.set)


class ProtocolServer:
    """Serves an application on a loopback port until it is stopped. It takes no signals: its process does."""

    def __init__(self, app: Any, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=64 * 1024,
            ws="none",
        )
        self._server = _Sleeper(config)
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Listen; the port. Unreachable where it cannot."""
        # The protocol named: asyncio lets small answers go at once only on sockets that say they are TCP.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
        except OSError as error:
            listener.close()
            raise Unreachable(
                f"the protocol's server cannot listen on {self._host}:{self._port}: {error.strerror}"
            ) from error
        listener.listen(128)  # from here on a client is answered, if not at once
        port: int = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, args=(listener,), name="protocol server", daemon=True)
        self._thread.start()
        return port

    def _run(self, listener: socket.socket) -> None:
        with listener:
            asyncio.run(self._server.serve(sockets=[listener]))

    def stop(self) -> None:
        self._server.end()
        if self._thread is not None:
            self._thread.join(5)
