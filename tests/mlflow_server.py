"""A real `mlflow server`, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ports import free_port

if TYPE_CHECKING:
    import pytest

START_S = 180.0
"""An import of mlflow and 69 migrations, on a loaded box."""


@dataclass
class MlflowServer:
    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(20)

    def pause(self) -> None:
        """Let it hang: connections are taken and never answered."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.process.pid, signal.SIGCONT)


def never_slow(patch: pytest.MonkeyPatch) -> None:
    """A busy machine is no slow server, of which the client asks less."""
    for module in ("client_sorting", "client_pages", "client_versions"):
        patch.setattr(f"backends.mlflow.{module}.SLOW_S", 600.0)
    patch.setattr("backends.mlflow.client_sorting.EXPECTED_S", 6_000.0)
    patch.setattr("backends.mlflow.client_pages.LIMIT_S", 120.0)


def start_mlflow(
    folder: Path, *more: str, port: int = 0, env: dict[str, str] | None = None, store: str = ""
) -> MlflowServer:
    """Start it and wait until it answers; `more` are further arguments of `mlflow server`, `store` is where it keeps
    its rows, an SQLite file of the folder where nothing is said."""
    port = port or free_port()
    url, store = f"http://127.0.0.1:{port}", store or f"sqlite:///{folder}/mlflow.db"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts"),
        *more,
    ]  # fmt: skip
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
            | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = MlflowServer(url, process, folder)
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"mlflow server ended with {process.returncode}: {_end(folder)}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                if answer.status == 200:
                    return server
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    server.stop()
    raise RuntimeError(f"mlflow server did not answer within {START_S:.0f} s: {_end(folder)}")


def _end(folder: Path) -> str:
    return (folder / "server.log").read_bytes()[-2000:].decode("utf-8", "replace")
