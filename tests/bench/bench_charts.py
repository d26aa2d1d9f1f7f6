"""Charts and comparisons beside their budgets: `python -m tests.bench.bench_charts [RUNS] [POINTS]`.

Eight runs of a million points lie in a store of their own, made first (half a minute). Each line is the median of
several calls in one process, as CPU and wall milliseconds.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import tempfile
import time
from pathlib import Path

from textual.app import App, ComposeResult

from backends.contract import Mutation
from backends.entities import MetricPoint, Run, RunStatus
from backends.local import open_local
from console.training.compare import compare
from console.tui.chart import Chart
from console.tui.chart_view import View
from console.tui.course import course
from console.tui.panes.compare import Courses, read_closer, read_courses
from tests.bench.bench_store import measure, show

BATCH = 50_000

COLUMNS = 120


class Screen(App[None]):
    def compose(self) -> ComposeResult:
        yield Chart()


def fill(folder: Path, runs: int, points: int) -> list[str]:
    """Runs of one metric each; their ids."""
    backend = open_local(folder)
    store, ids = backend.need("runs"), []
    for at in range(runs):
        run = store.create(name=f"run {at}", mutation=Mutation(actor="bench@here"))
        store.start(run.id)
        for first in range(0, points, BATCH):
            store.log_points(
                run.id,
                [
                    MetricPoint(key="loss", value=math.exp(-step / points * 5) + (step * 7919 % 101) / 900, step=step)
                    for step in range(first, min(points, first + BATCH))
                ],
            )
        ids.append(run.id)
    backend.close()
    return ids


async def charts(folder: Path, ids: list[str], points: int) -> None:
    began = time.perf_counter()
    backend = open_local(folder)
    runs = [backend.need("runs").get(each) for each in ids]
    print(f"store opened in {1000 * (time.perf_counter() - began):.1f} ms")

    def read() -> Courses:
        found = read_courses(backend, runs, ["loss"], asked=True, buckets=COLUMNS)
        assert found is not None
        return found[1]

    def lines(view: View, courses: Courses) -> list[object]:
        return [course(s, run, across=view.across, smoothing=view.smoothing) for run, s in courses]

    app = Screen()
    async with app.run_test(size=(COLUMNS, 13)) as pilot:
        await pilot.pause()
        gc.freeze()  # as the console does once it is up
        chart = app.query_one(Chart)
        turns = [0]

        def first() -> None:
            chart.traced = {}
            turns[0] += 1
            chart.plot(lines(View(), read()), title=f"loss {turns[0]}")  # type: ignore[arg-type]

        show(measure("the very first, cold", "100 wall", first, times=1))
        show(measure(f"read and draw {len(ids)} × {points:,} points", "100 wall", first))
        courses = read()

        def again(view: View) -> None:
            turns[0] += 1
            chart.plot(lines(view, courses), title=f"loss {turns[0]}", view=view)  # type: ignore[arg-type]

        show(measure("redraw, nothing moved", "10 CPU", lambda: again(View())))
        chart.crosshair = points / 2
        show(measure("redraw, crosshair moved", "10 CPU", lambda: chart.action_read(1)))
        chart.crosshair = None

        def zoom() -> None:
            turns[0] += 1
            again(View(window=(1000.0 * turns[0], points / 2 + 1000.0 * turns[0])))

        show(measure("redraw, panned", "10 CPU", zoom))
        show(measure("redraw, another smoothing", "10 CPU", lambda: again(View(smoothing=0.9 - turns[0] / 1e4))))
        window = (points * 0.4, points * 0.41)
        closer = lambda: read_closer(backend, courses, window, View().across, buckets=COLUMNS)  # noqa: E731
        show(measure(f"read a hundredth finer, {COLUMNS} buckets", "100 wall", closer))
    backend.close()


def comparison() -> None:
    runs = [
        Run(
            id=f"{at:032x}", name=f"run {at}", experiment="e", status=RunStatus.FINISHED, created_at=0,
            params={f"p{key}": str(key if key % 3 else at) for key in range(200)},
            metrics={f"m{key}.auc": at / (key + 1) for key in range(20)},
        )
        for at in range(100)
    ]  # fmt: skip
    show(measure("compare 100 runs × 200 parameters", "200 wall", lambda: compare(runs)))


def main(runs: int = 8, points: int = 1_000_000) -> None:
    print(f"{'':<58}{'CPU ms':>9}{'wall ms':>9}{'worst':>9}   budget ms")
    comparison()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        ids = fill(folder, runs, points)
        asyncio.run(charts(folder, ids, points))


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:3]))
