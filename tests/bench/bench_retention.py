"""What a monitor takes on the disk before and after its older windows are merged, and what merging costs: twenty
columns, five models, minute windows.

python -m tests.bench.bench_retention. The store is filled by direct inserts with one real window each of a minute, an
hour and a day: first a day of minutes for what a year of them takes, then what is kept of a year by the defaults. The
pass merges a day of minutes into hours, and those into a day.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from backends.contract import Backend
from backends.entities import Monitor, Window
from backends.local import open_local
from console.monitoring.compaction import merging
from console.monitoring.counted.columns import count_features
from console.monitoring.counted.counting import add_scores, count_scores
from console.monitoring.counted.counts import layout_of
from console.monitoring.counted.profile import Profile, build_profile
from console.monitoring.counted.windows import make_window
from console.retention.monitors import DAY, HOUR, Keep
from tests.monitored import WHO

MINUTE = 60_000
MODELS = 5
ROWS = 600
BEGIN = 1_700_006_400_000 // DAY * DAY
KEEP = Keep()
INSERT = 'INSERT INTO windows (monitor, segment, start, "end", rows, state, record, counts) VALUES (?,?,?,?,?,?,?,?)'


def frame(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Twelve columns of numbers, eight of categories."""
    numbers = {f"n{at}": rng.normal(size=rows) for at in range(12)}
    return pd.DataFrame(numbers | {f"c{at}": rng.choice(list("abcdefgh"), rows) for at in range(8)})


def made(profile: Profile, rows: int, length: int, rng: np.random.Generator) -> Window:
    layout, found = layout_of(profile), frame(rows, rng)
    score = 1 / (1 + np.exp(-found["n0"].to_numpy()))
    target = (rng.random(rows) < score).astype(float)
    cells, sums = count_scores(score, target, profile.score, profile.task, profile.scale)
    counts = add_scores(count_features(found, profile, layout), layout, cells, sums)
    return make_window("m", profile, layout, counts, start=BEGIN, end=BEGIN + length, version="1")


def fill(home: Path, names: Iterable[str], window: Window, starts: range, length: int, segment: str = "") -> None:
    with sqlite3.connect(home / "console.db") as connection:
        for name in names:
            own = msgspec.structs.replace(window, monitor=name, segment=segment)
            connection.executemany(
                INSERT,
                (
                    (
                        name, segment, at, at + length, window.rows, "ok",
                        msgspec.msgpack.encode(msgspec.structs.replace(own, start=at, end=at + length, counts=b"")),
                        window.counts,
                    )
                    for at in starts
                ),
            )  # fmt: skip
            mine = "FROM windows WHERE monitor = ?1 AND segment = ''"
            connection.execute(
                f"UPDATE monitors SET windows = (SELECT count(*) {mine}), rows = (SELECT sum(rows) {mine}), "
                f'last_at = (SELECT max("end") {mine}) WHERE name = ?1',
                (name,),
            )


def opened(home: Path, names: Iterable[str]) -> Backend:
    backend = open_local(home)
    for name in names:
        backend.need("monitors").put(Monitor(name=name, model="m", window="minute"), WHO)
    return backend


def size(home: Path) -> int:
    connection = sqlite3.connect(home / "console.db", isolation_level=None)
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint (TRUNCATE)")
    connection.close()
    return (home / "console.db").stat().st_size


def main() -> None:
    rng = np.random.default_rng(0)
    train = frame(20_000, rng)
    score = 1 / (1 + np.exp(-train["n0"].to_numpy()))
    labels = np.where(rng.random(20_000) < score, "yes", "no")
    profile = build_profile(train, score, labels, task="classification", positive="yes", classes=["no", "yes"])
    minute, hour, day = (
        made(profile, rows, length, rng) for rows, length in ((ROWS, MINUTE), (60 * ROWS, HOUR), (200_000, DAY))
    )
    names = [f"m{number}" for number in range(MODELS)]
    with tempfile.TemporaryDirectory(prefix="retention-bench-") as folder:
        first = Path(folder) / "minutes"
        backend = opened(first, names)
        bare = size(first)
        fill(first, names, minute, range(BEGIN, BEGIN + DAY, MINUTE), MINUTE)
        each = (size(first) - bare) / (MODELS * 1440)
        print(f"a minute window: {each:,.0f} bytes in the store; a year of one model {each * 525_600 / 1e9:.2f} GB, ")
        print(f"of {MODELS} models {MODELS * each * 525_600 / 1e9:.1f} GB")

        merging.profile_of_version = lambda *_: profile  # the model itself is of no account here
        monitor = backend.need("monitors").get("m0")
        fill(first, names[:1], minute, range(BEGIN + DAY, BEGIN + DAY + 30 * MINUTE, MINUTE), MINUTE)
        rows = sum(window.rows for window in backend.need("monitors").windows("m0", limit=10_000))
        profiles: dict[str, Profile | None] = {}
        took: dict[str, float] = {}
        for what, length in (("hour", HOUR), ("day", DAY)):
            began, wall, number, worst = time.process_time(), time.perf_counter(), 0, 0.0
            for start in range(BEGIN, BEGIN + DAY, length):
                step = time.perf_counter()
                merging.merge_stretch(backend, monitor, start, length, profiles)
                worst, number = max(worst, time.perf_counter() - step), number + 1
            took[what] = (time.process_time() - began) / number
            print(
                f"merge {'60 minutes into an hour' if what == 'hour' else '24 hours into a day'}: "
                f"CPU {took[what] * 1000:.0f} ms, wall {(time.perf_counter() - wall) / number * 1000:.0f} ms, "
                f"longest step {worst * 1000:.0f} ms"
            )
        after = sum(window.rows for window in backend.need("monitors").windows("m0", limit=10_000))
        print(f"rows before {rows:,}, after {after:,}")
        daily = MODELS * (24 * took["hour"] + took["day"])
        print(f"a day of {MODELS} models: {daily:.1f} CPU s, {daily / 864:.3f} % of a processor")
        backend.close()

        second = Path(folder) / "kept"
        backend = opened(second, names)
        bare = size(second)
        assert KEEP.minutes is not None
        assert KEEP.hours is not None
        end = BEGIN + 365 * DAY
        whole = end - KEEP.minutes
        fill(second, names, day, range(BEGIN, end - KEEP.hours, DAY), DAY)
        fill(second, names, hour, range(end - KEEP.hours, whole, HOUR), HOUR)
        fill(second, names, minute, range(whole, end, MINUTE), MINUTE)
        fill(second, names, hour, range(whole, end, HOUR), HOUR, "~hour")
        fill(second, names, day, range(end - KEEP.hours, end, DAY), DAY, "~day")
        fill(second, names, day, range(BEGIN, end, 7 * DAY), 7 * DAY, "~week")
        kept = (size(second) - bare) / MODELS
        print(
            f"after a year by the defaults ({KEEP.words()}): {kept / 1e6:.1f} MB a model, {MODELS * kept / 1e6:.0f} MB"
        )
        print(f"that is 1 / {each * 525_600 / kept:.0f}")
        began = time.process_time()
        for name in names:
            merging.merge(backend, backend.need("monitors").get(name), KEEP)
        print(f"a pass that finds nothing: {(time.process_time() - began) / MODELS * 1000:.1f} ms CPU a monitor")
        backend.close()


if __name__ == "__main__":
    main()
