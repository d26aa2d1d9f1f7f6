"""Older windows merged into hours and days: no row is lost, late labels find their window, and a kill costs nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from backends.contract import Backend
from backends.entities import Monitor, Segment, Window
from backends.local.database import Database
from console.journal_words import watch_words
from console.monitoring.compaction.letting_go import LEDGER
from console.monitoring.compaction.merging import DAY, HOUR, merge, would_merge
from console.monitoring.compaction.passing import carry_out, last_pass, preview
from console.monitoring.counted.counts import Counts, unpack
from console.monitoring.create import create_monitor
from console.monitoring.feeds.champion import Champion, load_champion
from console.monitoring.feeds.ingest import ingest_batch
from console.monitoring.feeds.known_files import PLACE, read_files
from console.monitoring.folder import monitor_folder
from console.monitoring.ranges import merged, merged_words
from console.retention.monitors import Keep
from tests.monitored import WHO, deliveries, traffic

KEEP = Keep(minutes=6 * HOUR, hours=2 * DAY)
SEGMENTS = ("far", "ups")


class DiedError(BaseException):
    """Nothing catches it, as nothing catches a SIGKILL."""


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


def watch(backend: Backend, name: str, window: str = "minute") -> Monitor:
    return create_monitor(
        backend,
        name,
        "deliveries",
        mutation=WHO,
        time_column="at",
        label_column="late",
        id_column="id",
        window=window,
        segments=(Segment(name="far", where="distance > 300"), Segment(name="ups", where="carrier = ups")),
        protected=("carrier",),
    )


@pytest.fixture(scope="module")
def champion(backend: Backend) -> Champion:
    return load_champion(backend, watch(backend, "loads"))


def days() -> pd.DataFrame:
    """Forty rows on each of four days, in three minutes of each of two hours; and an hour with two rows a minute, which
    alerts look at."""
    rows = pd.concat([traffic(40, day, day=f"2024-03-0{day}") for day in range(1, 6)], ignore_index=True)
    at = pd.to_datetime(rows["at"]).dt.floor("D")
    at += pd.to_timedelta([8 + number % 2 for number in range(len(rows))], unit="h")
    at += pd.to_timedelta([7 * (number % 3) for number in range(len(rows))], unit="m")
    at.iloc[160:] = pd.Timestamp("2024-03-05T12:00Z") + pd.to_timedelta(np.arange(40) // 2, unit="m")
    return rows.assign(at=at.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


def write(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    frame.to_csv(folder / name, index=False)
    return folder / name


def all_windows(backend: Backend, name: str, segment: str = "") -> tuple[Window, ...]:
    return backend.need("monitors").windows(name, segment=segment, limit=100_000)


def total(backend: Backend, name: str, segment: str = "") -> tuple[Any, ...]:
    """All counts of the whole or a segment together, and how many labels of which lag."""
    windows = all_windows(backend, name, segment)
    counts = merged(windows)
    assert isinstance(counts, Counts)
    lags: dict[int, int] = {}
    for window in windows:
        for cell, count in window.lags.items():
            lags[cell] = lags.get(cell, 0) + count
    assert counts.rows == sum(window.rows for window in windows)
    sums = tuple(round(each, 6) for each in counts.sums)
    return counts.rows, tuple(counts.cells), counts.groups, counts.new_levels, lags, sums


def compact(backend: Backend, name: str, keep: Keep = KEEP) -> Any:
    return merge(backend, backend.need("monitors").get(name), keep)


def test_late_labels_are_counted_to_the_row_whether_they_come_before_or_after(
    backend: Backend, champion: Champion, tmp_path: Path
) -> None:
    rows = days()
    truth = rows[["id", "late"]]
    wrong = truth.iloc[:50].assign(late=np.where(truth.iloc[:50]["late"] == "yes", "no", "yes"))
    late_rows = days().iloc[:30].assign(id=[f"late-{number}" for number in range(30)])
    files = [
        write(tmp_path, "rows.csv", rows.drop(columns="late")),
        write(tmp_path, "early.csv", wrong),
        write(tmp_path, "rest.csv", truth),
        write(tmp_path, "late-rows.csv", late_rows.drop(columns="late")),
        write(tmp_path, "late-labels.csv", late_rows[["id", "late"]]),
    ]
    watch(backend, "whole")
    for file in files:
        assert ingest_batch(backend, "whole", file, champion=champion).state != "failed"
    for order in ((1,), (1, 2, 3, 4, 5)):
        name = f"merged-{'-'.join(map(str, order))}"
        watch(backend, name)
        for number, file in enumerate(files, 1):
            ingest_batch(backend, name, file, champion=champion)
            if number in order:
                assert compact(backend, name).notes == ()
        for segment in ("", *SEGMENTS):
            assert total(backend, name, segment) == total(backend, "whole", segment), f"{order} {segment}"
        found = backend.need("monitors").get(name)
        assert (found.rows, found.windows) == (230, len(all_windows(backend, name)))
        compact(backend, name)
        lengths = {window.end - window.start for window in all_windows(backend, name)}
        assert lengths <= {60_000, HOUR, DAY}
        assert merged_words(all_windows(backend, name), "minute") == "4 hours and 2 days"
        assert merged_words(all_windows(backend, name), "hour") == "2 days"
        assert DAY in lengths
        first = all_windows(backend, name)[0]
        assert (first.rows, first.labelled, first.end - first.start) == (70, 70, DAY)
        assert would_merge(backend, found, KEEP).windows == 0
        assert compact(backend, name).windows == 0


def test_what_alerts_look_at_stays_as_it_is(backend: Backend, champion: Champion, tmp_path: Path) -> None:
    from console.monitoring.alarms.alerts import horizon

    monitor = watch(backend, "few")
    ingest_batch(backend, "few", write(tmp_path, "few.csv", days()), champion=champion)
    newest = all_windows(backend, "few")[-horizon(monitor) :]
    compact(backend, "few", Keep(minutes=2 * HOUR, hours=2 * DAY))
    assert all_windows(backend, "few")[-horizon(monitor) :] == newest


def test_a_merged_window_says_what_one_counted_at_once_says(
    backend: Backend, champion: Champion, tmp_path: Path
) -> None:
    file = write(tmp_path, "same.csv", days())
    watch(backend, "fine")
    watch(backend, "coarse", window="day")
    for name in ("fine", "coarse"):
        ingest_batch(backend, name, file, champion=champion)
    compact(backend, "fine")
    for segment in ("", *SEGMENTS):
        merged_one, whole = (all_windows(backend, name, segment)[0] for name in ("fine", "coarse"))
        ignored = {"monitor": "", "counts": b"", "performance": {}, "bias": {}}
        assert msgspec.structs.replace(merged_one, **ignored) == msgspec.structs.replace(whole, **ignored)
        assert unpack(merged_one.counts).cells == unpack(whole.counts).cells
        assert merged_one.performance.keys() == whole.performance.keys()
        for key, found in merged_one.performance.items():
            assert found.value == pytest.approx(whole.performance[key].value)


def test_versions_stay_apart(backend: Backend, champion: Champion, tmp_path: Path) -> None:
    store = backend.need("monitors")
    watch(backend, "split")
    ingest_batch(backend, "split", write(tmp_path, "split.csv", days()), champion=champion)
    for window in all_windows(backend, "split")[1:24:2]:  # every other minute was answered by another
        store.add_window(msgspec.structs.replace(window, model_version="2"))
    before = {version: rows_of(backend, "split", version) for version in ("1", "2")}
    found = compact(backend, "split")
    assert found.notes == ("windows of v2 stay as they are: its reference is gone",)
    assert {version: rows_of(backend, "split", version) for version in ("1", "2")} == before
    days_of = [window for window in all_windows(backend, "split") if window.end - window.start >= DAY // 2]
    assert {window.model_version for window in days_of} == {"1"}
    assert len([window for window in all_windows(backend, "split") if window.model_version == "2"]) == 12


def rows_of(backend: Backend, name: str, version: str) -> int:
    return sum(window.rows for window in all_windows(backend, name) if window.model_version == version)


def test_nothing_is_merged_while_a_chunk_is_in_hand(backend: Backend, champion: Champion, tmp_path: Path) -> None:
    """The next try of it would not know the windows again, and would count its labels twice."""
    rows = days()
    watch(backend, "busy")
    ingest_batch(backend, "busy", write(tmp_path, "busy.csv", rows.drop(columns="late")), champion=champion)
    labels = write(tmp_path, "labels.csv", rows[["id", "late"]])
    store = backend.need("monitors")
    add = type(store).add_window
    calls = 0

    def dies(self: Any, window: Window, *, batch: str = "") -> bool:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise DiedError
        return add(self, window, batch=batch)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(store), "add_window", dies)
        with pytest.raises(DiedError):
            ingest_batch(backend, "busy", labels, champion=champion)
    held = all_windows(backend, "busy")
    assert compact(backend, "busy").notes == ("a chunk is in hand: nothing is merged until it is counted",)
    assert all_windows(backend, "busy") == held
    ingest_batch(backend, "busy", labels, champion=champion)
    compact(backend, "busy")
    assert sum(window.labelled for window in all_windows(backend, "busy")) == 200
    assert all(window.labelled == window.rows for window in all_windows(backend, "busy"))


class Moments:
    """Counts the moments before, within and after each write of the store, and dies at one of them."""

    def __init__(self, patched: pytest.MonkeyPatch, at: int) -> None:
        self.at, self.seen = at, 0
        write: Callable[..., Any] = Database.write

        @contextmanager
        def counted(database: Database, **options: Any) -> Iterator[Any]:
            self.pass_by()
            with write(database, **options) as connection:
                yield connection
                self.pass_by()
            self.pass_by()

        patched.setattr(Database, "write", counted)

    def pass_by(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise DiedError


def test_a_kill_at_any_write_leaves_all_rows_and_the_next_pass_goes_on(
    backend: Backend, champion: Champion, tmp_path: Path
) -> None:
    watch(backend, "killed")
    file = write(tmp_path, "killed.csv", days())
    ingest_batch(backend, "killed", file, champion=champion)
    wanted = [total(backend, "killed", segment) for segment in ("", *SEGMENTS)]
    at, finished = 1, False
    while not finished:
        with pytest.MonkeyPatch.context() as patched:
            Moments(patched, at)
            try:
                compact(backend, "killed", Keep(minutes=2 * HOUR, hours=2 * DAY))
                finished = True
            except DiedError:
                pass
        assert [total(backend, "killed", segment) for segment in ("", *SEGMENTS)] == wanted, f"moment {at}"
        found = backend.need("monitors").get("killed")
        assert (found.rows, found.windows) == (200, len(all_windows(backend, "killed")))
        at += 1
    assert at > 6
    assert any(window.end - window.start == DAY for window in all_windows(backend, "killed"))


# ---------------------------------------------------------------- what goes for good


def test_only_what_nobody_asks_for_goes_and_the_journal_says_so(
    backend: Backend, champion: Champion, tmp_path: Path
) -> None:
    watch(backend, "lets-go")
    rows = write(tmp_path, "lets-go.csv", days().drop(columns="late"))
    ingest_batch(backend, "lets-go", rows, champion=champion)
    again = write(tmp_path, "again.csv", days()[["id", "late"]].iloc[:20])
    ingest_batch(backend, "lets-go", again, champion=champion)
    folder = monitor_folder(backend, "lets-go")
    store = backend.need("monitors")
    monitor = store.get("lets-go")
    found = preview(backend, monitor, KEEP)
    assert (found.gone.days, found.gone.scored, found.gone.samples) == (0, 0, 0)
    assert found.gone.ids == len(store.batches("lets-go")) - 2  # of files that are done, their windows' memory
    keep = Keep(minutes=6 * HOUR, hours=2 * DAY, days=30 * DAY, scored=DAY, samples=DAY, ids=DAY)
    done = carry_out(backend, monitor, keep, WHO)
    assert done.gone.ids == found.gone.ids
    assert len(store.batches("lets-go")) == 2
    assert ingest_batch(backend, "lets-go", rows, champion=champion).state == "duplicate"

    aged(folder, days=2)
    assert preview(backend, monitor, keep).gone.scored == 1
    done = carry_out(backend, store.get("lets-go"), keep, WHO)
    assert (done.gone.scored, done.gone.samples > 0, done.gone.ids) == (1, True, 2)
    assert list((folder / "scored").glob("*")) == []
    assert store.batches("lets-go") == frozenset()
    entry = next(each for each in backend.need("journal").page().items if each.target == "lets-go")
    assert (entry.action, entry.before["scored"], entry.before["ids"]) == ("monitor.forget", 1, 2)
    assert watch_words(entry).startswith("let go of 1 scored file, ")
    last = last_pass(backend, "lets-go")
    assert last is not None
    assert "1 file of scored rows" in last.words()


def aged(folder: Path, *, days: int) -> None:
    """As if all had been written so long ago."""
    for path in (*folder.glob("scored/*"), *folder.glob("samples/*")):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - days * 86_400))
    files = {
        key: msgspec.structs.replace(each, seen_at=each.seen_at - days * DAY)
        for key, each in read_files(folder).items()
    }
    (folder / PLACE).write_bytes(msgspec.json.encode(files))
    ledger = msgspec.json.decode((folder / LEDGER).read_bytes(), type=dict[str, list[str]])
    before = (datetime.now(UTC).date() - timedelta(days=days)).isoformat()
    (folder / LEDGER).write_bytes(msgspec.json.encode({before: [each for ids in ledger.values() for each in ids]}))


def test_days_that_are_too_old_go_but_what_was_counted_is_still_said(
    backend: Backend, champion: Champion, tmp_path: Path
) -> None:
    watch(backend, "old")
    rows = pd.concat([days(), days().assign(at="2023-12-01T08:00:00Z", id=[f"old-{each}" for each in range(200)])])
    ingest_batch(backend, "old", write(tmp_path, "old.csv", rows), champion=champion)
    store = backend.need("monitors")
    assert preview(backend, store.get("old"), Keep(days=60 * DAY)).gone.days == 1
    carry_out(backend, store.get("old"), Keep(days=60 * DAY), WHO)
    assert all_windows(backend, "old")[0].start > 1_709_000_000_000
    assert all_windows(backend, "old", "far")[0].start > 1_709_000_000_000
    assert store.get("old").rows == 400
    assert store.get("old").windows == len(all_windows(backend, "old"))
    carry_out(backend, store.get("old"), Keep(days=None), WHO)
    assert sum(window.rows for window in all_windows(backend, "old")) == 200


def test_what_is_kept_beside_minutes_is_read_as_before_once_they_are_merged(
    backend: Backend, champion: Champion, tmp_path: Path
) -> None:
    from console.monitoring.read import Look, monitor_view
    from console.monitoring.rolled import level_name, roll_up

    watch(backend, "seen")
    ingest_batch(backend, "seen", write(tmp_path, "seen.csv", days()), champion=champion)
    store = backend.need("monitors")

    def seen() -> dict[str, list[tuple[int, int, int]]]:
        views = {by: monitor_view(backend, "seen", look=Look(stretch=by)) for by in ("hour", "day", "week", "all")}
        return {by: [(each.start, each.rows, each.labelled) for each in view.windows] for by, view in views.items()}

    before = seen()
    kept = len(store.windows("seen", segment=level_name("hour")))
    compact(backend, "seen", Keep(minutes=6 * HOUR, hours=30 * DAY))
    assert seen() == before
    assert len(store.windows("seen", segment=level_name("hour"))) < kept
    assert roll_up(backend, store.get("seen"), all_windows(backend, "seen")) == 5  # four days and a week: no hour
    assert seen() == before
    compact(backend, "seen")
    for by in ("day", "week", "all"):
        assert seen()[by] == before[by]
    assert sum(rows for _, rows, _ in seen()["hour"]) == 200
    assert len(store.windows("seen", segment=level_name("day"))) <= 2


def test_a_kill_while_it_lets_go_is_followed_by_a_pass_that_does_the_rest(
    backend: Backend, champion: Champion, tmp_path: Path
) -> None:
    watch(backend, "dies")
    ingest_batch(backend, "dies", write(tmp_path, "dies.csv", days()), champion=champion)
    store = backend.need("monitors")
    folder = monitor_folder(backend, "dies")
    keep = Keep(minutes=None, hours=None, days=None, scored=DAY, samples=DAY, ids=DAY)
    carry_out(backend, store.get("dies"), keep, WHO)
    aged(folder, days=2)
    files = list(folder.glob("*/*.parquet"))
    assert len(files) > 20
    at, finished = 1, False
    while not finished:
        with pytest.MonkeyPatch.context() as patched:
            moments = Moments(patched, at)
            unlink = Path.unlink

            def removed(path: Path, moments: Moments = moments, unlink: Any = unlink, **options: Any) -> None:
                moments.pass_by()
                unlink(path, **options)
                moments.pass_by()

            patched.setattr(Path, "unlink", removed)
            try:
                carry_out(backend, store.get("dies"), keep, WHO)
                finished = True
            except DiedError:
                at += 1
        assert sum(window.rows for window in all_windows(backend, "dies")) == 200
    assert at > 6
    assert list(folder.glob("*/*.parquet")) == []
    assert store.batches("dies") == frozenset()
