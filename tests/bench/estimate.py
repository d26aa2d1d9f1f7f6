"""What a thousand machines, a million runs a day and ten thousand models would ask of what carries them:
`python -m tests.bench.estimate [SECONDS]`.

One of each is measured here (`estimate_units.py`); the rest is multiplication, printed with its terms. Then runs are
logged into one embedded store by several processes at once, ever faster, SECONDS (8) at each step, until they fall
behind: that is where one box ends.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from backends.local import open_local
from tests.bench.estimate_units import METRICS, PARAMS, POINTS, TAGS, Unit, postgres_bytes, store_units, whole_run

NODES, RUNS, MODELS, VERSIONS = 1_000, 1_000_000, 10_000, 10
"""Machines; runs a day; models, and versions of each."""
SERVED, SEGMENTS, CONSOLES = 1_000, 5, 50
"""Models that answer requests and are watched by the minute; segments of each; people who look."""
ARTIFACTS = 5_000_000
"""Bytes of files that a run leaves."""
WINDOW = 1_300
"""Bytes of a minute of a monitor with 20 columns: `bench_retention`."""
REFRESH_S, QUESTIONS, SCREEN = 5.0, 3, 170_000
"""An MLflow server is asked by a console that is looked at: so often, so many questions, so many bytes at most."""
SQUEUE_S, RAY_S = 5.0, 0.5
"""Seconds between two looks of the agent at a cluster, for all runs."""
SCRAPE_S, SERIES, SAMPLE = 15.0, 40, 1.5
"""Of a service in Prometheus: a scrape, its series, bytes of a sample as its makers tell."""
SLOTS = 8
"""Runs of a node at once."""
DAY = 86_400
WRITERS = 4


def gigabytes(found: float) -> str:
    for least, word in ((1e12, "TB"), (1e9, "GB")):
        if found >= least:
            return f"{found / least:.1f} {word}"
    return f"{found / 1e6:.0f} MB"


def units_table(units: dict[str, Unit], postgres: float | None) -> None:
    print("one of each, measured here")
    for unit in units.values():
        print(f"  {unit.what:<28} {unit.cpu_ms:9.3f} ms CPU {unit.bytes:10.0f} bytes")
    if postgres is not None:
        print(f"  {'a point in PostgreSQL':<28} {'':>16} {postgres:10.0f} bytes, MLflow's table with its indexes")


def of_runs(units: dict[str, Unit], postgres: float | None) -> None:
    run, point, queued = units["run"], units["point"], units["queued"]
    rate, points = RUNS / DAY, RUNS * POINTS
    print(f"\n{NODES:,} nodes, {RUNS:,} runs a day ({rate:.1f}/s), {POINTS:,} points each ({points / DAY:,.0f}/s)")
    print(f"  {NODES * SLOTS:,} at once, of {NODES * SLOTS / rate / 60:.0f} minutes each, where a node runs {SLOTS}")
    plain = run.cpu_ms + queued.cpu_ms
    for many in (0, 100, POINTS):
        cpu = rate * (plain + many * point.cpu_ms) / 1000
        kept = RUNS * (run.bytes + queued.bytes + many * point.bytes)
        print(
            f"  in the embedded store with {many:>5} points: {cpu:.2f} cores of its one writer, {gigabytes(kept)} a day"
        )
    if postgres is not None:
        for many in (METRICS, 100, POINTS):
            rows, kept = RUNS * (many + 2 * METRICS + PARAMS + TAGS), RUNS * many * postgres
            print(
                f"  in MLflow on PostgreSQL with {many:>5}: {rows / 1e6:,.0f} M rows, {gigabytes(kept)} of points a day"
            )
    asked = rate * (3 + POINTS / 1000)
    print(f"  over the protocol: {asked:.0f} requests/s (make, start, end, and one for 1 000 points)")
    print(f"  files: {gigabytes(RUNS * ARTIFACTS)} a day, {RUNS * ARTIFACTS / DAY / 1e6:.0f} MB/s")
    print(f"  the console asks Slurm {1 / SQUEUE_S:.1f} times/s for all runs, Ray {1 / RAY_S:.0f} times/s")


def of_models(units: dict[str, Unit]) -> None:
    version = units["version"]
    print(f"\n{MODELS:,} models of {VERSIONS} versions")
    kept, more = gigabytes(MODELS * VERSIONS * version.bytes), gigabytes(1000 * version.bytes)
    print(f"  embedded: {kept}, and {more} for a thousand versions more")
    print(f"\n{SERVED:,} models served and watched by the minute, {SEGMENTS} segments each")
    windows, service = SERVED * 1440 * (1 + SEGMENTS), units["service"]
    print(f"  windows: {windows / DAY:.0f}/s, {gigabytes(windows * WINDOW)} a day")
    merged = SERVED * (1 + SEGMENTS) * WINDOW
    print(f"  merged to hours: {gigabytes(merged * 24)} a day, to days: {gigabytes(merged)}")
    cpu = SERVED / 60 * service.cpu_ms / 1000
    print(f"  how services answer: {gigabytes(SERVED * 1440 * service.bytes)} a day, {cpu:.4f} cores")
    series = SERVED * SERIES
    kept = series / SCRAPE_S * DAY * SAMPLE
    print(f"  Prometheus: {series:,} series, {series / SCRAPE_S:,.0f} samples/s, {gigabytes(kept)} a day")


def of_people(units: dict[str, Unit]) -> None:
    print(f"\n{CONSOLES} consoles that are looked at")
    asked, told = CONSOLES * QUESTIONS / REFRESH_S, CONSOLES * SCREEN / REFRESH_S / 1e6
    print(f"  {asked:.0f} questions/s to a server, {told:.1f} MB/s at most")
    cpu = CONSOLES * 50 * units["row"].cpu_ms / 1000
    print(f"  of an embedded store: {cpu:.2f} cores if all saw a new page of 50 runs each second")


# ---------------------------------------------------------------- where one box ends


def _writer(
    home: str, rate: float, seconds: float, points: int, ready: Barrier, told: multiprocessing.Queue[tuple[int, float]]
) -> None:
    """Runs at a pace that does not wait for the store; how many, and how late the last was."""
    backend = open_local(Path(home))
    whole_run(backend, os.getpid(), points)  # what is imported once is imported
    ready.wait()
    begun, done, late = time.monotonic(), 0, 0.0
    while time.monotonic() - begun < seconds:
        due = begun + done / rate
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        whole_run(backend, done + os.getpid() * 1000, points)
        done += 1
        late = time.monotonic() - due
    backend.close()
    told.put((done, late))


def saturate(seconds: float, points: int) -> None:
    """Twice as fast at each step, until a step ends more than a second late."""
    print(f"\n{WRITERS} processes log runs of {points} points into one store, {seconds:.0f} s a step")
    offered = RUNS / DAY
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as made:
        home = Path(made) / "workspace"
        open_local(home).close()
        for _ in range(7):
            told: multiprocessing.Queue[tuple[int, float]] = spawn.Queue()
            ready = spawn.Barrier(WRITERS)
            workers = [
                spawn.Process(target=_writer, args=(str(home), offered / WRITERS, seconds, points, ready, told))
                for _ in range(WRITERS)
            ]
            for each in workers:
                each.start()
            found = [told.get(timeout=seconds + 120) for _ in workers]
            for each in workers:
                each.join()
            runs, late = sum(done for done, _ in found), max(late for _, late in found)
            print(
                f"  offered {offered:6.1f}/s   took {runs / (seconds + max(0.0, late)):6.1f}/s   late {late:6.2f} s",
                flush=True,
            )
            if late > 1.0:
                return
            offered *= 2


def main(seconds: float) -> None:
    units, postgres = store_units(), postgres_bytes()
    units_table(units, postgres)
    of_runs(units, postgres)
    of_models(units)
    of_people(units)
    for points in (0, 100, POINTS):
        saturate(seconds, points)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 8.0)
