"""Every figure of the design beside its budget: `python -m tests.bench [FOLDER] [RUNS]`.

FOLDER keeps the generated workspace of a million runs between calls (two minutes and 1.3 GB at the first); without one
it is made in a temporary place and taken away. The parts: `bench_terminal` (the screen, from outside), `bench_store`
(queries and ingest), `bench_drift` (windows and drift). By themselves: `bench_mlflow` (the protocol), `bench_serving`
(the model server beside MLflow's, swaps under load), `bench_drift_beside` (drift beside evidently and NannyML),
`bench_monitor` (a year of minute windows in the pane).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench import bench_drift, bench_store, bench_terminal
from tests.bench.generate import MILLION, generate


def main(folder: Path, runs: int) -> None:
    workspace = generate(folder, runs)
    tool = bench_terminal.tuiperf()
    if tool is None:
        print("screen skipped: tuiperf.py is neither at $TUIPERF nor in ../shared/tools")
    else:
        bench_terminal.measure(tool, workspace, runs)
    print("\nstore")
    bench_store.main(folder, runs)
    print("\nmonitoring", flush=True)
    bench_drift.main()


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else MILLION
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), count)
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made), count)
