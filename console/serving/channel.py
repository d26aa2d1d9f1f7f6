"""Questions and answers between the server and its workers: JSON lines over a pair of sockets, either side may ask."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

LONGEST: Final = 64 << 20
"""Bytes of one line."""

Handler = Callable[[str, Any], Awaitable[Any]]


class Failed(Exception):
    """The other side could not do it; the message says why."""


class Gone(Failed):
    """The other side is not there any more."""


class _Line(msgspec.Struct, omit_defaults=True):
    id: int
    verb: str = ""
    """Empty in an answer."""
    body: msgspec.Raw = msgspec.Raw(b"null")
    why: str = ""


class Channel:
    """One end. `handle(verb, body)` answers what the other side asks; what it raises is told there."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next = 0
        self._writer: asyncio.StreamWriter | None = None
        self.closed = asyncio.Event()
        self._opened = asyncio.Event()

    async def run(self, end: socket.socket) -> None:
        """Until the other side is gone."""
        reader, self._writer = await asyncio.open_connection(sock=end, limit=LONGEST)
        self._opened.set()
        decoder = msgspec.json.Decoder(_Line)
        try:
            while raw := await reader.readline():
                line = decoder.decode(raw)
                if line.verb:
                    task = asyncio.create_task(self._answer(line))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                elif (future := self._waiting.pop(line.id, None)) is not None and not future.done():
                    if line.why:
                        future.set_exception(Failed(line.why))
                    else:
                        future.set_result(line.body)
        except (ConnectionError, msgspec.DecodeError, ValueError):
            pass
        finally:
            self.closed.set()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(Gone("the process ended"))
            self._waiting.clear()
            self._writer.close()

    async def ask(self, verb: str, body: object = None, *, seconds: float = 30.0) -> Any:
        """The other side's answer, as JSON gives it. Failed with its reason, Gone, or TimeoutError."""
        await self._opened.wait()
        if self.closed.is_set():
            raise Gone("the process is not there")
        self._next += 1
        number = self._next
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(_Line(id=number, verb=verb, body=msgspec.Raw(msgspec.json.encode(body))))
            async with asyncio.timeout(seconds):
                return msgspec.json.decode(await future)
        finally:
            self._waiting.pop(number, None)

    def hang_up(self) -> None:
        """Say no more; the other side notices."""
        if self._writer is not None:
            self._writer.close()

    async def _answer(self, line: _Line) -> None:
        try:
            body = await self._handle(line.verb, msgspec.json.decode(line.body))
            reply = _Line(id=line.id, body=msgspec.Raw(msgspec.json.encode(body)))
        except Exception as error:  # whatever it is, the asking side is to be told
            reply = _Line(id=line.id, why=str(error) or type(error).__name__)
        self._send(reply)

    def _send(self, line: _Line) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(line) + b"\n")
