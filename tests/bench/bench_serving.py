"""The model server beside `mlflow models serve`, the same model and the same requests in one run; and 1 000 swaps.

python -m tests.bench.bench_serving [SECONDS] [SWAPS]

One row of 10 numbers and 2 texts, histogram gradient boosting of 100 rounds, one worker, OMP_NUM_THREADS=1. Requests
come from wrk where it is installed, else from threads of our own. CPU is what the server's processes used for each
request: it says the same on a busy machine, where times do not.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psutil
from sklearn.ensemble import HistGradientBoostingClassifier

from backends.entities import Signature
from backends.local import open_local
from console.serving.spec import LogSpec, Target
from console.training.mlflow_model import write_mlflow_model
from console.training.model_file import save_model
from tests.serving import columns_of, fitted, json_rows, keep_version, point, serving

SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("BODY", "rb")
wrk.body = file:read("*a")
"""


def made_rows(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"n{at}": rng.normal(0, 1, count) for at in range(10)})
    frame["carrier"] = rng.choice(list("abcdefgh"), count)
    frame["origin"] = rng.choice([f"AP{at}" for at in range(40)], count)
    return frame


class Load:
    """Requests, and what became of them."""

    def __init__(self, folder: Path, body: bytes) -> None:
        self.body = body
        self.script = folder / "post.lua"
        (folder / "body.json").write_bytes(body)
        self.script.write_text(SCRIPT.replace("BODY", str(folder / "body.json")))

    def run(self, url: str, connections: int, seconds: float) -> tuple[float, float, float, int]:
        """(requests a second, p50 ms, p99 ms, failures)."""
        if shutil.which("wrk"):
            return self._wrk(url, connections, seconds)
        return self._threads(url, connections, seconds)

    def _wrk(self, url: str, connections: int, seconds: float) -> tuple[float, float, float, int]:
        said = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "20s", "-s",
             str(self.script), f"{url}/invocations"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
        return (
            float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0]),
            _milliseconds(re.findall(r"50%\s+([\d.]+\w+)", said)[0]),
            _milliseconds(re.findall(r"99%\s+([\d.]+\w+)", said)[0]),
            int(failed[1]) if failed else 0 + (sum(map(int, errors.groups())) if errors else 0),
        )

    def _threads(self, url: str, connections: int, seconds: float) -> tuple[float, float, float, int]:
        took: list[float] = []
        failures = [0]
        end = time.monotonic() + seconds

        def one() -> None:
            with Raw(url, self.body) as raw:
                while time.monotonic() < end:
                    began = time.perf_counter()
                    if raw.ask() != 200:
                        failures[0] += 1
                    took.append(time.perf_counter() - began)

        threads = [threading.Thread(target=one) for _ in range(connections)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = time.monotonic() - began
        p50, p99 = np.percentile(took, [50, 99]) * 1000
        return len(took) / spent, float(p50), float(p99), failures[0]


class Raw:
    """One connection, as thin as Python has it."""

    def __init__(self, url: str, body: bytes) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = (
            f"POST /invocations HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self.version = ""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self) -> int:
        self.socket.sendall(self.request)
        said = b""
        while b"\r\n\r\n" not in said:
            said += self._more()
        head, _, rest = said.partition(b"\r\n\r\n")
        length = int(re.findall(rb"content-length: (\d+)", head, re.IGNORECASE)[0])
        while len(rest) < length:
            rest += self._more()
        found = re.search(rb"x-model-version: (\S+)", head)
        self.version = found[1].decode() if found else ""
        return int(head[9:12])

    def _more(self) -> bytes:
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server closed the connection")
        return part


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def tree(pid: int) -> tuple[float, float]:
    """(CPU seconds, resident MB) of a process and all below it."""
    top = psutil.Process(pid)
    found = [top, *top.children(recursive=True)]
    cpu = sum(sum(each.cpu_times()[:2]) for each in found)
    return cpu, sum(each.memory_info().rss for each in found) / 1e6


def measured(name: str, pid: int, url: str, began: float, load: Load, seconds: float) -> dict[int, float]:
    start = time.monotonic() - began
    load.run(url, 1, 1)
    out: dict[int, float] = {}
    for connections in (1, 8):
        cpu = tree(pid)[0]
        rate, p50, p99, failed = load.run(url, connections, seconds)
        cost = (tree(pid)[0] - cpu) / max(rate * seconds, 1) * 1000
        out[connections] = rate
        print(
            f"{name:34} c{connections}  {rate:8.0f} /s  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  CPU {cost:6.2f} ms each"
            f"  failed {failed}  start {start:5.1f} s  RSS {tree(pid)[1]:4.0f} MB",
            flush=True,
        )
    return out


@contextmanager
def mlflow_serving(folder: Path) -> Iterator[tuple[int, str, float]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    env = {**os.environ, "PATH": beside, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), "--env-manager", "local",
         "--port", str(port), "--host", "127.0.0.1", "--workers", "1"],
        env=env, stdout=subprocess.DEVNULL, stderr=(folder / "serve.log").open("wb"), start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                if httpx.get(f"{url}/ping", timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
            if process.poll() is not None or time.monotonic() - began > 300:
                raise RuntimeError((folder / "serve.log").read_text()[-3000:])
        yield process.pid, url, began
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def main(seconds: float = 4.0, swaps: int = 1000) -> None:
    frame = made_rows(5000)
    target = np.where(frame["n0"] + frame["n1"] > 0, "yes", "no")
    pipeline = fitted(frame, target, HistGradientBoostingClassifier(max_iter=100, early_stopping=False))
    other = fitted(frame, target, HistGradientBoostingClassifier(max_iter=100, max_depth=3, early_stopping=False))
    record = json_rows(frame.head(1))[0]
    body = json.dumps({"dataframe_split": {"columns": list(record), "data": [list(record.values())]}}).encode()
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        backend = open_local(home / "workspace")
        for number, each in enumerate((pipeline, other)):
            keep_version(backend, home / str(number), each, frame)
        point(backend, "champion", "1")
        load = Load(home, body)
        rates: dict[str, dict[int, float]] = {}
        for name, log in (("ours", LogSpec()), ("ours, every prediction logged", LogSpec(folder=str(home / "log")))):
            began = time.monotonic()
            with serving(backend, home / "server", log=log) as served:
                rates[name] = measured(name, served.process.pid, served.url, began, load, seconds)
                if log.folder:
                    state = served.state()
                    print(f"{'':34} logged {state.logged}, dropped {state.log_dropped}")
        plain = home / "mlflow"
        file = save_model(pipeline, plain / "model" / "model.skops")
        write_mlflow_model(plain / "model", file, Signature(inputs=columns_of(frame)), frame, target, "late")
        with mlflow_serving(plain / "model") as (pid, url, began):
            rates["mlflow"] = measured("mlflow models serve", pid, url, began, load, seconds)
        for connections in (1, 8):
            ours, theirs = rates["ours"][connections], rates["mlflow"][connections]
            print(f"c{connections}: {ours / theirs:.1f} times mlflow models serve (budget 2)")
        with serving(backend, home / "server") as served:
            swapped(served, body, swaps)
        backend.close()


def swapped(served: Any, body: bytes, swaps: int) -> None:
    """Exchange the version again and again while four connections ask."""
    stop, failed, asked = threading.Event(), [0], [0]

    def ask() -> None:
        with Raw(served.url, body) as raw:
            while not stop.is_set():
                asked[0] += 1
                if raw.ask() != 200 or raw.version not in ("1", "2"):
                    failed[0] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    took = []
    for number in range(swaps):
        began = time.perf_counter()
        served.set_targets(Target(version="21"[number % 2])).raise_for_status()
        took.append(time.perf_counter() - began)
    stop.set()
    for thread in threads:
        thread.join()
    p50, p99 = np.percentile(took, [50, 99]) * 1000
    print(
        f"{swaps} swaps under load: {asked[0]} requests, {failed[0]} failed (budget 0); "
        f"a swap p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    )


if __name__ == "__main__":
    main(*(float(each) for each in sys.argv[1:2]), *(int(each) for each in sys.argv[2:3]))
