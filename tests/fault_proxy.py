"""A proxy on loopback before a real server, that does what networks do: hang, cut, drip, drop, answer for another.

A fault is a function `(asked, forward) -> pieces of bytes`: `forward()` sends the request on and gives the server's
whole answer, the pieces go to the client as they are, and then the connection is closed, of which a whole answer tells:
who does not know it would ask again on a connection that is just being closed. What reached the server is counted.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.ports import free_port

_KEPT = (
    "content-type", "content-disposition", "www-authenticate", "docker-content-digest", "location", "range", "link",
    "oci-subject", "content-range",
)  # fmt: skip
LAST = {"Connection": "close"}
LONGEST_S = 300.0
"""A hang ends here at the latest, so that no test leaves a thread behind; with `calm` it ends at once."""


@dataclass(frozen=True)
class Asked:
    """One request, as the client sent it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Forward = Callable[[], bytes]
Fault = Callable[[Asked, Forward], Iterable[bytes]]


@dataclass
class Rule:
    """Which requests meet the fault: of this method ("" any) and with this in the path, `after` the first so many."""

    method: str
    path: str
    fault: Fault
    after: int = 0
    times: int | None = None
    seen: int = 0

    def meets(self, asked: Asked) -> bool:
        if self.method not in ("", asked.method) or self.path not in asked.path:
            return False
        self.seen += 1
        return self.seen > self.after and (self.times is None or self.seen <= self.after + self.times)


