"""The Monitor pane on a year of minute windows, five monitors in one store, beside its budgets: how long each stretch
takes to read and to draw, and what the pane costs while rows arrive.

python -m tests.bench.bench_monitor [SECONDS]. Drawing and traffic are measured from outside the process by tuiperf.py
(see `bench_terminal`), the latter for SECONDS (20); without it only reading is measured. The traffic is what an agent
writes: the minute that fills, every `TICK_S`, and how the service answered. The store is filled by direct inserts:
every minute of the year has its row, those that no pane reads (older than two days) without content; kept hours, days
and weeks are whole.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import Backend
from backends.entities import Monitor, ServiceWindow, Window
from backends.local import open_local
from console.monitoring.ranges import STRETCHES, bounds, merge_windows
from console.monitoring.read import Look, monitor_view
from console.monitoring.reference import read_profile
from console.monitoring.rolled import level_name
from tests.bench.bench_terminal import tuiperf
from tests.monitored import WHO, deliveries
from tests.unit.test_monitoring_ranges import window_at

MINUTE, DAY = 60_000, 86_400_000
YEAR = 365 * DAY
MONITORS = 5
WHOLE = 2 * DAY
TICK_S = 1.0
"""Between two writes of the minute that fills: what a scorer takes at once."""
INSERT = 'INSERT INTO windows (monitor, segment, start, "end", rows, state, record, counts) VALUES (?,?,?,?,?,?,?,?)'


def filled(home: Path) -> Backend:
    """A workspace with five monitors of a year each."""
    backend = deliveries(home)
    profile = read_profile(backend, backend.need("registry").version("deliveries", "@champion"))
    end = bounds("day", 1_700_000_000_000)[0] + 13 * 3_600_000 + 37 * MINUTE
    first = end - YEAR
    minute = window_at(profile, end, MINUTE, 200, 1)
    longer = merge_windows([minute], profile, start=end, end=end + MINUTE)
    assert longer is not None
    for number in range(MONITORS):
        backend.need("monitors").put(Monitor(name=f"m{number}", model="deliveries", window="minute"), WHO)
    with sqlite3.connect(home / "console.db") as connection:
        for number in range(MONITORS):
            name = f"m{number}"
            connection.execute(
                "WITH RECURSIVE t(start) AS (SELECT ?1 UNION ALL SELECT start + 60000 FROM t WHERE start + 60000 < ?2) "
                'INSERT INTO windows (monitor, segment, start, "end", rows, state, record, counts) '
                "SELECT ?3, '', start, start + 60000, 200, 'ok', x'', x'' FROM t",
                (first, end - WHOLE, name),
            )
            connection.executemany(
                INSERT, (_row(minute, name, "", at, MINUTE) for at in range(end - WHOLE, end, MINUTE))
            )
            for stretch in ("hour", "day", "week"):
                length = STRETCHES[stretch]
                starts = range(bounds(stretch, first)[0], bounds(stretch, end)[0], length)
                rows = (_row(longer, name, level_name(stretch), at, length) for at in starts)
                connection.executemany(INSERT, rows)
    return backend


def _row(window: Window, monitor: str, segment: str, start: int, length: int) -> tuple[object, ...]:
    own = msgspec.structs.replace(window, monitor=monitor, segment=segment, start=start, end=start + length, counts=b"")
    record = msgspec.msgpack.encode(own)
    return monitor, segment, start, start + length, window.rows, "ok", record, window.counts


def traffic(home: Path, until: float) -> None:
    """Write what an agent writes for monitor m0 until that moment (of `time.monotonic`): `python -c` runs it."""
    backend = open_local(home)
    profile = read_profile(backend, backend.need("registry").version("deliveries", "@champion"))
    store = backend.need("monitors")
    start = store.windows("m0", limit=1)[-1].end
    minute = [window_at(profile, start, MINUTE, 200 * (count + 1), count) for count in range(6)]
    tick = 0
    print("begun", flush=True)
    while time.monotonic() < until:
        at = start + tick // 6 * MINUTE
        made = minute[tick % 6]
        store.add_window(msgspec.structs.replace(made, monitor="m0", start=at, end=at + MINUTE))
        store.add_service(
            ServiceWindow(
                source="monitor:m0", start=at, end=at + MINUTE, requests=200 * (tick % 6 + 1), errors=tick % 3
            )
        )
        tick += 1
        time.sleep(TICK_S)
    backend.close()


def drawn(tool: Path, home: Path, seconds: float) -> None:
    """Print what the screen costs: a stretch from key to settled, and the live pane under traffic."""
    base = [
        sys.executable, str(tool), "--json", "--size", "120x40", "--env", "LC_ALL=C.UTF-8", "--env",
        "COLORTERM=truecolor", "--home", "tmp", "--ready", "m4", "--quit", "q",
    ]  # fmt: skip
    command = ["--", sys.executable, "-m", "console.launch", "--workspace", str(home), "monitor"]
    keys = _measured([*base, "--keys", "enter - - - -", "--gap", "700", "--idle", "1", *command])["measures"]["keys"]
    cpu, wall = keys["cpu_ms"], keys["settled_ms"]
    print(f"going in and longer stretches, key to settled: CPU ms median {cpu['median']:.0f} max {cpu['max']:.0f}  "
          f"wall median {wall['median']:.0f} max {wall['max']:.0f}   budget 100 ms")  # fmt: skip
    until = time.monotonic() + seconds + 40
    call = (
        "from pathlib import Path; from tests.bench.bench_monitor import traffic; "
        f"traffic(Path({str(home)!r}), {until})"
    )
    with subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            idle = _measured([*base, "--before", "enter down", "--idle", str(seconds), *command])["measures"]["idle"]
        finally:
            writer.terminate()
    print(f"live pane, a minute's counts every {TICK_S:g} s: {idle['bytes_per_s']:.0f} B/s, {idle['cpu_pct']:.2f} % CPU"
          "   budget 3000 B/s, 1 %")  # fmt: skip


def _measured(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode not in (0, 1):
        raise SystemExit(f"tuiperf ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with tempfile.TemporaryDirectory(prefix="monitor-bench-") as folder:
        began = time.monotonic()
        backend = filled(Path(folder) / "w")
        size = (Path(folder) / "w" / "console.db").stat().st_size
        print(f"{MONITORS} x {YEAR // MINUTE} minute windows, {size / 1e6:.0f} MB, {time.monotonic() - began:.0f} s")
        for stretch in ("", "hour", "day", "week", "all"):
            cpu, wall = [], []
            for number in range(MONITORS):
                cpu_began, wall_began = time.process_time(), time.perf_counter()
                view = monitor_view(backend, f"m{number}", look=Look(stretch=stretch))
                cpu.append((time.process_time() - cpu_began) * 1000)
                wall.append((time.perf_counter() - wall_began) * 1000)
            print(
                f"{view.kind:<7} {len(view.windows):4d} windows  "
                f"CPU ms min {min(cpu):.0f} median {sorted(cpu)[2]:.0f}  wall median {sorted(wall)[2]:.0f}"
            )
        backend.close()
        tool = tuiperf()
        if tool is None:
            print("drawing skipped: tuiperf.py is neither at $TUIPERF nor in ../shared/tools")
        else:
            drawn(tool, Path(folder) / "w", seconds)


if __name__ == "__main__":
    main()
