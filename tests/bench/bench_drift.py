"""How long a window costs: counting, judging, packing, and reading many back. CPU time, best of several.

python -m tests.bench.bench_drift; beside evidently and NannyML: `bench_drift_beside`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from console.monitoring.counted.columns import count_features
from console.monitoring.counted.counting import add_scores, count_scores
from console.monitoring.counted.counts import layout_of, merge, pack, unpack
from console.monitoring.counted.profile import Profile, build_profile
from console.monitoring.counted.windows import make_window
from console.monitoring.drift.compare import compare
from console.monitoring.drift.comparing import compare_offloaded
from tests.unit.test_monitoring_counts import wide_frame


def best(work: Callable[[], object], times: int = 15) -> float:
    """Least CPU seconds of several tries: other work on the machine can only add."""
    took = []
    for _ in range(times):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def made_profile() -> Profile:
    rng = np.random.default_rng(0)
    scores = rng.beta(2, 5, 10_000)
    labels = (rng.random(10_000) < scores).astype(int)
    return build_profile(wide_frame(50_000, 0), scores, labels, task="classification", positive=1, classes=[0, 1])


def main() -> None:
    began = time.process_time()
    profile = made_profile()
    rows = [("profile of 50 000 × 20", time.process_time() - began, "3 s")]
    layout = layout_of(profile)
    for size, budget in ((10_000, "6 ms"), (100_000, ""), (1_000_000, "0.2 s")):
        frame = wide_frame(size, 1)
        rows.append(
            (
                f"count {size:,} × 20",
                best(lambda f=frame: count_features(f, profile, layout), 3 if size > 1e5 else 30),
                budget,
            )
        )
    frame = wide_frame(10_000, 2)
    counts = count_features(frame, profile, layout)
    rng = np.random.default_rng(3)
    scores, targets = rng.random(10_000), np.full(10_000, np.nan)
    rows.append(("score cells of 10 000", best(lambda: count_scores(scores, targets, profile.score, "binary")), ""))
    found, sums = count_scores(scores, targets, profile.score, "binary")
    counts = add_scores(counts, layout, found, sums)

    def judge() -> object:
        return make_window("m", profile, layout, counts, start=0, end=1, version="1")

    rows.append(("judge a window (20 columns, plain Python)", best(judge), ""))
    packed = pack(counts)
    rows.append((f"pack a window into {len(packed):,} bytes", best(lambda: pack(counts)), "1.5 kB"))
    rows.append(("unpack and add 1 440 windows", best(lambda: merge(unpack(packed) for _ in range(1440)), 3), ""))
    first, second = wide_frame(1_000_000, 3), wide_frame(1_000_000, 4)
    rows.append(("compare 1 000 000 × 20 rows exactly", best(lambda: compare(first, second), 2), "1.5 s"))
    script = "import time; t = time.process_time(); import console.monitoring.read; print(time.process_time() - t)"
    light = float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    rows.append(("import what a pane needs", light, "0.5 s"))
    script = script.replace("console.monitoring.read", "console.monitoring.feeds.ingest")
    heavy = float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    rows.append(("import what the scorer needs", heavy, ""))
    files = [Path(tempfile.gettempdir()) / f"{name}-{os.getpid()}.csv" for name in ("old", "new")]
    for file in files:
        file.write_text("a,b\n1,x\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    compare_offloaded(*files)
    whole = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    rows.append(("compare two small files, in a process of its own", whole, "0.5 s"))
    for file in files:
        file.unlink()
    sys.stdout.write(f"{'work':50s} {'CPU ms':>10s}   budget\n")
    for name, seconds, budget in rows:
        sys.stdout.write(f"{name:50s} {seconds * 1000:10.2f}   {budget}\n")


if __name__ == "__main__":
    main()
