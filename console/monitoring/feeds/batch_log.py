"""What became of each file that a monitor read: a log in its folder."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from backends.entities import Millis, Record

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
    left_out: int = 0
    """Lines that are no rows: `reason` names the first of them."""
    windows: int = 0
    version: str = ""
    seconds: float = 0.0
    reason: str = ""
    """Why it failed, or what was odd about it; empty when nothing was."""
    first: Millis | None = None
    last: Millis | None = None
    """Start of the first and of the last window that it reached."""


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
