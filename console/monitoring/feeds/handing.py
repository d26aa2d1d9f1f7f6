"""Rows and labels handed over: written down where a scorer takes them, and said to be there only then. Light to
import."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from backends.contract import Backend, Invalid, Refused, Unreachable
from console.monitoring.feeds.chunk import Chunk, sha256_of
from console.monitoring.feeds.sources import INBOX, inbox_of

MOST_BYTES = 16 << 20
"""Of what is handed over at once."""
MOST_WAITING = 2 << 30
"""Bytes that may wait to be counted."""
REFUSED = 20


def hand_over(
    backend: Backend, monitor: str, data: bytes, *, suffix: str = ".jsonl", labels: bool = False, key: str = ""
) -> str:
    """Keep rows (or ids with labels) until they are counted; the name they are kept under.

    On disk when this returns, whatever happens next. key: what was handed over under the same key before counts no
    second time. Raises Invalid for too much at once, Unreachable where too much waits, OSError where the disk is full.
    """
    if backend.features.read_only:
        raise Refused(f"context {backend.name} is read-only: nothing was kept. Open it without --read-only.")
    if len(data) > MOST_BYTES:
        raise Invalid(f"{len(data)} bytes at once, and {MOST_BYTES} are taken: hand over less at a time", "rows")
    folder = inbox_of(backend, monitor)
    folder.mkdir(mode=0o700, exist_ok=True)
    waiting = sum(status.st_size for _, status in _there(folder))
    if waiting > MOST_WAITING:
        raise Unreachable(
            f"{waiting >> 20} MB wait to be counted for monitor {monitor}: nothing more is kept until some are; "
            "see whether the agent runs and the monitor is not paused"
        )
    whose = hashlib.sha256(f"{'labels' if labels else 'rows'} {key}".encode()).hexdigest() if key else uuid.uuid4().hex
    name = f"{whose}{'.labels' if labels else ''}{suffix}"
    path = folder / name
    if not path.exists():
        _write_durably(path, data)
    return name


def _write_durably(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            now = time.time_ns()
            os.utime(file.fileno(), ns=(now, now))  # finer than the system's own: it tells what came first
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def waiting_files(backend: Backend, monitor: str) -> list[Path]:
    """What was handed over and is not counted, as it came."""
    folder = inbox_of(backend, monitor)
    if not folder.is_dir():
        return []
    found = [(status.st_mtime_ns, path) for path, status in _there(folder) if not path.name.startswith(".")]
    return [path for _, path in sorted(found)]


def _there(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The files of a folder that others take from meanwhile."""
    for each in os.scandir(folder):
        with suppress(FileNotFoundError):
            yield Path(each.path), each.stat()


def handed_over(path: Path) -> Chunk:
    """What was handed over, as a chunk: known by its name, because the same rows may truly come twice."""
    return Chunk(
        path=str(path.absolute()),
        name=path.name,
        digest=handed_digest(path),
        content=sha256_of(path),
        at=int(path.stat().st_mtime * 1000),
        salvage=True,
        labels=".labels." in path.name,
    )


def handed_digest(path: Path) -> str:
    """By which what was handed over counts once."""
    return hashlib.sha256(f"{INBOX}/{path.name}".encode()).hexdigest()


def is_keyed(path: Path) -> bool:
    """Whether it was handed over under a key, by which it may come again."""
    return len(path.name.partition(".")[0]) > len(uuid.uuid4().hex)


def let_go(path: Path, *, failed: bool) -> None:
    """Remove what is counted; what could not be used is kept aside, the newest `REFUSED` of it."""
    if not failed:
        path.unlink(missing_ok=True)
        return
    aside = path.parent.parent / "refused"
    aside.mkdir(mode=0o700, exist_ok=True)
    path.replace(aside / path.name)
    for old in sorted(aside.iterdir(), key=lambda each: each.stat().st_mtime_ns)[:-REFUSED]:
        old.unlink(missing_ok=True)
