"""A deployment held against its budgets: both engines beside `mlflow models serve`, swaps and promotions under load,
and minutes of load.

python -m tests.bench.bench_deploy [--seconds 4] [--swaps 1000] [--minutes 1] [--only rates,swaps,promote,load]

One row of 10 numbers and 2 texts, histogram gradient boosting of 100 rounds, one worker, OMP_NUM_THREADS=1. Requests
come from wrk; where that is not installed it is said, and they come from threads of our own, which takes a good part of
the machine for itself. Times swing on a busy machine: the ratios within one run are what counts.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from backends.contract import Backend
from backends.entities import Signature
from backends.local import open_local
from console.serving.onnx.convert import convert_version
from console.serving.onnx.parity import rows_from
from console.serving.spec import LogSpec, Target
from console.training.mlflow_model import write_mlflow_model
from console.training.model_file import save_model
from tests.bench.bench_serving import Load, Raw, made_rows, mlflow_serving, tree
from tests.serving import WHO, Served, columns_of, fitted, json_rows, keep_version, point, serving

PARTS = ("rates", "swaps", "promote", "load")
CONNECTIONS = 8


def said(what: str, value: str, budget: str, met: bool | None = None) -> None:
    word = "" if met is None else "met" if met else "MISSED"
    print(f"{what:58} {value:>24}   budget {budget:16} {word}", flush=True)


# ------------------------------------------------------------ rates


def rates(backend: Backend, home: Path, body: bytes, pipeline: Any, frame: Any, target: Any, seconds: float) -> None:
    load = Load(home, body)
    found: dict[str, tuple[float, float]] = {}
    for engine in ("sklearn", "onnx"):
        for logged in (False, True):
            log = LogSpec(folder=str(home / f"log-{engine}")) if logged else LogSpec()
            began = time.monotonic()
            with serving(backend, home / f"{engine}-{logged}", log=log, engine=engine) as served:
                with Raw(served.url, body) as raw:
                    assert raw.ask() == 200
                start = time.monotonic() - began
                name = f"{engine}{', every prediction logged' if logged else ''}"
                found[name] = _measured(name, served.process.pid, served.url, load, seconds, start)
                rss = tree(served.process.pid)[1]
                if engine == "onnx" and not logged:
                    said("onnx: from nothing to the first answer", f"{start:.1f} s", "2 s", start <= 2)
                    said("onnx: memory of all its processes", f"{rss:.0f} MB", "200 MB", rss <= 200)
    folder = home / "mlflow" / "model"
    file = save_model(pipeline, folder / "model.skops")
    write_mlflow_model(folder, file, Signature(inputs=columns_of(frame)), frame, target, "late")
    began = time.monotonic()
    with mlflow_serving(folder) as (pid, url, _):
        found["mlflow"] = _measured("mlflow models serve", pid, url, load, seconds, time.monotonic() - began)
    theirs, late = found["mlflow"]
    for engine, times in (("sklearn", 2.0), ("onnx", 40.0)):
        rate, p99 = found[engine]
        said(f"{engine}: times mlflow models serve", f"{rate / theirs:.1f}", f"{times:g}", rate / theirs >= times)
        said(f"{engine}: p99 against mlflow's", f"{p99 / late:.2f}", "below 0.5", p99 / late < 0.5)
        loss = 1 - found[f"{engine}, every prediction logged"][0] / rate
        said(f"{engine}: logging takes of the rate", f"{loss:.1%}", "10 %", loss <= 0.1)


def _measured(name: str, pid: int, url: str, load: Load, seconds: float, start: float) -> tuple[float, float]:
    """(requests a second, p99 in ms) over all connections; also with one, which is printed."""
    load.run(url, CONNECTIONS, 1)
    out = (0.0, 0.0)
    for connections in (1, CONNECTIONS):
        cpu = tree(pid)[0]
        rate, p50, p99, failed = load.run(url, connections, seconds)
        cost = (tree(pid)[0] - cpu) / max(rate * seconds, 1) * 1e6
        out = (rate, p99)
        print(
            f"{name:36} c{connections}  {rate:7.0f} /s  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  CPU {cost:6.0f} us each  "
            f"failed {failed}  start {start:5.1f} s  RSS {tree(pid)[1]:4.0f} MB",
            flush=True,
        )
    return out


# ------------------------------------------------------------ swaps and promotions


class Watched(Raw):
    """A connection that reads each answer's value beside the version that it names."""

    value: Any = None

    def ask(self) -> int:
        self.socket.sendall(self.request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, rest = got.partition(b"\r\n\r\n")
        length = int(re.findall(rb"content-length: (\d+)", head)[0])
        while len(rest) < length:
            rest += self._more()
        named = re.search(rb"x-model-version: (\S+)", head)
        self.version = named[1].decode() if named else ""
        self.value = json.loads(rest).get("predictions")
        return int(head[9:12])


def values_of(served: Served, body: bytes) -> dict[str, Any]:
    """By version, what it says of the row."""
    found = {}
    for version in ("1", "2"):
        served.set_targets(Target(version=version)).raise_for_status()
        with Watched(served.url, body) as raw:
            assert raw.ask() == 200
            assert raw.version == version
            found[version] = raw.value
    assert found["1"] != found["2"]
    return found


def swaps(served: Served, body: bytes, count: int) -> None:
    """Forth and back while others ask: none fails, and each answer is that of the version which it names."""
    values = values_of(served, body)
    stop = threading.Event()
    asked, failed, mixed = [0], [0], [0]
    lock = threading.Lock()

    def ask() -> None:
        mine = [0, 0, 0]
        with Watched(served.url, body) as raw:
            while not stop.is_set():
                mine[0] += 1
                try:
                    status = raw.ask()
                except OSError:
                    mine[1] += 1
                    return
                mine[1] += status != 200
                mine[2] += raw.value != values.get(raw.version)
        with lock:
            for total, part in zip((asked, failed, mixed), mine, strict=True):
                total[0] += part

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    took = []
    for number in range(count):
        began = time.perf_counter()
        served.set_targets(Target(version="12"[number % 2])).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
    stop.set()
    for thread in threads:
        thread.join()
    p50, p99 = np.percentile(took, [50, 99])
    print(f"{count} swaps and rollbacks under {CONNECTIONS} connections: p50 {p50:.0f}, p99 {p99:.0f} ms")
    print(f"{asked[0]} requests meanwhile")
    said("swaps: failed requests", str(failed[0]), "0", failed[0] == 0)
    said("swaps: answers of another version than named", str(mixed[0]), "0", mixed[0] == 0)


def promote(backend: Backend, served: Served, body: bytes, count: int = 20) -> None:
    """How long after an alias has moved its new version answers."""
    served.set_targets(Target(alias="champion")).raise_for_status()
    took = []
    with Watched(served.url, body) as raw:
        raw.ask()
        for _ in range(count):
            wanted = "2" if raw.version == "1" else "1"
            point(backend, "challenger", raw.version)
            point(backend, "champion", wanted)
            began = time.perf_counter()
            while raw.ask() == 200 and raw.version != wanted:
                if time.perf_counter() - began > 30:
                    raise RuntimeError(f"v{wanted} does not answer")
            took.append((time.perf_counter() - began) * 1000)
    worst = max(took)
    print(f"{count} promotions: median {np.median(took):.0f} ms until the new version answers")
    said("promotion: worst time until the new version answers", f"{worst:.0f} ms", "500 ms", worst <= 500)


# ------------------------------------------------------------ minutes of load


def lasting(served: Served, body: bytes, minutes: float, share: float = 0.8) -> None:
    """Requests at a share of what it can, at even distances; whether anything fails, and whether memory grows."""
    capacity = _paced(served, body, 5.0, None)[0]
    rate = capacity * share
    marks: list[tuple[float, float]] = []
    stop = threading.Event()

    def look() -> None:
        began = time.monotonic()
        while not stop.wait(2.0):
            marks.append((time.monotonic() - began, tree(served.process.pid)[1]))

    looking = threading.Thread(target=look)
    looking.start()
    done, failed, p99 = _paced(served, body, minutes * 60, rate)
    stop.set()
    looking.join()
    steady = [each for each in marks if each[0] > min(30.0, minutes * 15)]
    slope = float(np.polyfit(*np.array(steady).T, 1)[0]) * 3600 if len(steady) > 5 else 0.0
    first, last = (np.mean([rss for _, rss in part]) for part in (steady[:5], steady[-5:]))
    print(f"{minutes:g} minutes at {rate:.0f} of {capacity:.0f} /s: {done:.0f} /s came through, p99 {p99:.1f} ms")
    said("load: failed requests", str(failed), "0", failed == 0)
    growth = last - first
    said(f"load: memory {first:.0f} -> {last:.0f} MB ({slope:+.0f} MB/h)", f"{growth:+.1f} MB", "5 MB", growth <= 5)


def _paced(served: Served, body: bytes, seconds: float, rate: float | None) -> tuple[float, int, float]:
    """(requests a second, failures, p99 in ms); as fast as it goes without a rate."""
    took: list[list[float]] = [[] for _ in range(CONNECTIONS)]
    failures = [0] * CONNECTIONS
    began = time.monotonic()

    def ask(at: int) -> None:
        pause = CONNECTIONS / rate if rate else 0.0
        due = began + pause * at / CONNECTIONS
        with Raw(served.url, body) as raw:
            while (now := time.monotonic()) < began + seconds:
                if due > now:
                    time.sleep(due - now)
                sent = time.perf_counter()
                failures[at] += raw.ask() != 200
                took[at].append(time.perf_counter() - sent)
                due += pause

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - began
    every = np.concatenate([np.array(each) for each in took])
    return len(every) / spent, sum(failures), float(np.percentile(every, 99) * 1000)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--only", default=",".join(PARTS))
    asked = parser.parse_args(argv)
    parts = asked.only.split(",")
    if shutil.which("wrk") is None:
        print("wrk is not installed: requests come from threads of our own, which are slower")
    frame = made_rows(5000)
    target = np.where(frame["n0"] + frame["n1"] > 0, "yes", "no")
    record = json_rows(frame.head(1))[0]
    split = {"columns": list(record), "data": [list(record.values())]}
    body = json.dumps({"dataframe_split": split}).encode()
    scored = json.dumps({"dataframe_split": split, "params": {"predict_method": "score"}}).encode()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        backend = open_local(home / "workspace")
        pipelines = [
            fitted(frame, target, HistGradientBoostingClassifier(max_iter=100, max_depth=depth, early_stopping=False))
            for depth in (None, 3)
        ]
        for number, pipeline in enumerate(pipelines, 1):
            keep_version(backend, home / str(number), pipeline, frame)
            rows = rows_from(frame.head(1000), columns_of(frame))
            convert_version(backend, "parcels", str(number), WHO, rows=lambda _, rows=rows: rows)  # type: ignore[misc]
        point(backend, "champion", "1")
        if "rates" in parts:
            rates(backend, home, body, pipelines[0], frame, target, asked.seconds)
        if set(parts) & {"swaps", "promote", "load"}:
            with serving(backend, home / "served") as served:
                if "swaps" in parts:
                    swaps(served, scored, asked.swaps)
                if "promote" in parts:
                    promote(backend, served, scored)
                if "load" in parts:
                    served.set_targets(Target(alias="champion")).raise_for_status()
                    lasting(served, body, asked.minutes)
        backend.close()


if __name__ == "__main__":
    main()
