"""A server that takes no further connections answers those who came before, also where they had not asked yet."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

from console.serving import protocol
from console.serving.http import Request, Response
from console.serving.protocol import HttpServer
from console.serving.spec import Limits

if TYPE_CHECKING:
    import pytest

REQUEST = b"GET /ping HTTP/1.1\r\nhost: here\r\n\r\n"


class Plain:
    """Answers everything at once."""

    draining = False

    def admits(self, path: str, headers: dict[bytes, bytes]) -> bool:
        return True

    def handle(self, request: Request) -> Response:
        return Response(200, b"pong")

    def lost(self) -> None:
        pass


class Listening:
    """A server on a port of its own."""

    async def __aenter__(self) -> Listening:
        self.handler = Plain()
        self.server = HttpServer(self.handler, Limits())
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.serving = asyncio.create_task(self.server.serve([listener]))
        while not self.server.started:
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await asyncio.wait_for(self.serving, 120)

    def stop(self) -> None:
        self.handler.draining = True
        self.server.stop()

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        before = len(self.server.connections)
        ends = await asyncio.open_connection("127.0.0.1", self.port)
        while len(self.server.connections) == before:
            await asyncio.sleep(0.001)
        return ends


async def test_who_came_before_the_end_and_asks_after_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "FIRST_S", 60.0)  # we may be slow to ask
    async with Listening() as it:
        reader, writer = await it.connected()
        it.stop()
        await asyncio.sleep(0.1)  # it has begun to drain
        writer.write(REQUEST)
        answer = await asyncio.wait_for(reader.read(), 30)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        writer.close()


async def test_who_never_asks_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "FIRST_S", 0.05)
    async with Listening() as it:
        reader, writer = await it.connected()
        it.stop()
        await asyncio.wait_for(it.serving, 20)  # the patience for a first request is ten seconds and more otherwise
        assert await reader.read() == b""
        writer.close()


async def test_who_asked_before_and_asks_nothing_now_is_let_go_at_once() -> None:
    async with Listening() as it:
        reader, writer = await it.connected()
        writer.write(REQUEST)
        assert (await reader.readuntil(b"pong")).startswith(b"HTTP/1.1 200")
        it.stop()
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


async def test_while_servers_come_and_go_on_one_socket_nobody_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was accepted in the very turn in which the listening ended is answered too."""
    monkeypatch.setattr(protocol, "FIRST_S", 20.0)  # however late they come to ask
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.setblocking(False)  # of all that share it: `dup` would make each block again
    place, over, failed, answered = listener.getsockname(), threading.Event(), [], [0]

    def ask() -> None:
        while not over.is_set():
            try:
                with socket.create_connection(place, timeout=120) as client:
                    client.sendall(REQUEST)
                    assert client.recv(1000).startswith(b"HTTP/1.1 200")
                    answered[0] += 1
            except (OSError, AssertionError) as error:
                failed.append(repr(error))

    async def listening() -> tuple[Plain, HttpServer, asyncio.Task[None]]:
        handler = Plain()
        server = HttpServer(handler, Limits())
        task = asyncio.create_task(server.serve([listener.dup()]))
        while not server.started:
            await asyncio.sleep(0.001)
        return handler, server, task

    current = await listening()
    asking = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(60):
            following = await listening()
            handler, server, task = current
            await asyncio.sleep(0)  # as a signal does, it ends before what is accepted in this turn of the loop
            handler.draining = True
            server.stop()
            await asyncio.wait_for(task, 120)
            current = following
    finally:
        over.set()
    await asyncio.to_thread(lambda: [thread.join() for thread in asking])
    current[1].stop()
    await current[2]
    listener.close()
    assert failed == []
    assert answered[0] > 60
