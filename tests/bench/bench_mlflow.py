"""Our protocol server beside a real MLflow server: `python -m tests.bench.bench_mlflow [FOLDER] [RUNS]`.

The same runs on both sides, the same requests by the same client on one connection, in one run on one machine, turn by
turn. Wall milliseconds of the whole answer, the median of several; a question that takes a side longer than ten seconds
is asked once. Both servers have one worker; MLflow's job runner is off, which is kind to its memory.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from backends.contract import Backend, BackendError, Mutation
from backends.entities import MetricPoint, ModelFile, Signature
from backends.local import open_local
from backends.query import RUN_FIELDS, parse
from console.agent import stop_agent
from tests.bench.generate import generate
from tests.bench.mlflow_twin import add_course, add_versions, copy_runs
from tests.mlflow_server import start_mlflow

RUNS = 10_000
POINTS = 100_000
VERSIONS = 10_000
BATCHES = 20
BATCH = 1_000
LONG_S = 10.0


class Side(NamedTuple):
    name: str
    http: httpx.Client
    experiments: list[str]
    run: str
    """The run with the long metric."""

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._answer(self.http.post(f"/api/2.0/mlflow/{path}", json=body))

    def get(self, path: str, params: Any) -> Any:
        return self._answer(self.http.get(f"/api/2.0/mlflow/{path}", params=params))

    def _answer(self, answer: httpx.Response) -> Any:
        if answer.status_code != 200:
            raise RuntimeError(f"{self.name}: {answer.status_code} {answer.text[:300]}")
        return answer.json()


def main(folder: Path, runs: int = RUNS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    workspace = generate(folder, runs)
    long_run = _fill_ours(workspace)
    mlflow = folder / "mlflow"
    _fill_mlflow(workspace, mlflow, long_run)
    print(f"{'':<44}{'mlflow':>10}{'ours':>10}   times faster   goal")
    with _mlflow(mlflow) as (theirs, their_start, their_rss), _ours(workspace) as (ours, our_start, our_rss):
        sides = (_side("mlflow", theirs, "", long_run), _side("ours", *ours, long_run))
        _row("server start, ms", their_start, our_start, "10x")
        for what, call, goal in _questions():
            _row(f"{what}, ms", *(_median(partial(call, side)) for side in sides), goal)
        rates = [_ingest(side) for side in sides]
        _row("log-batch of 1 000, points/s", rates[1], rates[0], "3x, 20 000/s", shown=rates)
        singles = [_median(partial(_single, side)) for side in sides]
        _row("log-metric, one point, ms", *singles, "3x")
        _row("alias move, ms", *(_median(partial(_alias, side)) for side in sides), "1x")
        _row("memory after all that, MB", their_rss(), our_rss(), "5x")


def _row(what: str, theirs: float, ours: float, goal: str, shown: list[float] | None = None) -> None:
    left, right = shown or (theirs, ours)
    print(f"{what:<44}{left:>10,.1f}{right:>10,.1f}   {theirs / ours:>12.1f}   {goal}", flush=True)


# ---------------------------------------------------------------- what is asked


def _questions() -> Iterator[tuple[str, Callable[[Side], object], str]]:
    def search(**more: Any) -> Callable[[Side], object]:
        return lambda side: side.post("runs/search", {"experiment_ids": side.experiments, "max_results": 50, **more})

    yield "first page, newest", search(), "1x"
    yield "first page by metric", search(order_by=["metrics.auc DESC"]), "100x"
    yield "first page of a parameter", search(filter="params.optimizer = 'adam'"), "1x"
    yield (
        "metric and parameter, by metric",
        search(filter="metrics.auc > 0.8 and params.optimizer = 'adam'", order_by=["metrics.auc DESC"]),
        "1x",
    )
    yield "count (all runs, page by page)", _count, "1x"
    yield (
        "history of 100 000 points as a chart",
        lambda side: side.get(
            "metrics/get-history-bulk-interval", {"run_ids": side.run, "metric_key": "course", "max_results": 320}
        ),
        "1x",
    )
    yield (
        "10 000 versions",
        lambda side: side.get("model-versions/search", {"filter": "name = 'many'", "max_results": VERSIONS}),
        "1x",
    )


def _count(side: Side) -> int:
    found, token = 0, ""
    while True:
        body = {"experiment_ids": side.experiments, "max_results": 5_000, "page_token": token}
        page = side.post("runs/search", body)
        found += len(page.get("runs", ()))
        token = page.get("next_page_token", "")
        if not token:
            return found


def _ingest(side: Side) -> float:
    """Points a second in batches of a thousand, by one client."""
    run = side.post("runs/create", {"experiment_id": side.experiments[0], "start_time": 1})["run"]["info"]["run_id"]
    bodies = [
        {
            "run_id": run,
            "metrics": [
                {"key": f"m{key}", "value": math.sin(step), "timestamp": 1_700_000_000_000 + step, "step": step}
                for step in range(number * BATCH // 10, (number + 1) * BATCH // 10)
                for key in range(10)
            ],
        }
        for number in range(BATCHES)
    ]
    began = time.perf_counter()
    for body in bodies:
        side.post("runs/log-batch", body)
    return BATCHES * BATCH / (time.perf_counter() - began)


def _single(side: Side) -> None:
    point = {"run_id": side.run, "key": "single", "value": 1.0, "timestamp": time.time_ns() // 1_000_000, "step": 1}
    side.post("runs/log-metric", point)


def _alias(side: Side) -> None:
    version = str(time.time_ns() % VERSIONS + 1)
    side.post("registered-models/alias", {"name": "many", "alias": "champion", "version": version})


def _median(call: Callable[[], object]) -> float:
    times = []
    for _ in range(9):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
        if times[0] > LONG_S / 4:
            break
    return statistics.median(times) * 1e3


# ---------------------------------------------------------------- the two sides


def _fill_ours(workspace: Path) -> str:
    """The long metric and the many versions; kept for the next call."""
    backend = open_local(workspace)
    runs, registry = backend.need("runs"), backend.need("registry")
    measured = runs.page(parse("has:metrics.course", RUN_FIELDS), limit=1).items
    run: str = (measured or runs.page(limit=1).items)[0].id
    if not any(model.name == "many" for model in registry.page().items):
        points = [
            MetricPoint(key="course", value=math.sin(s / 500), step=s, at=1_700_000_000_000 + s) for s in range(POINTS)
        ]
        for start in range(0, POINTS, BATCH):
            runs.log_points(run, points[start : start + BATCH])
        for number in range(VERSIONS):
            registry.register(
                "many",
                run=run,
                file=ModelFile(),
                signature=Signature(),
                mutation=Mutation("bench", key=f"many-{number}"),
            )
    backend.close()
    return run


def _fill_mlflow(workspace: Path, folder: Path, long_run: str) -> None:
    if (folder / "filled").exists():
        return
    folder.mkdir(exist_ok=True)
    start_mlflow(folder).stop()  # makes the schema
    copy_runs(workspace, folder / "mlflow.db")
    add_course(folder / "mlflow.db", long_run, "course", (math.sin(step / 500) for step in range(POINTS)))
    add_versions(folder / "mlflow.db", "many", long_run, VERSIONS)
    (folder / "filled").touch()


@contextmanager
def _mlflow(folder: Path) -> Iterator[tuple[str, float, Callable[[], float]]]:
    """(address, milliseconds until it answered, its memory in MB)."""
    began = time.perf_counter()
    server = start_mlflow(folder)
    took = (time.perf_counter() - began) * 1e3
    try:
        time.sleep(5)  # its first answers come before it has finished starting
        yield server.url, took, lambda: _rss(server.process.pid)
    finally:
        server.stop()


@contextmanager
def _ours(workspace: Path) -> Iterator[tuple[tuple[str, str], float, Callable[[], float]]]:
    """((address, token), milliseconds until the agent's server answered, the agent's memory in MB)."""
    stop_agent(workspace)
    backend = open_local(workspace)
    began = time.perf_counter()
    agent = subprocess.Popen([sys.executable, "-m", "console.agent", "--workspace", str(workspace)])
    try:
        url, token = _answering(backend, began + 60)
        took = (time.perf_counter() - began) * 1e3
        yield (url, token), took, lambda: _rss(agent.pid)
    finally:
        backend.close()
        stop_agent(workspace)
        agent.wait(20)


def _answering(backend: Backend, until: float) -> tuple[str, str]:
    assert backend.tracking is not None
    while True:
        try:
            env = backend.tracking("")
            if httpx.get(f"{env['MLFLOW_TRACKING_URI']}/health").status_code == 200:
                return env["MLFLOW_TRACKING_URI"], env["MLFLOW_TRACKING_TOKEN"]
        except (BackendError, httpx.HTTPError):
            if time.perf_counter() > until:
                raise
        time.sleep(0.005)


def _side(name: str, url: str, token: str, run: str) -> Side:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    client = httpx.Client(base_url=url, headers=headers, timeout=1_800)
    side = Side(name, client, [], run)
    found = side.post("experiments/search", {"max_results": 1_000})["experiments"]
    return side._replace(experiments=[each["experiment_id"] for each in found])


def _rss(pid: int) -> float:
    process = psutil.Process(pid)
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / 1024**2


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else RUNS
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), count)
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made), count)
