"""A real Prometheus on a free port of 127.0.0.1, with its own directory; and a small exporter that it scrapes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None,
    reason="prometheus is not installed here (Debian and Ubuntu: apt-get install prometheus)",
)


class Server:
    """A Prometheus that runs."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.url = url
        self.process = process
        self.directory = directory

    def ask(self, path: str, **params: str) -> dict[str, object]:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=60)
        found: dict[str, object] = answer.json()
        return found

    def until(self, query: str, wanted: Callable[[list[dict[str, object]]], bool], seconds: float = 120.0) -> None:
        """Poll until the answer is as wanted."""
        end = time.monotonic() + seconds
        said: object = None
        while time.monotonic() < end:
            said = self.ask("query", query=query)
            data = said.get("data") if isinstance(said, dict) else None
            if isinstance(data, dict) and wanted(data["result"]):
                return
            time.sleep(0.3)
        raise AssertionError(f"{query}: not as wanted within {seconds:.0f} s: {said}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def prometheus(
    *,
    scrape: Sequence[tuple[str, str]] = (),
    every: str = "1s",
    rules: str = "",
    history: str = "",
    port: int = 0,
    web: str = "",
    flags: Sequence[str] = (),
) -> Iterator[Server]:
    """scrape: (job, host:port); rules: a rule file; history: OpenMetrics text with times, that it has seen already;
    web: its web configuration (passwords)."""
    assert PROMETHEUS is not None
    assert PROMTOOL is not None
    directory = Path(tempfile.mkdtemp(prefix="prometheus-"))
    port = port or free_port()
    try:
        jobs = "".join(
            f"  - job_name: {job}\n    scrape_interval: {every}\n    scrape_timeout: {every}\n"
            f"    static_configs:\n      - targets: ['{place}']\n"
            for job, place in scrape
        )
        lines = f"global:\n  evaluation_interval: 1s\nscrape_configs:\n{jobs or '  []'}\n"
        if rules:
            (directory / "rules.yml").write_text(rules)
            lines = f"rule_files: ['{directory}/rules.yml']\n" + lines
        (directory / "prometheus.yml").write_text(lines)
        if history:
            (directory / "history.om").write_text(history)
            done = subprocess.run(
                [PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", "--quiet",
                 str(directory / "history.om"), str(directory / "data")],
                capture_output=True, text=True, check=False, timeout=180,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        command = [
            PROMETHEUS, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=30d", "--log.level=warn", *flags,
        ]  # fmt: skip
        if web:
            (directory / "web.yml").write_text(web)
            command.append(f"--web.config.file={directory}/web.yml")
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"}, start_new_session=True
            )
        server = Server(f"http://127.0.0.1:{port}", process, directory)
        try:
            _await(server)
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _await(server: Server, seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.process.poll() is None, (server.directory / "log").read_text()
        try:
            if httpx.get(f"{server.url}/-/ready", timeout=2).status_code in (200, 401):
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError((server.directory / "log").read_text())


class Exporter:
    """Says the text that it is given, in OpenMetrics."""

    def __init__(self) -> None:
        self.text = ""
        self.broken = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = outer.text.encode()
                self.send_response(500 if outer.broken else 200)
                self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
