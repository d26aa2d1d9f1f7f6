"""The console beside W&B LEET on the same data, in one go: `WANDB=/venv/bin/wandb python -m tests.bench.bench_leet`.

One run of 10 000 steps × 8 metrics, then 200 runs. W&B writes its own offline files (the 200 are copies of a short run
under names of their own), we our own store; both are measured from outside by tuiperf.py at 120x40. `wandb` belongs in
a virtual environment of its own, for it is no dependency of ours. Without it LEET's lines are those measured before.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from backends.contract import Mutation
from backends.entities import MetricPoint, RunStatus
from backends.local import open_local
from tests.bench.bench_terminal import tuiperf

STEPS, METRICS, RUNS, SHORT = 10_000, 8, 200, 50
KEYS = "down*5 up*5 down*5 up*5"
KNOWN = {
    "one run": "(before: 3676 ms usable, 1700 CPU ms, key 12 ms, 222 B, 6 CPU ms, 117 MB, idle 1.2 %)",
    "200 runs": "(before: 1941 ms usable, 625 CPU ms, key 37 ms, 456 B, 8.8 CPU ms, 104 MB, idle 0.96 %)",
}
"""As measured with 0.31 on two shared cores; ours is to be read beside a line of the same go."""

WRITER = """
import math, sys, wandb
settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off", silent=True)
run = wandb.init(project="bench", mode="offline", dir=sys.argv[1], settings=settings)
for step in range(int(sys.argv[2])):
    run.log({f"m{k}": math.exp(-step / 3000) + k / 10 + (step * 7919 % 101) / 900 for k in range(int(sys.argv[3]))})
run.finish()
"""


def value(step: int, metric: int) -> float:
    return math.exp(-step / 3000) + metric / 10 + (step * 7919 % 101) / 900


def ours(folder: Path, runs: int, steps: int) -> list[str]:
    """A store with so many runs; the command that opens it."""
    backend = open_local(folder)
    store = backend.need("runs")
    for at in range(runs):
        run = store.create(name=f"run-{at}", mutation=Mutation("bench@here")).id
        store.start(run)
        for first in range(0, steps, 1_000):
            store.log_points(
                run,
                [
                    MetricPoint(key=f"m{metric}", value=value(step, metric), step=step, at=step)
                    for step in range(first, min(steps, first + 1_000))
                    for metric in range(METRICS)
                ],
            )
        store.end(run, RunStatus.FINISHED)
    backend.close()
    return [sys.executable, "-m", "console.launch", "--workspace", str(folder), "runs"]


def theirs(wandb: str, folder: Path, runs: int, steps: int) -> list[str]:
    """Offline files with so many runs; the command that opens them."""
    folder.mkdir()
    python = Path(wandb).parent / "python"
    subprocess.run(
        [str(python), "-c", WRITER, str(folder), str(steps), str(METRICS)], check=True, capture_output=True,
        env=os.environ | {"HOME": str(folder)}, timeout=600,
    )  # fmt: skip
    (made,) = (each for each in (folder / "wandb").iterdir() if each.name.startswith("offline-run-"))
    start, name = made.name.rsplit("-", 1)
    for at in range(1, runs):
        copy = f"{at:08d}"
        shutil.copytree(made, folder / "wandb" / f"{start}-{copy}")
        (folder / "wandb" / f"{start}-{copy}" / f"run-{name}.wandb").rename(
            folder / "wandb" / f"{start}-{copy}" / f"run-{copy}.wandb"
        )
    return [wandb, "leet", "run", str(folder / "wandb")]


def measure(tool: Path, ready: str, command: list[str], *before: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable, str(tool), "--json", "--size", "120x40", "--env", "LC_ALL=C.UTF-8",
            "--env", "COLORTERM=truecolor", "--env", f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}",
            "--home", "tmp", "--ready", ready, "--starts", "3", *before, "--keys", KEYS, "--idle", "5",
            "--quit", "q", "--", *command,
        ],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if not done.stdout.strip():
        raise SystemExit(f"tuiperf ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def line(what: str, found: dict[str, Any]) -> str:
    keys = found["measures"]["keys"]
    settled = keys.get("settled_ms") or {"median": math.nan, "p95": math.nan}
    cells = (
        found.get("first_paint_ms"), found.get("ready_ms"), found.get("start_cpu_ms"), settled["median"],
        settled["p95"], keys["bytes"]["median"], keys["cpu_ms"]["median"], found["measures"]["idle"]["cpu_pct"],
        found.get("rss_peak_mb"),
    )  # fmt: skip
    return f"{what:<22}" + "".join(f"{'–' if cell is None else format(cell, '.1f'):>11}" for cell in cells)


def main() -> None:
    tool, wandb = tuiperf(), os.environ.get("WANDB") or shutil.which("wandb")
    if tool is None:
        print("skipped: tuiperf.py is neither at $TUIPERF nor in ../shared/tools")
        return
    heads = ("paint ms", "ready ms", "start CPU", "key ms", "key p95", "key B", "key CPU", "idle CPU%", "RSS MB")
    print(f"{'':<22}" + "".join(f"{head:>11}" for head in heads), flush=True)
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        for what, runs, steps in (("one run", 1, STEPS), ("200 runs", RUNS, SHORT)):
            command = ours(place / f"ours-{runs}", runs, steps)
            # A run opened shows its charts, as LEET does from the start.
            before = ("--before", "enter") if runs == 1 else ()
            print(line(f"console, {what}", measure(tool, f"1 of {runs}", command, *before)), flush=True)
            if wandb is None:
                print(f"{'LEET, ' + what:<22} no wandb here: set $WANDB {KNOWN[what]}")
                continue
            command = theirs(wandb, place / f"theirs-{runs}", runs, steps)
            print(line(f"LEET, {what}", measure(tool, "m0", command)), flush=True)


if __name__ == "__main__":
    main()
