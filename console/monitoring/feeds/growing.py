"""Files that are appended to, read by offset: whole lines only, each row once, however the file is renamed or rotated.

What is known of a file (how far it is counted, what it begins and ends with) is written down with the chunk that was
counted, so that a reader that was killed goes on where the counts end. A file is known again by its inode, or under
another name by its content; one that was truncated or written anew is read from its beginning.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import os
import re
import time
from pathlib import Path
from typing import Any

import msgspec

from console.monitoring.feeds.chunk import BLOCK, Chunk, Progress, open_content, sha256_of

PLACE = "files.json"
SPOOL = "spool"
MOST = 32 << 20
"""Bytes that are counted at once."""
HEAD, TAIL = 4096, 64
"""Bytes by which a file is known again."""
CLOSED_S = 10.0
"""A last line without an end is taken as it is once nobody has written for so long."""
REMEMBERED = 2000
"""Files; of more, those that are gone are forgotten."""
KIND = re.compile(r"\.(jsonl|ndjson|csv|tsv)(\.\d+|[-.]\d{8}(-\d+)?)?(\.gz)?$", re.IGNORECASE)
"""Text that can be read by line, under the names that rotation gives it."""

log = logging.getLogger("scorer")


class Files:
    """Those of one monitor. The caller holds the lock of its folder only while it counts."""

    def __init__(self, folder: Path) -> None:
        """folder: the monitor's own."""
        self._folder = folder
        self._hashes: dict[str, tuple[int, Any]] = {}
        self._known: dict[str, Progress] = {}
        self._known_at: tuple[int, int] | None = None

    def _read_files(self) -> dict[str, Progress]:
        """As `read_files`, parsed again only when it changed."""
        try:
            status = (self._folder / PLACE).stat()
        except FileNotFoundError:
            return {}
        if self._known_at != (status.st_ino, status.st_mtime_ns):
            self._known = read_files(self._folder)
            self._known_at = (status.st_ino, status.st_mtime_ns)
        return self._known

    def take(self, path: Path, *, settled: bool) -> Chunk | None:
        """The next rows of a file that are not counted, or None. settled: nobody seems to be writing."""
        status = path.stat()
        key = f"{status.st_dev}:{status.st_ino}"
        found = KIND.search(path.name)
        known = self._read_files()
        entry = known.get(key)
        if found is None:
            return self._whole(path, status, entry)
        packed = bool(found.group(4))
        at_rest = (status.st_size, status.st_size, status.st_mtime_ns)
        if entry is not None and not packed and (entry.offset, entry.size, entry.modified_ns) == at_rest:
            return None
        if entry is not None and not self._goes_on(path, status, entry, packed):
            log.warning("%s was truncated or written anew: it is read from its beginning", path.name)
            entry = None
        if entry is not None and entry.refused and entry.size == status.st_size and entry.path == str(path.absolute()):
            return None
        copied = self._same(path, known, 0 if entry is None else entry.offset, None if packed else status.st_size)
        if copied is not None:
            entry = _seen(copied, path, status)
            if self._at_end(path, entry):
                chunk = _chunk(path, entry, entry.sha256, begin=0, content="")
                return msgspec.structs.replace(chunk, copied=True)
        begin = entry.offset if entry is not None else 0
        return self._read(path, status, found.group(1).lower(), begin, entry, settled)

    # ------------------------------------------------------------ knowing a file again

    def _goes_on(self, path: Path, status: os.stat_result, entry: Progress, packed: bool) -> bool:
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

    def _same(self, path: Path, known: dict[str, Progress], beyond: int, size: int | None) -> Progress | None:
        """The file under another name whose counted content this one begins with, the longest of them; or, shorter,
        is the beginning of. beyond: bytes of this one that are counted; size: those that it has, None where packed."""
        heads: dict[int, str] = {}
        for entry in sorted(known.values(), key=lambda each: -each.offset):
            if entry.offset <= beyond or not entry.head_bytes:
                continue
            if size is not None and entry.offset > size:
                if size > beyond and not entry.past and (found := self._beginning(path, entry, size)) is not None:
                    return found
                continue
            if entry.head_bytes not in heads:
                with open_content(path) as file:
                    heads[entry.head_bytes] = hashlib.sha256(file.read(entry.head_bytes)).hexdigest()
            if heads[entry.head_bytes] == entry.head and self._prefix(path, entry.offset) == entry.sha256:
                return entry
        return None

    def _beginning(self, path: Path, entry: Progress, size: int) -> Progress | None:
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
            digest = self._prefix(path, size)
            if not digest or self._prefix(other, size) != digest:
                return None
        except (OSError, EOFError):  # the other one is gone, or being packed
            return None
        begins = hashlib.sha256(head).hexdigest()
        return msgspec.structs.replace(
            entry, offset=size, sha256=digest, head_bytes=len(head), head=begins, tail=tail.hex()
        )

    def _prefix(self, path: Path, size: int) -> str:
        """sha256 of the first bytes, or empty where there are fewer."""
        found, left = hashlib.sha256(), size
        with open_content(path) as file:
            while left and (block := file.read(min(BLOCK, left))):
                found.update(block)
                left -= len(block)
        return "" if left else found.hexdigest()

    def _at_end(self, path: Path, entry: Progress) -> bool:
        with open_content(path) as file:
            file.seek(entry.offset)
            return not file.read(1)

    # ------------------------------------------------------------ reading on

    def _whole(self, path: Path, status: os.stat_result, entry: Progress | None) -> Chunk | None:
        if entry is not None and (entry.size, entry.modified_ns) == (status.st_size, status.st_mtime_ns):
            return None
        digest = sha256_of(path)
        progress = _progress(path, status, status.st_size, digest, b"", b"", "")
        return _chunk(path, progress, digest, begin=0, content=digest)

    def _read(
        self, path: Path, status: os.stat_result, kind: str, begin: int, entry: Progress | None, settled: bool
    ) -> Chunk | None:
        with open_content(path) as file:
            head = file.read(HEAD)
            file.seek(begin)
            data = file.read(MOST)
            final = len(data) < MOST
        header = entry.header if entry is not None and begin else _first_line(head, kind)
        stop = last_end(data, kind)
        rest = data[stop:]
        quiet = time.time() - status.st_mtime >= CLOSED_S
        # The last cell of a CSV may always be the beginning of a longer one: there nobody may be writing any more.
        ended = settled if kind in ("jsonl", "ndjson") else moved_in(status)
        if rest and final and (quiet or (ended and _looks_whole(rest, kind, header))):
            stop = len(data)
        if not stop and final:
            return self._whole(path, status, entry) if quiet and not status.st_size else None
        if not stop:  # a line longer than all that is read at once: nothing sane ends here
            stop = len(data)
        data = data[:stop]
        digest = self._digest(path, begin, data)
        fresh = _progress(path, status, begin + stop, digest, head, data[-TAIL:], header)
        suffix = ".jsonl" if kind in ("jsonl", "ndjson") else f".{kind}"
        spool = self._folder / SPOOL / f"{digest}{suffix}"
        spool.parent.mkdir(mode=0o700, exist_ok=True)
        whole = header.encode() + b"\n" + data if begin and header else data
        spool.write_bytes(whole)
        chunk = _chunk(spool, fresh, digest, begin=begin, content=hashlib.sha256(whole).hexdigest())
        # What was rotated or packed grows no more, and nobody mends it: a bad line costs only itself.
        turned = path.name.lower().endswith(".gz") or not path.name.lower().endswith(
            (".jsonl", ".ndjson", ".csv", ".tsv")
        )
        salvage = turned or begin > 0 or bool(entry is not None and entry.refused)
        also = (sha256_of(path),) if path.name.lower().endswith(".gz") and final and not begin else ()
        before = entry.sha256 if entry is not None and begin else ""
        return msgspec.structs.replace(
            chunk, spooled=True, salvage=salvage, name=path.name, also=also, supersedes=before
        )

    def _digest(self, path: Path, begin: int, data: bytes) -> str:
        """Of the content up to the end of data; that before `begin` is read again where it is not at hand."""
        kept = self._hashes.pop(str(path), None)
        if kept is not None and kept[0] == begin:
            running = kept[1]
        else:
            running, left = hashlib.sha256(), begin
            with open_content(path) as file:
                while left and (block := file.read(min(BLOCK, left))):
                    running.update(block)
                    left -= len(block)
        running.update(data)
        self._hashes[str(path)] = (begin + len(data), running)
        if len(self._hashes) > 100:
            self._hashes.pop(next(iter(self._hashes)))
        digest: str = running.hexdigest()
        return digest