@dataclass
class FaultProxy:
    """In front of `target`, at `url`. Use as a context manager."""

    target: str
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    """Everything that clients asked."""
    reached: list[Asked] = field(default_factory=list)
    """What of it was sent on to the server."""
    tokens: set[str] | None = None
    """With tokens, all else is answered 401."""
    _rules: list[Rule] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def plan(self, method: str, path: str, fault: Fault, *, after: int = 0, times: int | None = None) -> None:
        with self._guard:
            self._rules.append(Rule(method, path, fault, after, times))

    def calm(self) -> None:
        """No fault from now on; what hangs is let go; counting begins anew."""
        with self._guard:
            self._rules.clear()
            self._over.set()
            self._over = threading.Event()
            self.asked.clear()
            self.reached.clear()
            self.tokens = None

    def count(self, method: str, path: str) -> int:
        """How often it reached the server."""
        return sum(each.method == method and path in each.path for each in self.reached)

    # ------------------------------------------------------------ faults that wait

    def hang(self, *, forwarding: bool = False, first: Callable[[bytes], bytes] = lambda _: b"") -> Fault:
        """Nothing more comes; with `first`, that much of the server's answer has."""

        def fault(_: Asked, forward: Forward) -> Iterator[bytes]:
            over = self._over
            if forwarding:
                yield first(forward())
            over.wait(LONGEST_S)

        return fault

    def drip(self, pause: float = 0.05) -> Fault:
        """A byte at a time, for longer than anybody should wait; each comes well within the time of a single read."""

        def fault(_: Asked, forward: Forward) -> Iterator[bytes]:
            over, answer = self._over, forward()
            for place in range(len(answer)):
                yield answer[place : place + 1]
                if over.wait(pause):
                    return

        return fault

    # ------------------------------------------------------------ the machinery

    def __enter__(self) -> FaultProxy:
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.leave()
        with self._guard:
            still = list(self._open)
        for each in still:
            _shut(each)

    def leave(self) -> None:
        """Nobody listens here from now on; what is open stays."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closed alone, it would still take the one who comes next
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._guard:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with client.makefile("rb") as stream:
                while (asked := _read(stream)) is not None:
                    fault = self._fault(asked)
                    if fault is None:
                        client.sendall(self._forward(asked))
                        continue
                    for piece in fault(asked, lambda asked=asked: self._forward(asked, last=True)):  # type: ignore[misc]
                        client.sendall(piece)
                    return
        except OSError:
            pass  # the client has had enough
        finally:
            with self._guard:
                self._open.discard(client)
            _shut(client)

    def _fault(self, asked: Asked) -> Fault | None:
        with self._guard:
            self.asked.append(asked)
            found = [rule.fault for rule in self._rules if rule.meets(asked)]
            if found:
                return found[0]
            given = asked.headers.get("authorization", "")
            return answer(401, b"who are you?") if self.tokens is not None and given not in self.tokens else None

    def _forward(self, asked: Asked, *, last: bool = False) -> bytes:
        with self._guard:
            self.reached.append(asked)
        place = urlsplit(self.target)
        server = http.client.HTTPConnection(place.hostname or "", place.port, timeout=180)
        try:
            skipped = ("host", "connection", "content-length", "accept-encoding")
            headers = {key: value for key, value in asked.headers.items() if key not in skipped}
            target = asked.path + (f"?{asked.query}" if asked.query else "")
            server.request(asked.method, target, body=asked.body or None, headers=headers)
            found = server.getresponse()
            body = found.read()
            more = {
                key: value.replace(self.target, self.url) if key.lower() == "location" else value
                for key, value in found.getheaders()
                if key.lower() in _KEPT
            }
            return raw(found.status, body, **more, **(LAST if last else {}))
        finally:
            server.close()


def _read(stream: Any) -> Asked | None:
    line = stream.readline(65_536)
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (header := stream.readline(65_536)).strip():
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    path, _, query = target.partition("?")
    return Asked(method, path, query, headers, stream.read(int(headers.get("content-length", "0"))))


def _shut(client: socket.socket) -> None:
    try:
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    client.close()


# ---------------------------------------------------------------- answers and faults


def raw(status: int, body: bytes, *, length: int | None = None, **headers: str) -> bytes:
    """An answer as its bytes; `length` is what it says of itself."""
    said = {"Content-Length": str(len(body) if length is None else length), **headers}
    lines = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in said.items())
    return f"HTTP/1.1 {status} Because\r\n{lines}\r\n".encode("latin-1") + body


def answer(status: int, body: bytes = b"", **headers: str) -> Fault:
    """Somebody in between answers; the server hears nothing."""
    return lambda asked, forward: [raw(status, body, **headers, **LAST)]


def answer_after(status: int, body: bytes = b"", **headers: str) -> Fault:
    """The server does it, and somebody in between says something else."""

    def fault(_: Asked, forward: Forward) -> Iterator[bytes]:
        forward()
        yield raw(status, body, **headers, **LAST)

    return fault


def drop_before(_: Asked, forward: Forward) -> Iterable[bytes]:
    """The connection ends, and the server heard nothing."""
    return []


def drop_after(_: Asked, forward: Forward) -> Iterable[bytes]:
    """The server did it, and the connection ends before its answer."""
    forward()
    return []


def cut(keeping_length: bool) -> Fault:
    """Half of the server's answer, under the length of the whole or under its own."""

    def fault(_: Asked, forward: Forward) -> Iterator[bytes]:
        head, _, body = forward().partition(b"\r\n\r\n")
        half = body[: len(body) // 2]
        if keeping_length:
            yield head + b"\r\n\r\n" + half
        else:
            yield raw(200, half or b'{"a', Content_Type="application/json", **LAST)

    return fault


def chunks_cut(_: Asked, forward: Forward) -> Iterator[bytes]:
    """Chunked, and the last chunks never come."""
    _, _, body = forward().partition(b"\r\n\r\n")
    half = body[: len(body) // 2]
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield f"{len(half):x}\r\n".encode() + half + b"\r\n"


def says(body: bytes, content_type: str = "application/json") -> Fault:
    """200, and this."""
    return answer(200, body, Content_Type=content_type)


def bytes_of(text: bytes) -> Fault:
    """These bytes, which may be no HTTP at all."""
    return lambda asked, forward: [text]


LOGIN_PAGE = b"<!DOCTYPE html><html><title>Sign in</title><form action=/login></form></html>"
