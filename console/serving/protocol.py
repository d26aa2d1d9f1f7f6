"""HTTP/1.1 with patience that ends: who sends a request drop by drop is cut off, and holds nobody up.

llhttp (by httptools) reads, a handler answers. What can be answered at once is answered within the call that brought
the last byte, without a task of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
from httptools import HttpParserError, HttpParserUpgrade

from console.serving.http import Handler, Request, Response, request_id, written
from console.serving.spec import Limits

HEAD_BYTES: Final = 64 * 1024
"""Of the request line and all headers together."""
DISCARDED: Final = 16
"""So many times the limit of a body is read and thrown away, that the sender hears why; past that it is cut off."""
WAITING: Final = 16
"""Requests of one connection that may wait for the answer to an earlier one."""
SWEEP_S: Final = 0.1
"""How often it is looked who is too slow."""
FIRST_S: Final = 1.0
"""How long a connection that was opened just before the end has for its first request."""
SETTLE_S: Final = 0.02
"""What was accepted as the listening ended is a connection by then."""
_FOREVER: Final = float("inf")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def _short(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode()


LATE: Final = _short("408 Request Timeout")
MALFORMED: Final = _short("400 Bad Request")
LONG_HEAD: Final = _short("431 Request Header Fields Too Large")
FULL: Final = _short("503 Service Unavailable")


class _LongHead(Exception):
    pass


class Exchange(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._handler = server.handler
        self._limits = server.limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._closing = False
        """Nothing further of what comes is read."""
        self.until = _FOREVER
        """When patience ends, by the loop's clock."""
        self.midst = False
        """A request has begun and has not come as a whole."""
        self._new = True
        """None has begun yet."""
        self._path = ""
        self._fresh()

    def _fresh(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._in_body = False
        self._parts: list[bytes] = []
        self._length = 0
        self._announced = 0
        self._most = 0

    # ------------------------------------------------------------ the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._server.connections) >= self._limits.connections:
            self._cut(FULL)
            return
        self._server.connections.add(self)
        self.until = self._loop.time() + self._limits.header_seconds

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._server.connections.discard(self)
        self._server.emptied()
        if self.midst and not self._closing:
            self._handler.lost()
        self._closing = True
        self._waiting.clear()
        if self._answering is not None:
            self._answering.cancel()

    def pause_writing(self) -> None:
        """Who does not read what it asked for is asked to wait, and is not waited for without end."""
        self.until = self._loop.time() + self._limits.body_seconds
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.until = self._loop.time() + self._limits.idle_seconds
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        return self._answering is not None  # who only shut its own side may still read the answer

    def sweep(self, now: float) -> None:
        if now < self.until:
            return
        if self._new and self._handler.draining:
            self._cut(b"")
        elif self.midst or self._new:
            self._cut(LATE)
        elif self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._cut(b"")

    def _cut(self, said: bytes) -> None:
        self._closing = True
        if not self._transport.is_closing():
            if said:
                self._transport.write(said)
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def drain(self) -> None:
        """Close once nothing is asked any more. Who has just come is about to ask: that one is answered."""
        if self._new:
            self.until = min(self.until, self._loop.time() + FIRST_S)
        elif not self.midst and self._answering is None and not self._waiting:
            self._cut(b"")

    # ------------------------------------------------------------ what comes

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if not self.midst:
            self.midst, self._new = True, False
            self.until = self._loop.time() + self._limits.header_seconds
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            pass  # it is answered as it stands, and the connection is closed: there is nothing else to speak
        except HttpParserError as error:
            long = isinstance(error.__context__, _LongHead)
            self._cut(LONG_HEAD if long else MALFORMED)

    def on_message_begin(self) -> None:
        self.midst = True
        self._fresh()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head(len(name) + len(value))
        if not self._in_body:  # a trailer is no header
            self._headers[name.lower()] = value

    def _head(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > HEAD_BYTES:
            raise _LongHead

    def on_headers_complete(self) -> None:
        self._in_body = True
        headers = self._headers
        said = headers.get(b"content-length", b"")
        self._announced = int(said) if said.isdigit() else 0
        self._path = unquote(self._url.partition(b"?")[0].decode("latin-1"))
        self._most = self._limits.body_bytes if self._handler.admits(self._path, headers) else 0
        if self._announced or b"transfer-encoding" in headers:
            self.until = self._loop.time() + self._limits.body_seconds
            if headers.get(b"expect", b"").lower() == b"100-continue":
                if self._announced > self._most:
                    self._whole(last=True)  # it need not be sent
                else:
                    self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._closing:
            return
        self._length += len(body)
        if max(self._length, self._announced) <= self._most:
            self._parts.append(body)
            return
        self._parts.clear()
        if self._length > self._limits.body_bytes * DISCARDED:
            self._whole(last=True)

    def on_message_complete(self) -> None:
        if not self._closing:
            self._whole(last=not self._parser.should_keep_alive() or self._parser.should_upgrade())

    def _whole(self, *, last: bool) -> None:
        """A request has come, or as much of it as is read."""
        self.midst = False
        parts = self._parts
        request = Request(
            self._parser.get_method().decode("latin-1"),
            self._path,
            self._headers,
            request_id(self._headers),
            parts[0] if len(parts) == 1 else b"".join(parts),
            max(self._length, self._announced),
            not last,
        )
        self._parts = []
        self.until = _FOREVER
        self._closing = last
        if self._answering is not None:
            self._waiting.append(request)
            if len(self._waiting) >= WAITING:
                self._transport.pause_reading()
            return
        self._answer(request)

    # ------------------------------------------------------------ what goes

    def _answer(self, request: Request) -> None:
        found = self._handler.handle(request)
        if isinstance(found, Response):
            self._send(found, request)
        else:
            self._answering = self._loop.create_task(self._later(found, request))

    async def _later(self, found: Any, request: Request) -> None:
        try:
            response = await found
        finally:
            self._answering = None
        self._send(response, request)
        while self._waiting and self._answering is None:
            self._answer(self._waiting.popleft())
        if not self._waiting and not self._transport.is_closing():
            self._transport.resume_reading()

    def _send(self, response: Response, request: Request) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        last = self._handler.draining or not request.keep or response.headers.get("connection") == "close"
        transport.write(written(response, request, closing=last))
        if last:
            self._closing = True
            transport.close()
        elif not self.midst:
            self.until = self._loop.time() + self._limits.idle_seconds


class HttpServer:
    """Listens on the sockets that it is given, until it should exit and all is answered."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler = handler
        self.limits = limits
        self.connections: set[Exchange] = set()
        self.started = False
        self._stopping = asyncio.Event()
        self._empty = asyncio.Event()

    def stop(self) -> None:
        """Take no further connections; what is being answered is answered."""
        self._stopping.set()

    def emptied(self) -> None:
        if not self.connections:
            self._empty.set()

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        made = [await loop.create_server(lambda: Exchange(self), sock=each, backlog=1024) for each in sockets]
        sweeping = asyncio.create_task(self._sweep())
        self.started = True
        await self._stopping.wait()
        # Not closed at once: asyncio drops who was accepted in the same turn and is no connection yet.
        for each in made:
            for listening in each.sockets:
                loop.remove_reader(listening.fileno())
        await asyncio.sleep(SETTLE_S)
        for each in made:
            each.close()
        for connection in list(self.connections):
            connection.drain()
        self._empty.clear()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.limits.drain_seconds):
                    await self._empty.wait()
        sweeping.cancel()
        for connection in list(self.connections):
            connection.abort()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = loop.time()
            for connection in list(self.connections):
                connection.sweep(now)
