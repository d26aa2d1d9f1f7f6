"""What is known of the files that were read: how far each is counted, and by what it is known under another name."""

from __future__ import annotations

import hashlib
import os
import time
from functools import lru_cache
from pathlib import Path

import msgspec

from console.monitoring.feeds.chunk import BLOCK, Progress, open_content
from console.monitoring.feeds.sifting import SAID
from console.wording import plural

PLACE = "files.json"
HEAD, TAIL = 4096, 64
"""Bytes by which a file is known again."""
REMEMBERED = 2000
"""Files; of more, those that are gone are forgotten."""


def read_files(folder: Path) -> dict[str, Progress]:
    """What is known of the files of a monitor, by device and inode."""
    try:
        return msgspec.json.decode((folder / PLACE).read_bytes(), type=dict[str, Progress])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def left_out_words(folder: Path) -> str:
    """Which lines are left out of the files that were read, and not mended: the first few, and how many."""
    try:
        status = (folder / PLACE).stat()
    except FileNotFoundError:
        return ""
    return _left_out_words(folder, status.st_ino, status.st_mtime_ns)


@lru_cache(8)
def _left_out_words(folder: Path, _inode: int, _modified_ns: int) -> str:
    """Asked at every look, and another only when the file is."""
    newest: dict[str, Progress] = {}
    for entry in sorted(read_files(folder).values(), key=lambda each: each.seen_at):
        newest[entry.path] = entry
    odd = [entry for entry in reversed(newest.values()) if entry.left]
    total = sum(entry.left for entry in odd)
    named = [
        f"{Path(entry.path).name} line {line.line} ({line.reason})" for entry in odd for line in entry.left_out[:SAID]
    ]
    more = f" and {total - len(named[:SAID])} more" if total > SAID else ""
    return f"{plural(total, 'line')}: {', '.join(named[:SAID])}{more}" if odd else ""


def remember(folder: Path, progress: Progress, *, begin: int, failed: bool, mended: bool = False) -> None:
    """Write down how far a file is counted. What failed at the beginning of a file is looked at again when it grows;
    what failed later is stepped over."""
    known = read_files(folder)
    if failed and not begin and not mended:
        progress = msgspec.structs.replace(
            progress, offset=0, sha256="", tail="", refused=True, lines=0, timed=False, left_out=(), left=0
        )
    key = f"{progress.device}:{progress.inode}"
    before = known.get(key)
    # Read on, it holds still what it held; else a copy of that may be met later.
    gone = before is not None and before.head_bytes and before.sha256 != progress.sha256 and begin != before.offset
    if before is not None and gone:
        known[f"{key}:{before.sha256}"] = msgspec.structs.replace(before, past=True)
    known[key] = progress
    if len(known) > REMEMBERED:
        oldest = sorted(known, key=lambda key: known[key].seen_at)[: len(known) - REMEMBERED // 2]
        for key in oldest:
            if known[key].past or not Path(known[key].path).exists():
                del known[key]
    fresh = folder / f"{PLACE}.tmp"
    fresh.write_bytes(msgspec.json.encode(known))
    fresh.replace(folder / PLACE)


def progress_of(
    path: Path, status: os.stat_result, offset: int, digest: str, head: bytes, tail: bytes, header: str
) -> Progress:
    begins = head[: min(len(head), offset)]
    return Progress(
        path=str(path.absolute()),
        device=status.st_dev,
        inode=status.st_ino,
        offset=offset,
        sha256=digest,
        head_bytes=len(begins),
        head=hashlib.sha256(begins).hexdigest(),
        tail=tail.hex(),
        header=header,
        modified_ns=status.st_mtime_ns,
        size=status.st_size,
        seen_at=int(time.time() * 1000),
    )


def seen_as(entry: Progress, path: Path, status: os.stat_result) -> Progress:
    """The same content under another name."""
    return msgspec.structs.replace(
        entry,
        path=str(path.absolute()),
        device=status.st_dev,
        inode=status.st_ino,
        modified_ns=status.st_mtime_ns,
        size=status.st_size,
        seen_at=int(time.time() * 1000),
    )


def goes_on(path: Path, status: os.stat_result, entry: Progress, packed: bool) -> bool:
    """Whether the file still has what was counted of it."""
    if packed:
        return entry.size == status.st_size and entry.modified_ns == status.st_mtime_ns
    if status.st_size < entry.offset:
        return False
    with path.open("rb") as file:
        if hashlib.sha256(file.read(entry.head_bytes)).hexdigest() != entry.head:
            return False
        tail = bytes.fromhex(entry.tail)
        file.seek(max(0, entry.offset - len(tail)))
        return file.read(len(tail)) == tail


def same_content(path: Path, known: dict[str, Progress], beyond: int, size: int | None) -> Progress | None:
    """The file under another name whose counted content this one begins with, the longest of them; or, shorter,
    is the beginning of. beyond: bytes of this one that are counted; size: those that it has, None where packed."""
    heads: dict[int, str] = {}
    for entry in sorted(known.values(), key=lambda each: -each.offset):
        if entry.offset <= beyond or not entry.head_bytes:
            continue
        if size is not None and entry.offset > size:
            if size > beyond and not entry.past and (found := _beginning(path, entry, size)) is not None:
                return found
            continue
        if entry.head_bytes not in heads:
            with open_content(path) as file:
                heads[entry.head_bytes] = hashlib.sha256(file.read(entry.head_bytes)).hexdigest()
        if heads[entry.head_bytes] == entry.head and _prefix(path, entry.offset) == entry.sha256:
            return entry
    return None


def _beginning(path: Path, entry: Progress, size: int) -> Progress | None:
    """What is counted of this file, where all of it is the beginning of another one that is counted further."""
    other = Path(entry.path)
    if other == path:
        return None
    try:
        with path.open("rb") as file, open_content(other) as whole:
            head = file.read(min(HEAD, size))
            if whole.read(len(head)) != head:
                return None
            file.seek(max(0, size - TAIL))
            tail = file.read(TAIL)
        digest = _prefix(path, size)
        if not digest or _prefix(other, size) != digest:
            return None
    except (OSError, EOFError):  # the other one is gone, or being packed
        return None
    begins = hashlib.sha256(head).hexdigest()
    return msgspec.structs.replace(
        entry, offset=size, sha256=digest, head_bytes=len(head), head=begins, tail=tail.hex(), lines=0, left_out=(),
        left=0,
    )  # fmt: skip


def _prefix(path: Path, size: int) -> str:
    """sha256 of the first bytes, or empty where there are fewer."""
    found, left = hashlib.sha256(), size
    with open_content(path) as file:
        while left and (block := file.read(min(BLOCK, left))):
            found.update(block)
            left -= len(block)
    return "" if left else found.hexdigest()
