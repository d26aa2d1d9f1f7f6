"""A real Ray of a head and two workers, inside a network namespace with loopback alone; and the ways to it and back."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.launcher.bridge import Bridge, listen_tcp, listen_unix, tcp, unix

ROOT = Path(__file__).resolve().parents[2]
UNSHARE = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]


def venv() -> Path:
    """Where Ray is installed: `.ci/run` does that; `MLOPS_RAY_VENV` names another place."""
    return Path(os.environ.get("MLOPS_RAY_VENV") or ROOT / ".ci" / "ray-venv")


def missing() -> str:
    """Why there can be no Ray here, or empty."""
    if not (venv() / "bin" / "ray").exists():
        return f"no Ray in {venv()}: .ci/run installs it, MLOPS_RAY_VENV names another place"
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare and ip are wanted, to keep Ray from listening beyond this machine"
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        return "this machine does not let us make a network namespace (unshare --net as root)"
    return ""


class RayHead:
    """The cluster. `agent_port` tells where the workspace's agent listens, each time a job asks for it."""

    def __init__(self, agent_port: Callable[[], int], token: str = "", *, workers: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # a socket's path is short
        self.token = token
        environment = dict(os.environ)
        if token:
            environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
        self._process = subprocess.Popen(
            [*UNSHARE, str(venv() / "bin" / "python"), str(Path(__file__).with_name("ray_inside.py")),
             str(self.folder), str(venv())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n"
        listener = listen_tcp()
        self.port = listener.getsockname()[1]
        self.way = Bridge(listener, lambda: unix(str(self.folder / "head.sock")))
        self.back = Bridge(listen_unix(str(self.folder / "agent.sock")), lambda: tcp(agent_port()))
        self.workers = {str(number + 1) for number in range(workers)}
        self._await_head()
        self._join(self.workers)

    def _await_head(self) -> None:
        self._until(lambda: self.get("/api/version").status_code == 200, "the head")

    def _join(self, workers: set[str]) -> None:
        """One after the other: two that begin at once may choose the same ports."""
        there = 1 + len(self.workers - workers)
        for at, number in enumerate(sorted(workers), there + 1):
            self.order(f"node {number}")
            self._until(lambda at=at: len(self.nodes()) == at, f"worker {number}")

    def kill(self, name: str) -> None:
        """A worker, by its number, or `head`."""
        self.order(f"kill {name}")
        self.workers.discard(name)

    def revive(self) -> None:
        """Another head at the old one's place, which knows nothing of that and asks for no token, with new workers."""
        self.order("head")
        self._await_head()
        for each in sorted(self.workers):
            self.order(f"kill {each}")
        self._join(self.workers)

    def add(self, number: str) -> None:
        """The worker that was killed, once more."""
        self.workers.add(number)
        self._join({number})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.get(self.url + path, headers=headers, timeout=20)

    def nodes(self) -> list[dict[str, object]]:
        found = self.get("/api/v0/nodes?detail=true").json()["data"]["result"]["result"]
        return [each for each in found if each["state"] == "ALIVE"]

    def order(self, word: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        self._process.stdout.readline()

    def _until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 240
        tended = time.monotonic()
        while True:
            try:
                if condition():
                    return
            except (httpx.HTTPError, KeyError, ValueError, TypeError):
                pass
            if time.monotonic() > deadline or self._process.poll() is not None:
                said = (self.folder / "ray.log").read_text("utf-8", "replace")[-3000:]
                self.close()
                raise AssertionError(f"{what} of Ray did not come up: {said}")
            time.sleep(0.3)
            if time.monotonic() - tended > 3:
                self.order("tend")
                tended = time.monotonic()

    def close(self) -> None:
        self._process.kill()  # and with it all of its namespace
        self._process.wait(10)
        self.way.close()
        self.back.close()
        shutil.rmtree(self.folder, ignore_errors=True)
