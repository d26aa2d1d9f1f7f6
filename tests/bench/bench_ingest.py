"""Ingest while people look on: `python -m tests.bench.bench_ingest [CONSOLES]`.

Points go into one run in batches of 1 000 over four metrics, first alone, then with consoles (4) open on that run, each
a real process in a terminal of its own that is read all the time. Then a command that prints 1 GB in one line. CPU
seconds are those of the writing process: points per CPU second hold on a machine that others use.
"""

from __future__ import annotations

import math
import os
import pty
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

from backends.contract import Mutation
from backends.entities import MetricPoint
from backends.local import open_local
from console.agent import ensure_agent, stop_agent
from console.training.command import Command, start_command

POINTS, BATCH = 400_000, 1_000
GIGABYTE = 1_000_000_000
ME = Mutation("bench@here")


class Console:
    """The program in a terminal of 120x40, on the newest run's charts."""

    def __init__(self, workspace: Path) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, 120))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "console.launch", "--workspace", str(workspace), "runs"],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env=os.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        os.close(slave)
        self.bytes = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                self.bytes += len(os.read(self._master, 65_536))
            except OSError:
                return

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._master)


def ingest(workspace: Path, run: str, first: int) -> tuple[float, float]:
    """Points per second and per CPU second."""
    backend = open_local(workspace)
    runs = backend.need("runs")
    batches = [
        [MetricPoint(key=f"m{n % 4}", value=math.sin(n / 1e4), step=n // 4, at=n) for n in range(start, start + BATCH)]
        for start in range(first, first + POINTS, BATCH)
    ]
    began, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        runs.log_points(run, batch)
    took = time.perf_counter() - began, time.process_time() - cpu
    backend.close()
    return POINTS / took[0], POINTS / took[1]


def endless_line(workspace: Path) -> None:
    backend = open_local(workspace)
    ensure_agent(workspace)
    began = time.perf_counter()
    command = Command(argv=("sh", "-c", f"head -c {GIGABYTE} /dev/zero | tr '\\0' x"), cwd=str(workspace))
    run = start_command(backend, command, ME, name="endless").id
    while not (found := backend.need("runs").get(run)).status.ended:
        time.sleep(0.1)
    took = time.perf_counter() - began
    kept = sum(file.stat().st_size for file in (workspace / "runs" / run).glob("out.log*"))
    print(f"1 GB of log in one line: {found.status}, {took:.1f} s, {kept / 1e6:.0f} MB kept")
    stop_agent(workspace)
    backend.close()


def main(consoles: int = 4) -> None:
    with tempfile.TemporaryDirectory() as made:
        workspace = Path(made) / "w"
        backend = open_local(workspace)
        run = backend.need("runs").create(name="measured", mutation=ME).id
        backend.need("runs").start(run)
        backend.close()
        print(f"{'':<28}{'points/s':>12}{'points/CPU s':>15}   budget 70 000 points/s")
        print(f"{'alone':<28}{{:>12,.0f}}{{:>15,.0f}}".format(*ingest(workspace, run, 0)), flush=True)
        opened = [Console(workspace) for _ in range(consoles)]
        try:
            time.sleep(5)
            for each in opened:
                each.press(b"\r")
            time.sleep(3)
            before = sum(each.bytes for each in opened)
            rates = ingest(workspace, run, POINTS)
            sent = (sum(each.bytes for each in opened) - before) / 1000
            print(f"{f'{consoles} consoles open':<28}{{:>12,.0f}}{{:>15,.0f}}".format(*rates), f"  {sent:.0f} kB drawn")
        finally:
            for each in opened:
                each.close()
        backend = open_local(workspace)
        total = sum(backend.need("runs").series(run, f"m{at}").count for at in range(4))
        backend.close()
        print(f"in the store: {total:,} of {2 * POINTS:,}", flush=True)
        endless_line(workspace)


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:2]))