def given_whole(chunk: Chunk) -> Chunk:
    """A file that a person hands in, with what is remembered of it: it is counted to its end, so that it, a copy of it
    or what grows from it is known again in a watched folder, however large it is."""
    path = Path(chunk.path)
    found = KIND.search(path.name)
    if found is None:
        return chunk
    try:
        with open_content(path) as file:
            head = file.read(HEAD)
            size = file.seek(0, os.SEEK_END) if chunk.also else path.stat().st_size
            file.seek(max(0, size - TAIL))
            tail = file.read(TAIL)
    except (OSError, EOFError):  # no gzip: reading its rows says so
        return chunk
    digest = chunk.also[0] if chunk.also else chunk.digest
    header = _first_line(head, found.group(1).lower())
    progress = _progress(path, path.stat(), size, digest, head, tail, header)
    return msgspec.structs.replace(chunk, progress=progress, given=True)


def clear_spool(folder: Path, *, but: str = "") -> None:
    """Remove copies that a process which died left behind. but: the one that is still to be counted."""
    for copy in (folder / SPOOL).glob("*"):
        if str(copy.absolute()) != but:
            copy.unlink(missing_ok=True)


def read_files(folder: Path) -> dict[str, Progress]:
    """What is known of the files of a monitor, by device and inode."""
    try:
        return msgspec.json.decode((folder / PLACE).read_bytes(), type=dict[str, Progress])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def remember(folder: Path, progress: Progress, *, begin: int, failed: bool) -> None:
    """Write down how far a file is counted. What failed at the beginning of a file is looked at again when it grows;
    what failed later is stepped over."""
    known = read_files(folder)
    if failed and not begin:
        progress = msgspec.structs.replace(progress, offset=0, sha256="", tail="", refused=True)
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


