"""From asking for a run to its first progress, beside the budget: `python -m tests.bench.bench_launch [RUNS]`.

A trivial command is submitted to an agent that runs; measured are its first own instruction, its first line in the log,
and its first metric in the store. CPU is that of everything it started, so that a loaded machine can be told apart.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from backends.contract import Mutation
from backends.entities import LaunchSpec, RunStatus
from backends.local import open_local
from backends.local.run_folder import RunFolder
from console.agent import ensure_agent, stop_agent

BUDGET_S = 0.5
SCRIPT = 'date +%s.%N; echo \'{"metrics": {"loss": 1}}\' >&3; sleep 2'


def main(count: int) -> None:
    me = Mutation("a bench")
    begun, logged, stored = [], [], []
    with tempfile.TemporaryDirectory() as made:
        workspace = Path(made)
        backend = open_local(workspace)
        ensure_agent(workspace, slots=1)
        time.sleep(2.0)
        runs, launcher = backend.need("runs"), backend.need("launcher")
        for _ in range(count):
            run = runs.create(name="trivial", mutation=me).id
            at = time.time()
            launcher.submit(LaunchSpec(run=run, argv=("sh", "-c", SCRIPT)), me)
            folder = RunFolder.of(workspace, run)
            while not (folder.log.exists() and folder.log.stat().st_size):
                time.sleep(0.005)
            logged.append(time.time() - at)
            while "loss" not in runs.get(run).metrics:
                time.sleep(0.005)
            stored.append(time.time() - at)
            begun.append(float(folder.log.read_text().split()[0]) - at)
            while runs.get(run).status is not RunStatus.FINISHED:
                time.sleep(0.05)
        time.sleep(0.5)
        stop_agent(workspace)
        backend.close()
    for name, taken in (
        ("the command's first instruction", begun),
        ("its first line in the log", logged),
        ("its first metric in the store", stored),
    ):
        median = statistics.median(taken)
        said = "" if median <= BUDGET_S else "  over"
        print(f"{name:<32} {median:6.3f} s   least {min(taken):6.3f}   budget {BUDGET_S} s{said}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
