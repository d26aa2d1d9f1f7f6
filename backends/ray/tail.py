"""Following a job's log: the head sends all of it from its beginning, then what comes, over a WebSocket.

A WebSocket of our own, of the few frames that are needed: where compression is offered, as usual clients do, Ray's
head closes the connection with nothing delivered.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import struct
import threading
import time
from typing import Final
from urllib.parse import urlsplit

from backends.contract import BackendError
from backends.ray.head import AGENT, Head

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
SILENT_S: Final = 60.0
"""Between two signs of life that we ask for: of a connection that died without a word nobody tells."""
MOST_HELD: Final = 8 * 1024 * 1024
"""Bytes that may wait to be taken; then the head has to wait."""


class Tail(threading.Thread):
    """One job's log from byte `start` on, as it comes. It connects again by itself until the job's end."""

    def __init__(self, head: Head, job: str, start: int) -> None:
        super().__init__(name=f"log of {job}", daemon=True)
        self._head = head
        self._job = job
        self._held = bytearray()
        self.base = start
        """Which byte of the log is the first that is held."""
        self._room = threading.Condition()
        self._socket: socket.socket | None = None
        self._ending = False
        self.complete = False
        """The head said that this was all."""

    def take(self, start: int) -> bytes:
        """What there is from byte `start` on; what is before it is let go."""
        with self._room:
            del self._held[: max(0, start - self.base)]
            self.base = max(start, self.base)
            found = bytes(self._held)
            self._room.notify_all()
        return found

    def end(self) -> None:
        self._ending = True
        with self._room:
            self._room.notify_all()
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has ended
                pass

    def run(self) -> None:
        pause = 0.5
        while not self._ending and not self.complete:
            begun = time.monotonic()
            try:
                self._follow()
            except (OSError, ValueError, BackendError):  # whether the head is there at all, `look` tells
                pass
            pause = 0.5 if time.monotonic() - begun > 30 else min(pause * 2, 15.0)
            until = time.monotonic() + pause
            while not self._ending and not self.complete and time.monotonic() < until:
                time.sleep(0.1)

    def _follow(self) -> None:
        with self._connected() as link:
            self._socket = link
            stream = link.makefile("rb")
            _handshake(link, stream, self._head, f"/api/jobs/{self._job}/logs/tail")
            at = 0
            while not self._ending:
                try:
                    kind, data = _frame(stream)
                except TimeoutError:
                    link.sendall(_masked(PING, b""))
                    kind, data = _frame(stream)  # once more silence for so long, and it is given up
                if kind in (TEXT, BINARY, 0):
                    self._keep(at, data)
                    at += len(data)
                elif kind == PING:
                    link.sendall(_masked(PONG, data))
                elif kind == CLOSE:
                    self.complete = data[:2] == struct.pack("!H", 1000)
                    return

    def _keep(self, at: int, data: bytes) -> None:
        with self._room:
            known = self.base + len(self._held) - at
            if known < len(data):
                self._held += data[max(0, known) :]
            while len(self._held) > MOST_HELD and not self._ending:
                self._room.wait(1.0)

    def _connected(self) -> socket.socket:
        parts = urlsplit(self._head.url)
        secure = parts.scheme == "https"
        link = socket.create_connection((parts.hostname or "", parts.port or (443 if secure else 80)), timeout=10.0)
        if secure:
            context = self._head.verify if isinstance(self._head.verify, ssl.SSLContext) else None
            link = (context or ssl.create_default_context()).wrap_socket(link, server_hostname=parts.hostname)
        link.settimeout(SILENT_S)
        return link


def _handshake(link: socket.socket, stream: object, head: Head, path: str) -> None:
    parts = urlsplit(head.url)
    lines = [
        f"GET {parts.path}{path} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "Sec-WebSocket-Version: 13",
        f"User-Agent: {AGENT}", *(f"{key}: {value}" for key, value in head.headers().items()),
    ]  # fmt: skip
    link.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    first = stream.readline(4096)  # type: ignore[attr-defined]
    while stream.readline(8192).strip():  # type: ignore[attr-defined]
        pass
    if b" 101 " not in first:
        raise ValueError(f"no WebSocket: {first[:80]!r}")


def _frame(stream: object) -> tuple[int, bytes]:
    """(kind, content) of the next frame; that of a server is not masked."""
    first, second = _exactly(stream, 2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", _exactly(stream, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", _exactly(stream, 8))
    if size > 64 * 1024 * 1024:
        raise ValueError("a frame of more than 64 MB")
    return first & 0x0F, _exactly(stream, size)


def _exactly(stream: object, count: int) -> bytes:
    data: bytes = stream.read(count)  # type: ignore[attr-defined]
    if len(data) != count:
        raise ConnectionError("the connection was closed in the middle")
    return data


def _masked(kind: int, data: bytes) -> bytes:
    mask = os.urandom(4)
    return bytes((0x80 | kind, 0x80 | len(data))) + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
