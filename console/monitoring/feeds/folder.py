"""What a monitor keeps beside its windows: a folder of its own with the scored predictions, the batch log and a
lock."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from backends.contract import Backend, Invalid, Unsupported
from backends.entities import Millis, Record

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LOG_BYTES = 1 << 20


class BatchRecord(Record, frozen=True):
    """What became of one file."""

    at: Millis
    file: str
    """Name without its folder."""
    sha256: str
    state: str
    """`stored`, `labels`, `failed` or `duplicate`."""
    rows: int = 0
    scored: int = 0
    labelled: int = 0
    windows: int = 0
    version: str = ""
    seconds: float = 0.0
    reason: str = ""
    """Why it failed, or what was odd about it; empty when nothing was."""
    first: Millis | None = None
    last: Millis | None = None
    """Start of the first and of the last window that it reached."""


def check_name(name: str) -> str:
    """The name, if it can be a monitor's: it becomes a folder."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"monitor name {name!r}: use letters, digits, '.', '_' and '-', first a letter or digit, at most 100",
            "name",
        )
    return name


def monitor_folder(backend: Backend, name: str) -> Path:
    """The monitor's folder in the workspace, made if it is not there."""
    if backend.home is None:
        raise Unsupported(f"context {backend.name} has no workspace folder, where a monitor keeps its predictions")
    if name in (".", ".."):
        raise Invalid(f"{name!r} cannot be a monitor's name, because it names a folder of the workspace itself", "name")
    # Quoted as the agent does, so that no name leads out of the workspace.
    folder = backend.home / "monitors" / quote(name, safe="")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process at a time changes a monitor's counts: each change reads a window and writes it back."""
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def log_batch(folder: Path, record: BatchRecord) -> None:
    """Append to the batch log; past 1 MB its older half is let go."""
    path = folder / "batches.jsonl"
    with path.open("ab") as file:
        file.write(msgspec.json.encode(record) + b"\n")
        size = file.tell()
    if size > LOG_BYTES:
        lines = path.read_bytes().splitlines(keepends=True)
        fresh = path.with_suffix(".tmp")
        fresh.write_bytes(b"".join(lines[len(lines) // 2 :]))
        fresh.replace(path)


def recent_batches(folder: Path, limit: int = 100) -> list[BatchRecord]:
    """The newest records of the batch log, newest first. A line cut short by a crash is stepped over."""
    path = folder / "batches.jsonl"
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        start = max(0, file.tell() - limit * 1024)
        file.seek(start)
        lines = file.read().splitlines()
    if start:
        lines = lines[1:]
    found = []
    for line in reversed(lines):
        try:
            found.append(msgspec.json.decode(line, type=BatchRecord))
        except msgspec.DecodeError:
            continue
    return found[:limit]
