"""The protocol's server, by itself: it sleeps while nobody asks, answers, and ends when it is told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import pytest  # noqa: TC002
import uvicorn

from backends.mlflow.server.serve import ProtocolServer
from tests.monitored import until


async def app(_scope: MutableMapping[str, Any], _receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_the_server_wakes_for_clients_alone_and_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = []
    tick = uvicorn.Server.on_tick

    async def counted(self: uvicorn.Server, counter: int) -> bool:
        ticks.append(counter)
        return await tick(self, counter)

    monkeypatch.setattr(uvicorn.Server, "on_tick", counted)
    server = ProtocolServer(app)
    url = f"http://127.0.0.1:{server.start()}"
    for _ in range(3):
        assert httpx.get(url, timeout=30).text == "ok"
    assert ticks == [0], "it looked at nothing by the clock"
    server.stop()

    def closed() -> bool:
        try:
            httpx.get(url, timeout=5)
        except httpx.HTTPError as error:  # cut off, as long as it is on its way to its end
            return isinstance(error, httpx.ConnectError)
        return False

    assert until(closed, seconds=120, what="an end of the listening")


def test_a_server_that_is_told_to_end_before_it_began_ends() -> None:
    server = ProtocolServer(app)
    server.stop()
    server.start()
    thread = server._thread
    assert thread is not None
    thread.join(120)
    assert not thread.is_alive()
