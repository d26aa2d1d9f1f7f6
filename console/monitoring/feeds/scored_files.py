"""Which files of scored rows there are. A merged one says beside it what it replaces; what is replaced is read by
nobody, whether or not it is removed yet. Plain Python.

What a merged file replaces is on disk before the file has its name, and goes after it: the name is the moment at which
the one stands for the many.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from backends.entities import Record

SEGMENTS = "scored"
MERGED = "merged-"
"""Names of merged files begin with it; those of others with the sha256 of their chunk."""
PREFIX = 16
"""Hex digits by which a merged file remembers a chunk: its sha256 is of use to nobody else."""


class Replaced(Record, frozen=True):
    """What a merged file is made of."""

    files: dict[str, int] = msgspec.field(default_factory=dict)
    """Name → time of change in ns: what has the name and another time is another file."""
    chunks: tuple[str, ...] = ()
    """The first `PREFIX` digits of every chunk whose rows are in it."""


class ScoredFile(Record, frozen=True):
    """A file of scored rows that counts."""

    path: Path
    modified_ns: int
    """When the newest of its rows were written."""
    size: int

    @property
    def is_merged(self) -> bool:
        return self.path.name.startswith(MERGED)


def scored_files(folder: Path) -> list[ScoredFile]:
    """Those that count, the newest first. folder: the monitor's own. Who does not hold its lock may find that some are
    gone, and a merged one in their place."""
    return _parted(folder)[0]


def clear_replaced(folder: Path) -> None:
    """Remove what a merge that died left behind. The caller holds the lock of the folder."""
    for each in _parted(folder)[1]:
        each.path.unlink()
        beside(each.path).unlink(missing_ok=True)
    for path in (folder / SEGMENTS).glob(f"{MERGED}*.json"):
        if not path.with_suffix(".parquet").exists():
            path.unlink()


def chunks_in(folder: Path) -> set[str]:
    """The first `PREFIX` digits of every chunk that has scored rows."""
    found: set[str] = set()
    for each in scored_files(folder):
        found |= set(replaced_by(each.path).chunks) if each.is_merged else {each.path.name[:PREFIX]}
    return found


def replaced_by(path: Path) -> Replaced:
    """What a merged file is made of."""
    try:
        return msgspec.json.decode(beside(path).read_bytes(), type=Replaced)
    except FileNotFoundError:  # merged again meanwhile
        return Replaced()


def beside(path: Path) -> Path:
    """Where it stands what a merged file is made of."""
    return path.with_suffix(".json")


def _parted(folder: Path) -> tuple[list[ScoredFile], list[ScoredFile]]:
    """(those that count, those that are replaced), the newest first."""
    found = []
    try:
        entries = list(os.scandir(folder / SEGMENTS))
    except FileNotFoundError:
        return [], []
    for entry in entries:
        if entry.name.endswith(".parquet") and not entry.name.startswith("."):
            try:
                status = entry.stat()
            except FileNotFoundError:  # merged or let go meanwhile
                continue
            found.append(ScoredFile(Path(entry.path), status.st_mtime_ns, status.st_size))
    found.sort(key=lambda each: (each.modified_ns, each.path.name), reverse=True)
    gone = {item for each in found if each.is_merged for item in replaced_by(each.path).files.items()}
    counts: tuple[list[ScoredFile], list[ScoredFile]] = ([], [])
    for each in found:
        counts[(each.path.name, each.modified_ns) in gone].append(each)
    return counts
