"""What each pane costs a real MLflow server of 100 000 runs: `python -m tests.bench.bench_remote [FOLDER] [RUNS]`.

A counting proxy stands before the server. Of every view: the first opening (requests, bytes both ways, how many answers
waited for one another), then a refresh in the steady state, beside the budget of 3 requests and 200 kB; the same with
answers that take a second; a minute of looking at a pane without a key; sorting by a metric.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.mlflow import client_room
from console.tui.app import ConsoleApp
from console.tui.keymap import Keymap, default_keys
from tests.counting_proxy import CountingProxy
from tests.mlflow_fill import fill_models, fill_runs
from tests.mlflow_server import start_mlflow
from tests.remote_views import BETWEEN_S, SETTLED_S, SIZE, View, looking, open_session, refreshed, views
from tests.terminal.stage import screen

RUNS = 100_000
REQUESTS, BYTES = 3, 200_000
REFRESHES = 3
NEVER_S = 3_600.0


def main(folder: Path, runs: int = RUNS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    mlflow = folder / "mlflow"
    _fill(mlflow, runs)
    server = start_mlflow(mlflow)
    proxy = CountingProxy(server.url)
    try:
        time.sleep(3)
        with tempfile.TemporaryDirectory() as made:
            asyncio.run(costs(proxy, Path(made), runs))
            proxy.delay = lambda *_: 1.0
            asyncio.run(_slowly(proxy, Path(made), runs))
            proxy.delay = lambda *_: 0.0
            asyncio.run(idle(proxy, Path(made)))
    finally:
        proxy.stop()
        server.stop()


def _fill(folder: Path, runs: int) -> None:
    if (folder / "filled").exists():
        return
    folder.mkdir(exist_ok=True)
    start_mlflow(folder).stop()  # makes the schema
    fill_runs(folder / "mlflow.db", runs)
    fill_models(folder / "mlflow.db", 50, 2_000, champions=20)
    (folder / "filled").touch()


@contextmanager
def _polling(seconds: float) -> Iterator[None]:
    before = client_room.POLL_S
    client_room.POLL_S = seconds
    try:
        yield
    finally:
        client_room.POLL_S = before


async def costs(proxy: CountingProxy, folder: Path, runs: int) -> None:
    print(f"{'a server that answers at once':<26}{'opening':>9}{'kB':>8}{'chain':>6}{'s':>6}   "
          f"{'refresh':>8}{'kB':>8}{'s':>6}   budget {REQUESTS}, {BYTES / 1e3:.0f} kB")  # fmt: skip
    with _polling(NEVER_S):
        for view in views(runs - 5):
            await _cost(proxy, folder / f"{view.name}", view)


async def _cost(proxy: CountingProxy, folder: Path, view: View) -> None:
    opened = open_session(proxy.url, folder)
    proxy.taken()
    began = time.perf_counter()
    try:
        async with looking(opened, view) as (app, pilot):
            took = time.perf_counter() - began
            await refreshed(app, pilot)
            first = proxy.taken()
            worst = proxy.taken()
            spent = 0.0
            for _ in range(REFRESHES):
                began = time.perf_counter()
                await refreshed(app, pilot)
                spent = max(spent, time.perf_counter() - began - BETWEEN_S - SETTLED_S)
                worst = max(worst, proxy.taken(), key=lambda tally: (tally.requests, tally.bytes))
    finally:
        opened.backend.close()
    ok = worst.requests <= REQUESTS and worst.bytes <= BYTES
    print(f"{view.name:<26}{first.requests:>9}{first.bytes / 1e3:>8.0f}{first.chain:>6}{took:>6.1f}   "
          f"{worst.requests:>8}{worst.bytes / 1e3:>8.0f}{spent:>6.2f}   {'ok' if ok else 'OVER: ' + str(worst)}",
          flush=True)  # fmt: skip


async def idle(proxy: CountingProxy, folder: Path) -> None:
    for pane in ("overview", "runs"):
        opened = open_session(proxy.url, folder / f"idle-{pane}")
        try:
            async with looking(opened, View("", pane)) as (app, pilot):
                await refreshed(app, pilot)
                proxy.taken()
                await asyncio.sleep(60)
                tally = proxy.taken()
                print(f"60 s of looking at {pane}: {tally.requests} requests, {tally.bytes / 1e3:.0f} kB", flush=True)
                app.post_message(_blur())
                await asyncio.sleep(1)
                proxy.taken()
                await asyncio.sleep(20)
                tally = proxy.taken()
                print(f"20 s elsewhere: {tally.requests} requests", flush=True)
        finally:
            opened.backend.close()


def _blur() -> object:
    from textual import events

    return events.AppBlur()


async def _slowly(proxy: CountingProxy, folder: Path, runs: int) -> None:
    print(f"{'answers of one second':<26}{'rows, s':>9}{'all, s':>8}{'requests':>9}{'at once':>8}")
    wanted = {"overview": "run-", "runs": "run-", "models": "model-"}
    for view in views(runs - 5):
        if view.pane in wanted and not view.name.startswith("Runs filtered, here"):
            await _first_rows(proxy, folder / f"slow {view.name}", view, wanted[view.pane])


async def _first_rows(proxy: CountingProxy, folder: Path, view: View, text: str) -> None:
    from tests.terminal.stage import ACTOR  # noqa: F401

    opened = open_session(proxy.url, folder)
    proxy.taken()
    proxy.most_at_once = 0
    app = ConsoleApp(session=opened, keymap=Keymap(default_keys()), pane=view.pane, argument=view.argument)
    began = time.perf_counter()
    try:
        async with app.run_test(size=SIZE, notifications=True, tooltips=True) as pilot:
            while text not in screen(app) and time.perf_counter() - began < 60:
                await asyncio.sleep(0.02)
            rows = time.perf_counter() - began
            await app.idle(120)
            whole = time.perf_counter() - began
            tally = proxy.taken()
            if view.steps is not None:
                began = time.perf_counter()
                await view.steps(app, pilot)
                whole = time.perf_counter() - began
                tally = proxy.taken()
    finally:
        opened.backend.close()
    print(f"{view.name:<26}{rows:>9.1f}{whole:>8.1f}{tally.requests:>9}{proxy.most_at_once:>8}", flush=True)


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else RUNS
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), count)
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made), count)
