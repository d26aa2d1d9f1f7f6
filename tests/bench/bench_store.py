"""The embedded store beside its budgets: `python -m tests.bench.bench_store FOLDER [RUNS]`.

FOLDER keeps the generated workspace between calls. Each line is the median of several calls in one process, as CPU and
wall milliseconds; the first one opens the store in a fresh process.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from backends.contract import END, Backend, Mutation
from backends.entities import MetricPoint
from backends.local import open_local
from backends.query import RUN_FIELDS, Query, parse
from tests.bench.generate import MILLION, generate

_COLUMNS = ("metrics.auc", "metrics.loss", "params.lr", "params.optimizer", "tags.team")


class Line(NamedTuple):
    what: str
    cpu: float
    wall: float
    worst: float
    budget: str


def measure(what: str, budget: str, call: Callable[[], object], times: int = 9) -> Line:
    """Median CPU and wall time of a call, and the slowest wall time."""
    cpu, wall = [], []
    for _ in range(times):
        began, began_cpu = time.perf_counter(), time.process_time()
        call()
        cpu.append(time.process_time() - began_cpu)
        wall.append(time.perf_counter() - began)
    return Line(what, statistics.median(cpu) * 1e3, statistics.median(wall) * 1e3, max(wall) * 1e3, budget)


def show(line: Line) -> None:
    print(f"{line.what:<58}{line.cpu:>9.2f}{line.wall:>9.2f}{line.worst:>9.2f}   {line.budget}", flush=True)


def queries(backend: Backend) -> None:
    runs = backend.need("runs")

    def page(text: str, at: str = "", limit: int = 40) -> Callable[[], object]:
        query = parse(text, RUN_FIELDS)
        return lambda: runs.page(query, at=at, limit=limit, columns=_COLUMNS)

    total = runs.count().value
    for what, text in (
        ("newest", ""),
        ("by auc", "order by metrics.auc desc"),
        ("by f1 (half lack it)", "order by metrics.f1"),
    ):
        show(measure(f"first page, {what}", "sort < 60 ms", page(text)))
        show(measure(f"last page, {what}", "end <= 8 ms CPU", page(text, END)))
    by_auc: Query = parse("order by metrics.auc desc", RUN_FIELDS)
    at = runs.page(by_auc, at=f"#{total // 3}", limit=40).next
    assert at is not None
    show(measure("next page by auc, from its middle", "page <= 8 ms CPU", page("order by metrics.auc desc", at)))
    show(measure("page of 128 rows, by auc", "page <= 8 ms CPU", page("order by metrics.auc desc", at, 128)))
    show(measure("jump to the middle, newest", "p95 < 50 ms", page("", f"#{total // 2}")))
    show(measure("jump to the middle, by auc", "p95 < 50 ms", page("order by metrics.auc desc", f"#{total // 2}")))
    run = runs.page(by_auc, at=f"#{total // 3}", limit=1).items[0].id
    show(measure("page that holds a run, by auc", "p95 < 50 ms", page("order by metrics.auc desc", f"@{run}")))
    for text in ("name", "status", "duration desc", "params.lr", "params.depth desc", "tags.team", "experiment"):
        show(measure(f"first page, by {text}", "sort < 60 ms", page(f"order by {text}")))
    show(measure("first page, by metrics.auc desc, name", "", page("order by metrics.auc desc, name"), 3))
    word = ""
    for letter in "bert-base":
        word += letter
        show(measure(f"filter keystroke {word!r}", "< 50 ms p95", page(word)))
    for text in (
        "brave-otter",
        "brave-otter-4711",
        "nothing-like-it",
        "status = failed",
        "status = lost order by metrics.auc desc",
        "metrics.auc > 0.9",
        "metrics.auc > 0.9 and status = finished order by metrics.loss",
        "metrics.auc > 0.9985 order by created",
        "params.optimizer = adam and params.lr < 0.001",
        "params.lr = 0.001 order by metrics.auc desc",
        "tags.team = risk and experiment = flights-sweep",
        "bert-base order by metrics.auc desc",
        "brave-otter-4711 order by metrics.auc desc",
    ):
        show(measure(f"filter {text!r}"[:57], "< 50 ms p95", page(text)))
    for text in ("status = failed", "metrics.auc > 0.9", "brave-otter", "metrics.auc > 0.9985"):
        query = parse(text, RUN_FIELDS)
        show(measure(f"count {text!r} (to 10 000)", "after the page", lambda query=query: runs.count(query)))  # type: ignore[misc]
    show(measure("keys of metrics", "", lambda: runs.keys("metrics")))
    show(measure("anything changed?", "< 0.1 ms", backend.changed, 200))


def ingest() -> None:
    """Points per second, in batches of 1 000 over four metrics, and the chart of a million."""
    with tempfile.TemporaryDirectory() as folder:
        backend = open_local(Path(folder) / "w")
        runs = backend.need("runs")
        for size in (1000, 100):
            run = runs.create(name="measured", mutation=Mutation("bench@box")).id
            count = 400_000 if size == 1000 else 100_000
            batches = [
                [
                    MetricPoint(key=f"m{n % 4}", value=math.sin(n / 1e4), step=n // 4, at=n)
                    for n in range(start, start + size)
                ]
                for start in range(0, count, size)
            ]
            began = time.perf_counter()
            for batch in batches:
                runs.log_points(run, batch)
            rate = count / (time.perf_counter() - began)
            print(f"{f'ingest, batches of {size}':<58}{rate:>18,.0f} points/s   >= 70 000")
        run = runs.create(name="long", mutation=Mutation("bench@box")).id
        for start in range(0, MILLION, 10_000):
            runs.log_points(
                run, [MetricPoint(key="m", value=math.sin(n / 1e4), step=n) for n in range(start, start + 10_000)]
            )
        show(measure("chart of 1 000 000 points in 400 buckets", "reads ~500 cells", lambda: runs.series(run, "m")))
        show(
            measure(
                "chart of 100 000 of them",
                "",
                lambda: runs.series(run, "m", first_step=300_000, last_step=400_000),
            )
        )
        show(
            measure("chart of 10 000 of them", "", lambda: runs.series(run, "m", first_step=300_000, last_step=310_000))
        )
        backend.close()


def start(home: Path) -> None:
    """Import, open and first page in a fresh process."""
    script = (
        "import sys, time, resource; from pathlib import Path; began, bare = time.process_time(), time.perf_counter()\n"
        "from backends.local import open_local\nbackend = open_local(Path(sys.argv[1]))\n"
        "imported = time.perf_counter(); page = backend.runs.page(limit=40)\n"
        "print((time.process_time() - began) * 1e3, (time.perf_counter() - bare) * 1e3,"
        " (time.perf_counter() - imported) * 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    found = []
    for _ in range(7):
        done = subprocess.run([sys.executable, "-c", script, str(home)], capture_output=True, text=True, check=True)
        found.append([float(word) for word in done.stdout.split()])
    cpu, wall, page, memory = (statistics.median(column) for column in zip(*found, strict=True))
    show(
        Line(
            "import, open and first page in a new process",
            cpu,
            wall,
            max(row[1] for row in found),
            "list <= 350 ms CPU",
        )
    )
    print(f"{'  of which first page':<58}{page:>18.2f} ms; RSS {memory:.0f} MB of 60")


def main(folder: Path, count: int) -> None:
    home = generate(folder, count)
    print(f"{'':<58}{'CPU ms':>9}{'wall ms':>9}{'worst':>9}   budget")
    start(home)
    backend = open_local(home)
    queries(backend)
    backend.close()
    ingest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else MILLION)
