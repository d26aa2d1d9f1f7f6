"""A proxy that stands before a real server: it counts what passes, and can make the server slow."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Passed(NamedTuple):
    """One request with its answer."""

    what: str
    """Method and path, without what is asked."""
    body: str
    began: float
    ended: float
    up: int
    """Bytes of the request, its headers included."""
    down: int


class Tally(NamedTuple):
    requests: int
    bytes: int
    chain: int
    """So many of them waited for one another."""
    passed: tuple[Passed, ...]

    def __str__(self) -> str:
        each = ", ".join(f"{one.what.rpartition('mlflow/')[2]} {one.down / 1e3:.0f} kB" for one in self.passed)
        return f"{self.requests} requests, {self.bytes / 1e3:.1f} kB: {each}"


class CountingProxy:
    """`delay` is asked for the seconds that an answer shall take longer, by method-and-path and body."""

    def __init__(self, upstream: str, delay: Callable[[str, str], float] | None = None) -> None:
        self.delay = delay or (lambda what, body: 0.0)
        self.most_at_once = 0
        self._at_once: list[str] = []
        self._passed: list[Passed] = []
        self._lock = threading.Lock()
        where = urlsplit(upstream)
        self._server = _Quiet(("127.0.0.1", 0), _handler(self, where.hostname or "", where.port or 80))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def under_way(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._at_once)

    def taken(self) -> Tally:
        """What has passed since the last time that this was asked, and is answered."""
        with self._lock:
            passed, self._passed = tuple(self._passed), []
        chain, until = 0, 0.0
        for one in sorted(passed, key=lambda each: each.ended):
            if one.began >= until:
                chain, until = chain + 1, one.ended
        return Tally(len(passed), sum(one.up + one.down for one in passed), chain, passed)

    @contextmanager
    def passing(self, what: str) -> Iterator[None]:
        with self._lock:
            self._at_once.append(what)
            self.most_at_once = max(self.most_at_once, len(self._at_once))
        try:
            yield
        finally:
            with self._lock:
                self._at_once.remove(what)

    def note(self, one: Passed) -> None:
        with self._lock:
            self._passed.append(one)


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Who asked has gone away."""


def _handler(proxy: CountingProxy, host: str, port: int) -> type[BaseHTTPRequestHandler]:
    local = threading.local()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def pass_on(self) -> None:
            began = time.monotonic()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            what = f"{self.command} {urlsplit(self.path).path}"
            with proxy.passing(what):
                said = body.decode("utf-8", "replace") or urlsplit(self.path).query
                time.sleep(proxy.delay(what, said))
                status, headers, answer = self._ask(body)
                up = len(self.raw_requestline) + len(str(self.headers)) + len(body)
                down = sum(len(name) + len(value) + 4 for name, value in headers) + 19 + len(answer)
                proxy.note(Passed(what, said, began, time.monotonic(), up, down))
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            for again in (True, False):
                known = getattr(local, "upstream", None)
                local.upstream = known or http.client.HTTPConnection(host, port, timeout=600)
                try:
                    local.upstream.request(self.command, self.path, body or None, headers)
                    found = local.upstream.getresponse()
                    return found.status, found.getheaders(), found.read()
                except (http.client.HTTPException, OSError):
                    local.upstream = None
                    if known is None or not again:
                        raise
            raise AssertionError

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    return Handler
