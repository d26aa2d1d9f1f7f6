"""A time by which a whole exchange ends, on the connections of an httpx client.

httpx limits each single read: a server that sends a byte now and then holds a caller for ever. Here a thread's exchange
has an end, and every read and write of it waits at most until then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpcore

if TYPE_CHECKING:
    import ssl

    import httpx

PROGRESS: Final = 64 * 1024
"""Bytes that must pass within the time limit for a file's transfer to go on."""


class Deadline(threading.local):
    """This thread's exchange."""

    until = float("inf")
    patience = 0.0
    rolling = False
    passed = 0

    @contextmanager
    def within(self, seconds: float, *, rolling: bool = False) -> Iterator[None]:
        """The exchange inside ends after so many seconds; a rolling one, once so many pass without progress."""
        self.until, self.patience, self.rolling, self.passed = time.monotonic() + seconds, seconds, rolling, 0
        try:
            yield
        finally:
            self.until = float("inf")

    def left(self, timeout: float | None) -> float | None:
        """How long one read or write may wait."""
        if self.until == float("inf"):
            return timeout
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("timed out")
        return left if timeout is None else min(timeout, left)

    def moved(self, count: int) -> None:
        self.passed += count
        if self.rolling and self.passed >= PROGRESS:
            self.until, self.passed = time.monotonic() + self.patience, 0


def keep(client: httpx.Client, deadline: Deadline) -> None:
    """Put every connection of the client, through proxies too, under the deadline.

    httpx has no option for it: a pool of a shape that is not known keeps its limits of single reads.
    """
    for transport in (vars(client).get("_transport"), *vars(client).get("_mounts", {}).values()):
        pool = vars(transport).get("_pool") if transport is not None else None
        if pool is not None and "_network_backend" in vars(pool):
            pool._network_backend = _Network(pool._network_backend, deadline)


class _Network(httpcore.NetworkBackend):
    def __init__(self, network: Any, deadline: Deadline) -> None:
        self._network = network
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        wait = self._deadline.left(timeout)
        return _Stream(self._network.connect_tcp(host, port, wait, local_address, socket_options), self._deadline)

    def sleep(self, seconds: float) -> None:
        self._network.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        found = self._stream.read(max_bytes, self._deadline.left(timeout))
        self._deadline.moved(len(found))
        return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))
        self._deadline.moved(len(buffer))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout)), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