def _chunk(path: Path, progress: Progress, digest: str, *, begin: int, content: str) -> Chunk:
    return Chunk(
        path=str(path.absolute()),
        name=Path(progress.path).name,
        digest=digest,
        content=content,
        at=progress.modified_ns // 1_000_000,
        begin=begin,
        progress=progress,
    )


def _progress(
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


def _seen(entry: Progress, path: Path, status: os.stat_result) -> Progress:
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


def _first_line(head: bytes, kind: str) -> str:
    if kind not in ("csv", "tsv"):
        return ""
    return head.split(b"\n", 1)[0].decode("utf-8-sig", "replace").rstrip("\r")


def last_end(data: bytes, kind: str) -> int:
    """After the last line that is whole; a line end within quotes of a CSV is none."""
    at = data.rfind(b"\n")
    if kind in ("csv", "tsv"):
        quotes = data.count(b'"', 0, at + 1)
        while at >= 0 and quotes % 2:
            before = data.rfind(b"\n", 0, at)
            quotes -= data.count(b'"', before + 1, at + 1)
            at = before
    return at + 1


def moved_in(status: os.stat_result) -> bool:
    """Whether a file came under its name when it was written already.

    A write sets the times of content and of status alike; a rename sets only that of status, so a later status time
    means that nobody wrote last.
    """
    return status.st_size > 0 and status.st_ctime_ns - status.st_mtime_ns >= 1_000_000


def _looks_whole(line: bytes, kind: str, header: str) -> bool:
    """Whether a last line without its end can be taken for a row."""
    if kind in ("jsonl", "ndjson"):
        try:
            return isinstance(msgspec.json.decode(line), dict)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
    mark = "\t" if kind == "tsv" else ","
    fields = [len(row) for row in csv.reader(io.StringIO(line.decode("utf-8", "replace")), delimiter=mark)]
    names = len(next(csv.reader([header], delimiter=mark), []))
    return fields[-1:] == [names]
