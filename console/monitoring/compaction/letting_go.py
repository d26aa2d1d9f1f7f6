"""What of a monitor goes for good, once nobody asks for it: old days, scored and sampled rows, ids of files.

Files have the age since they were written: labels that come late are late by that. A file goes whole. Every step may
be repeated, so that whoever is killed in between is followed by one that does the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from backends.contract import Backend, Mutation
from backends.entities import Millis, Monitor, Record
from console.monitoring.compaction.merging import clock_of
from console.monitoring.feeds.in_hand import read_in_hand
from console.monitoring.feeds.known_files import read_files
from console.monitoring.feeds.scored_files import PREFIX, SEGMENTS, beside, chunks_in, clear_replaced
from console.monitoring.folder import locked, monitor_folder
from console.retention.monitors import Keep

if TYPE_CHECKING:
    from backends.contract.monitoring import MonitorStore

SCORED, SAMPLES = SEGMENTS, "samples"
LEDGER = "ids.json"
"""Day → the ids that were first seen on it: the store does not know since when it has one."""
AT_ONCE = 200
"""Ids that go in one transaction."""


class LetGo(Record, frozen=True, kw_only=True):
    """What went, or would."""

    days: int = 0
    """Windows older than all that is kept of them."""
    scored: int = 0
    """Files of scored rows."""
    samples: int = 0
    """Files of sampled rows."""
    ids: int = 0
    bytes: int = 0
    """Of the files."""

    @property
    def any(self) -> bool:
        return bool(self.days or self.scored or self.samples or self.ids)


def would_go(backend: Backend, monitor: Monitor, keep: Keep) -> LetGo:
    """What `let_go` would do. Reads only."""
    store: MonitorStore = backend.need("monitors")
    folder = monitor_folder(backend, monitor.name)
    days = 0
    if keep.days is not None:
        until = clock_of(monitor) - keep.days
        days = sum(each.end <= until for each in store.windows(monitor.name, until=until, limit=100_000))
    old = {part: list(_old(folder / part, limit)) for part, limit in ((SCORED, keep.scored), (SAMPLES, keep.samples))}
    ids = _ids(store, monitor.name, folder, keep.ids)[0]
    size = sum(path.stat().st_size for files in old.values() for path in files)
    return LetGo(days=days, scored=len(old[SCORED]), samples=len(old[SAMPLES]), ids=len(ids), bytes=size)


def let_go(
    backend: Backend, monitor: Monitor, keep: Keep, mutation: Mutation, *, rest: Callable[[], object] = lambda: None
) -> LetGo:
    """Let go of what is older than is kept, with an entry in the journal where anything went. Nothing goes while a
    chunk is in hand: its next try needs what it has written."""
    store: MonitorStore = backend.need("monitors")
    folder = monitor_folder(backend, monitor.name)
    with locked(folder):
        if read_in_hand(folder) is not None:
            return LetGo()
        gone = LetGo()
        if keep.days is not None:
            days = store.forget_windows(monitor.name, until=clock_of(monitor) - keep.days, mutation=mutation)
            gone = msgspec.structs.replace(gone, days=days)
        clear_replaced(folder)
        for part, limit in ((SCORED, keep.scored), (SAMPLES, keep.samples)):
            files, size = _remove(folder / part, limit)
            gone = msgspec.structs.replace(gone, **{part: files}, bytes=gone.bytes + size)
    rest()
    gone = msgspec.structs.replace(gone, ids=_forget_ids(store, monitor.name, folder, keep.ids, rest))
    if gone.scored or gone.samples or gone.ids:
        before = {"scored": gone.scored, "samples": gone.samples, "ids": gone.ids, "bytes": gone.bytes}
        backend.need("journal").record("monitor.forget", monitor.name, mutation, before=before)
    return gone


def _old(folder: Path, limit: Millis | None) -> Iterator[Path]:
    """Files that were written longer ago."""
    if limit is None or not folder.is_dir():
        return
    before = time.time() - limit / 1000
    for path in sorted(folder.glob("*.parquet")):
        if path.stat().st_mtime < before:
            yield path


def _remove(folder: Path, limit: Millis | None) -> tuple[int, int]:
    """(files that went, their bytes)."""
    files = size = 0
    for path in _old(folder, limit):
        size += path.stat().st_size
        path.unlink()
        beside(path).unlink(missing_ok=True)
        files += 1
    return files, size


def _forget_ids(
    store: MonitorStore, monitor: str, folder: Path, limit: Millis | None, rest: Callable[[], object]
) -> int:
    gone = 0
    with locked(folder):
        if read_in_hand(folder) is not None:
            return 0
        going, ledger = _ids(store, monitor, folder, limit)
    for at in range(0, len(going), AT_ONCE):
        with locked(folder):
            if read_in_hand(folder) is not None:
                return gone
            gone += store.forget_batches(monitor, going[at : at + AT_ONCE])
        rest()
    _write_ledger(folder, ledger)
    return gone


def _ids(
    store: MonitorStore, monitor: str, folder: Path, limit: Millis | None
) -> tuple[list[str], dict[str, list[str]]]:
    """(what need not be known, since when the rest is known).

    A window's memory of a file is of use until the file is done, which is when the file itself is known.
    """
    known = store.batches(monitor)
    whole = {each for each in known if "@" not in each}
    going = [each for each in known if "@" in each and _file_of(each) in whole]
    ledger = _read_ledger(folder)
    seen = {each: day for day, ids in ledger.items() for each in ids}
    today = datetime.now(UTC).date()
    oldest = "" if limit is None else (today - timedelta(milliseconds=limit)).isoformat()
    # A file that was read or handed in since is known by how far it was counted; an older one by that alone.
    since = 0 if limit is None else int(time.time() * 1000) - limit
    in_use = {entry.sha256 for entry in read_files(folder).values() if entry.seen_at >= since}
    scored = chunks_in(folder)
    fresh: dict[str, list[str]] = {}
    for each in sorted(known.difference(going)):
        day = seen.get(each, today.isoformat())
        if day < oldest and each not in in_use and each[:PREFIX] not in scored:
            going.append(each)
        else:
            fresh.setdefault(day, []).append(each)
    return going, fresh


def _file_of(window: str) -> str:
    """Of a window's memory of a file, which may be of a part of it: the file's sha256."""
    return window.partition("@")[0][:64]


def _read_ledger(folder: Path) -> dict[str, list[str]]:
    try:
        return msgspec.json.decode((folder / LEDGER).read_bytes(), type=dict[str, list[str]])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def _write_ledger(folder: Path, ledger: dict[str, list[str]]) -> None:
    fresh = folder / f"{LEDGER}.tmp"
    fresh.write_bytes(msgspec.json.encode(dict(sorted(ledger.items()))))
    fresh.replace(folder / LEDGER)
