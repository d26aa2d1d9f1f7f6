"""Files that are appended to, read by offset: whole lines only, each row once, however the file is renamed or rotated.

What is known of a file (how far it is counted, what it begins and ends with) is written down with the chunk that was
counted, so that a reader that was killed goes on where the counts end. A file is known again by its inode, or under
another name by its content; one that was truncated or written anew is read from its beginning.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from pathlib import Path
from typing import Any

import msgspec

from console.monitoring.feeds.chunk import BLOCK, Chunk, Progress, open_content, sha256_of
from console.monitoring.feeds.known_files import (
    HEAD,
    PLACE,
    TAIL,
    goes_on,
    progress_of,
    read_files,
    same_content,
    seen_as,
)
from console.monitoring.feeds.mended import Mend, Stretches, is_touched, mend_of
from console.monitoring.feeds.sifting import JSON_LINES, Line, Sifted, fields_of, is_row, json_row, said_of, sift
from console.monitoring.feeds.writing import is_held_open, is_quiet, moved_in
from console.wording import plural

SPOOL = "spool"
MOST = 32 << 20
"""Bytes that are counted at once."""
ASKED_S = 5.0
"""Whether somebody holds a file open is looked at again after so long."""
KIND = re.compile(r"\.(jsonl|ndjson|csv|tsv)(\.\d+|[-.]\d{8}(-\d+)?)?(\.gz)?$", re.IGNORECASE)
"""Text that can be read by line, under the names that rotation gives it."""

log = logging.getLogger("scorer")


class Files:
    """Those of one monitor. The caller holds the lock of its folder only while it counts."""

    def __init__(self, folder: Path) -> None:
        """folder: the monitor's own."""
        self._folder = folder
        self.time_column = ""
        """Whose values are times, where rows have it."""
        self.held: set[str] = set()
        """Paths of files whose last line waits for somebody who holds them open."""
        self._asked: dict[str, float] = {}
        self._stretches: dict[str, Stretches] = {}
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
        said = ""
        same = entry is not None and goes_on(path, status, entry, packed)
        before = _last_known(path, entry, known)
        if before is not None and before.left_out and not packed:
            untouched = before is entry and same and not is_touched(path, before)
            mend = None if untouched else mend_of(path, before)
            if mend is not None:
                return self._mended(path, status, found.group(1).lower(), before, mend)
        if entry is not None and not same:
            said = f"{path.name} was truncated or written anew: it is read from its beginning."
            entry = None
        if entry is not None and entry.refused and entry.size == status.st_size and entry.path == str(path.absolute()):
            return None
        copied = same_content(path, known, 0 if entry is None else entry.offset, None if packed else status.st_size)
        if copied is not None:
            entry = seen_as(copied, path, status)
            if self._at_end(path, entry):
                chunk = _chunk(path, entry, entry.sha256, begin=0, content="")
                return msgspec.structs.replace(chunk, copied=True)
        begin = entry.offset if entry is not None else 0
        return self._read(path, status, found.group(1).lower(), begin, entry, settled, said)

    def _at_end(self, path: Path, entry: Progress) -> bool:
        with open_content(path) as file:
            file.seek(entry.offset)
            return not file.read(1)

    # ------------------------------------------------------------ reading on

    def _whole(self, path: Path, status: os.stat_result, entry: Progress | None) -> Chunk | None:
        if entry is not None and (entry.size, entry.modified_ns) == (status.st_size, status.st_mtime_ns):
            return None
        digest = sha256_of(path)
        progress = progress_of(path, status, status.st_size, digest, b"", b"", "")
        return _chunk(path, progress, digest, begin=0, content=digest)

    def _read(
        self,
        path: Path,
        status: os.stat_result,
        kind: str,
        begin: int,
        entry: Progress | None,
        settled: bool,
        said: str,
    ) -> Chunk | None:
        with open_content(path) as file:
            head = file.read(HEAD)
            file.seek(begin)
            data = file.read(MOST)
            final = len(data) < MOST
        header = entry.header if entry is not None and begin else _first_line(head, kind)
        # What was rotated or packed grows no more: how it ends, it stays.
        turned = path.name.lower().endswith(".gz") or not path.name.lower().endswith(
            (".jsonl", ".ndjson", ".csv", ".tsv")
        )
        stop = data.rfind(b"\n") + 1
        if (
            final
            and stop < len(data)
            and self._is_ended(path, status, kind, header, data, begin, stop, settled, turned)
        ):
            stop = len(data)
        if not stop and final:
            return self._whole(path, status, entry) if is_quiet(status) and not status.st_size else None
        if not stop:  # a line longer than all that is read at once: nothing sane ends here
            stop = len(data)
        first = (data.find(b"\n") + 1 or len(data)) if header and not begin else 0
        lines = _lines_before(path, begin, entry)
        sifted = self._sift(
            path, status, kind, header, data[first:stop], begin + first, lines + (first > 0), entry, final
        )
        bad = sifted.bad if sifted.good or begin else []  # else it is another kind of file, and refused as a whole
        if sifted.good or bad:
            stop = sifted.stop - begin
        elif begin or (sifted.stop == first and final and not self._is_closed(path, status)):
            return None  # nothing but line ends, an open quote or the header: rows may still come
        rows = sifted.rows_of(data[first:stop], begin + first) if bad else data[first:stop]
        data = data[:stop]
        digest = self._digest(path, begin, data)
        fresh = progress_of(path, status, begin + stop, digest, head, data[-TAIL:], header)
        kept = self._stretches.pop(str(path), None)
        stretches = kept if kept is not None and entry is not None and kept.ends(entry) else Stretches(entry)
        if bad or stretches.left_out:
            with open_content(path) as file:
                fresh = stretches.noted(fresh, file, bad)
            self._stretches[str(path)] = stretches
        fresh = msgspec.structs.replace(fresh, lines=lines + data.count(b"\n"), timed=sifted.timed)
        chunk = self._spooled(
            kind,
            fresh,
            (header.encode() + b"\n" if header else b"") + rows if begin else data[:first] + rows,
            digest,
            begin,
        )
        also = (sha256_of(path),) if path.name.lower().endswith(".gz") and final and not begin else ()
        return msgspec.structs.replace(
            chunk,
            salvage=turned or begin > 0 or bool(bad) or bool(entry is not None and entry.refused),
            also=also,
            supersedes=entry.sha256 if entry is not None and begin else "",
            said=" ".join(text for text in (said, said_of(bad, path.name, fresh.left)) if text),
            left_out=len(bad),
            bare=bool(bad) and not sifted.good,
        )

    def _spooled(self, kind: str, progress: Progress, content: bytes, digest: str, begin: int) -> Chunk:
        spool = self._folder / SPOOL / f"{digest}{'.jsonl' if kind in JSON_LINES else f'.{kind}'}"
        spool.parent.mkdir(mode=0o700, exist_ok=True)
        spool.write_bytes(content)
        chunk = _chunk(spool, progress, digest, begin=begin, content=hashlib.sha256(content).hexdigest())
        return msgspec.structs.replace(chunk, spooled=True, name=Path(progress.path).name)

    def _sift(
        self,
        path: Path,
        status: os.stat_result,
        kind: str,
        header: str,
        data: bytes,
        at: int,
        lines: int,
        entry: Progress | None,
        final: bool,
    ) -> Sifted:
        """The rows and the other lines of data, which begins at `at` behind so many lines."""
        timed = entry is not None and entry.timed
        found = sift(data, kind, header, at=at, number=lines + 1, time_column=self.time_column, timed=timed)
        if found.stop < at + len(data) and final and self._is_closed(path, status):
            found = sift(
                data, kind, header, at=at, number=lines + 1, closed=True, time_column=self.time_column, timed=timed
            )
        return found

    def _mended(self, path: Path, status: os.stat_result, kind: str, entry: Progress, mend: Mend) -> Chunk:
        """What stands where lines were left out; all else up to there is counted."""
        running, rows, good, lines = hashlib.sha256(), b"", 0, 0
        bad: list[Line] = []
        with path.open("rb") as file:
            head = file.read(HEAD)
            file.seek(0)
            for begin, end in (*mend.gaps, (mend.offset, mend.offset)):
                while (left := begin - file.tell()) > 0:
                    block = file.read(min(BLOCK, left))
                    running.update(block)
                    lines += block.count(b"\n")
                data = file.read(end - begin)
                running.update(data)
                found = sift(
                    data, kind, entry.header, at=begin, number=lines + 1, closed=True, time_column=self.time_column,
                    timed=entry.timed,
                )  # fmt: skip
                rows, bad, good = rows + found.rows_of(data, begin), bad + found.bad, good + len(found.good)
                lines += data.count(b"\n")
            digest = running.hexdigest()
            file.seek(max(0, mend.offset - TAIL))
            fresh = progress_of(
                path, status, mend.offset, digest, head, file.read(min(TAIL, mend.offset)), entry.header
            )
            stretches = Stretches()
            stretches.left = entry.left - len(entry.left_out)
            fresh = stretches.noted(msgspec.structs.replace(fresh, lines=lines, timed=entry.timed), file, bad)
        self._hashes[str(path)] = (mend.offset, running)
        begin = mend.gaps[0][0] if mend.gaps else mend.offset
        header = entry.header.encode() + b"\n" if entry.header else b""
        chunk = self._spooled(kind, fresh, header + rows, digest, begin)
        said = (
            f"{path.name} was mended: {plural(good, 'line')} in place of those left out {'is' if good == 1 else 'are'} "
            f"counted now, {plural(fresh.left, 'line') if fresh.left else 'none'} still left out."
        )
        return msgspec.structs.replace(chunk, salvage=True, mended=True, said=said, left_out=len(bad), bare=not good)

    def _is_ended(
        self,
        path: Path,
        status: os.stat_result,
        kind: str,
        header: str,
        data: bytes,
        begin: int,
        stop: int,
        settled: bool,
        turned: bool,
    ) -> bool:
        """Whether what is behind the last line end is a line, or may be the beginning of one."""
        rest = data[stop:]
        alone = not stop and not begin  # it is refused and looked at again when it grows
        if kind in JSON_LINES and json_row(rest) is not None:
            return settled or is_quiet(status)
        # The last cell of a CSV may always be the beginning of a longer one: there nobody may be writing any more.
        mark = "\t" if kind == "tsv" else ","
        whole = kind not in JSON_LINES and is_row(rest, mark, len(fields_of(header, mark)))
        return (whole or turned or alone) and self._is_closed(path, status)

    def _is_closed(self, path: Path, status: os.stat_result) -> bool:
        """Whether nobody writes to a file any more, as far as that can be told."""
        if not (moved_in(status) or is_quiet(status)):
            return False
        name = str(path)
        if name not in self.held or time.monotonic() - self._asked.get(name, 0.0) >= ASKED_S:
            self._asked[name] = time.monotonic()
            (self.held.add if is_held_open(path) else self.held.discard)(name)
        return name not in self.held

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
    progress = progress_of(path, path.stat(), size, digest, head, tail, header)
    return msgspec.structs.replace(chunk, progress=progress, given=True)


def clear_spool(folder: Path, *, but: str = "") -> None:
    """Remove copies that a process which died left behind. but: the one that is still to be counted."""
    for copy in (folder / SPOOL).glob("*"):
        if str(copy.absolute()) != but:
            copy.unlink(missing_ok=True)


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


def _last_known(path: Path, entry: Progress | None, known: dict[str, Progress]) -> Progress | None:
    """The newest that is known of a file, or of one that had its name: many editors write another in its place, and
    the system gives inodes again."""
    own = [each for each in known.values() if each is entry or each.path == str(path.absolute())]
    return max(own, key=lambda each: each.seen_at, default=None)


def _lines_before(path: Path, begin: int, entry: Progress | None) -> int:
    """Line ends up to an offset."""
    if entry is not None and begin and entry.lines:
        return entry.lines
    found, left = 0, begin
    with open_content(path) as file:
        while left and (block := file.read(min(BLOCK, left))):
            found += block.count(b"\n")
            left -= len(block)
    return found
