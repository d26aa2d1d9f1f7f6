"""How long a monitor's pane takes to read a year of minute windows, five monitors in one store, by each stretch.

python -m tests.bench.bench_monitor. The store is filled by direct inserts: every minute of the year has its row, those
that no pane reads (older than two days) without content; kept hours, days and weeks are whole.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

import msgspec

from backends.contract import Backend
from backends.entities import Monitor, Window
from console.monitoring.feeds.champion import read_profile
from console.monitoring.ranges import STRETCHES, bounds, merge_windows
from console.monitoring.read import Look, monitor_view
from console.monitoring.rolled import level_name
from tests.monitored import WHO, deliveries
from tests.unit.test_monitoring_ranges import window_at

MINUTE, DAY = 60_000, 86_400_000
YEAR = 365 * DAY
MONITORS = 5
WHOLE = 2 * DAY
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


def main() -> None:
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


if __name__ == "__main__":
    main()
