"""The Runs pane on a million runs beside its budgets, measured from outside the process: `python -m
tests.bench.bench_terminal FOLDER [RUNS]`.

FOLDER keeps the generated workspace between calls. The measuring is done by tuiperf.py (pty, CPU of the process
tree, bytes on the wire), found by $TUIPERF or beside the repository in ../shared/tools; without it there is
nothing to measure with and the script says so. CPU and bytes are the gate; wall time is told, and depends on what
else the machine does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.generate import MILLION, generate
from tests.bench.quitting import quit_ms

KEYS = "down*10 up*5 pgdn*5 end pgup*3 home s S"
SORTS = ("s", "S")
STARTS = 7
"""Fresh starts; their median counts."""


def tuiperf() -> Path | None:
    """The measuring program, if this machine has it."""
    named = os.environ.get("TUIPERF")
    found = Path(named) if named else Path(__file__).parents[3] / "shared" / "tools" / "tuiperf.py"
    return found if found.is_file() else None


def run(tool: Path, workspace: Path, *options: str) -> dict[str, Any]:
    """One measurement of the console on the Runs pane at 120x40, truecolor."""
    command = [
        sys.executable, str(tool), "--json", "--size", "120x40", "--env", "LC_ALL=C.UTF-8", "--env",
        "COLORTERM=truecolor", "--home", "tmp", "--ready", "1 of ", "--quit", "q", *options, "--",
        sys.executable, "-m", "console.launch", "--workspace", str(workspace), "runs",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode not in (0, 1):
        raise SystemExit(f"tuiperf ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def yardstick() -> float:
    """Median CPU milliseconds of the same loop: how fast this machine is while others use it."""
    took = []
    for _ in range(7):
        began, total = time.process_time(), 0
        for n in range(1_500_000):
            total += n * n % 7
        took.append((time.process_time() - began) * 1e3)
    return median(took)


def show(what: str, measured: str, budget: str) -> None:
    print(f"{what:<44}{measured:>44}   {budget}", flush=True)


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit("wanted: python -m tests.bench.bench_terminal FOLDER [RUNS]")
    tool = tuiperf()
    if tool is None:
        print("skipped: tuiperf.py is neither at $TUIPERF nor in ../shared/tools")
        return
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else MILLION
    measure(tool, generate(Path(sys.argv[1]), runs), runs)


def measure(tool: Path, workspace: Path, runs: int = MILLION) -> None:
    """Print the screen's figures beside their budgets."""
    print(f"yardstick {yardstick():.0f} ms CPU; 76 is the least seen where the budgets were set")
    print(f"{'Runs pane, ' + f'{runs:,} runs, 120x40':<44}{'measured':>44}   budget")

    starts = [run(tool, workspace, "--idle", "10" if last else "0.2") for last in (False,) * (STARTS - 1) + (True,)]
    middle = {key: median(start[key] for start in starts) for key in ("first_paint_ms", "start_cpu_ms", "ready_ms")}
    show("first paint", f"{middle['first_paint_ms']:.0f} ms", "< 80 ms wall")
    cpu = f"{middle['start_cpu_ms']:.0f} ms CPU (least {min(start['start_cpu_ms'] for start in starts)})"
    show("usable", f"{cpu}, {middle['ready_ms']:.0f} ms wall", "<= 350 ms CPU")
    idle = starts[-1]["measures"]["idle"]
    show("idle", f"{idle['bytes_per_s']:.0f} B/s, {idle['cpu_pct']} % CPU", "0 B/s, < 0.2 %")

    pressed = run(tool, workspace, "--before", "down*3", "--keys", KEYS, "--repeat", "3", "--idle", "1")
    for key, found in pressed["per_key"].items():
        cpu, size, wall = found["cpu_ms"], found["bytes"], found["settled_ms"]
        budget = "<= 3 ms CPU, <= 400 B" if key in ("down", "up") else "<= 8 ms CPU, <= 11 kB"
        text = f"{cpu['median']:.1f} ms CPU, {size['median']:.0f} B, {wall['median']:.0f} / {wall['p95']:.0f} ms"
        show(f"key {key}", text, "< 60 ms" if key in SORTS else budget)
    show("memory", f"{pressed['rss_peak_mb']} MB peak", "<= 60 MB")
    show("quit, key to end of process", f"{quit_ms(workspace):.0f} ms", "< 150 ms")

    typed = run(tool, workspace, "--before", "/", "--keys", "b e r t", "--gap", "300", "--idle", "1")
    wall = typed["measures"]["keys"]["settled_ms"]
    show("filter, per key", f"{wall['median']:.0f} / {wall['p95']:.0f} ms", "< 50 ms p95")

    held = ("--before", "down*3", "--burst", "down*90@30", "--idle", "1")
    near, far = run(tool, workspace, *held), run(tool, workspace, *held, "--link", "20000", "--rtt", "150")
    show("held key, here", f"lag {near['measures']['burst']['lag_ms']:.0f} ms", "–")
    show("held key, 20 kB/s and 150 ms", f"lag {far['measures']['burst']['lag_ms']:.0f} ms", "< 400 ms")


if __name__ == "__main__":
    main()
