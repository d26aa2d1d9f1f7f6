"""What it costs to sample a run: CPU time of its supervisor, in milliseconds a run-minute, and bytes in the store.

python -m tests.bench.bench_sampling [SECONDS]

Runs that sleep, side by side: without samples, sampled as by default in their first minutes, and every second. The
first row is what a supervisor takes to start and to end; what is above it is the sampling. One process and one thread a
run: a further process costs two reads of /proc a sample, a further thread one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from backends.contract import Mutation
from backends.entities import LaunchSpec
from backends.local import DATABASE, open_local
from backends.local.run_folder import RunFolder

ME = Mutation("bench@box")
CASES: dict[str, float | None] = {"off": 0.0, "default": None, "every second": 1.0}


def main(seconds: float = 60.0) -> None:
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for name, sample_s in CASES.items():
            workspace = Path(folder) / name.replace(" ", "-")
            backend = open_local(workspace)
            run = backend.need("runs").create(name=name, mutation=ME).id
            spec = LaunchSpec(run=run, argv=("sleep", f"{seconds:g}"), sample_s=sample_s)
            backend.need("launcher").submit(spec, ME)
            path = str(RunFolder.of(workspace, run).path)
            process = subprocess.Popen([sys.executable, "-m", "backends.local.supervisor", path])
            started.append((name, workspace, run, backend, process))
        print("samples         in all  a run-minute   points  store")
        base = None
        for name, workspace, run, backend, process in started:
            _, _, usage = os.wait4(process.pid, 0)
            cpu = (usage.ru_utime + usage.ru_stime) * 1000
            base = cpu if base is None else base
            points = backend.need("runs").series(run, "system/run_cpu_seconds", buckets=2).count
            backend.close()
            size = (workspace / DATABASE).stat().st_size
            minute = (cpu - base) / (seconds / 60)
            print(f"{name:14} {cpu:5.0f} ms  {minute:9.0f} ms  {points:7}  {size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(*(float(each) for each in sys.argv[1:2]))
