"""Which files a watch of a folder has taken, by their content, so that it goes on where it was after any end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from backends.contract import Backend, Invalid, Refused, Unsupported
from backends.entities import Millis, Record

SETTLED = ("taken", "known", "failed")


class Taken(Record, frozen=True, kw_only=True):
    """What became of one file."""

    at: Millis
    file: str
    """Its path below the folder."""
    state: str
    """`begun`, then `taken`, `known` (this content was taken before), `failed` (its content will not do) or `waiting`
    (it is to be tried again)."""
    sha256: str = ""
    """Of its content, and of what key=value folders say of it."""
    mark: tuple[int, int, int] = (0, 0, 0)
    """Inode, size and time of the file that this is about."""
    version: str = ""
    digest: str = ""
    rows: int = 0
    onto: str = ""
    """The version that it was to be appended to."""
    reason: str = ""


class TakenLog:
    """The record of one dataset's watch: JSON lines, each on the disk before the next step is made."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "taken.jsonl"
        self.by_content: dict[str, Taken] = {}
        self.by_file: dict[str, Taken] = {}
        for taken in self._read():
            self._keep(taken)

    def _read(self) -> Iterator[Taken]:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield msgspec.json.decode(line, type=Taken)
            except msgspec.MsgspecError:
                continue  # the last line of a write that was cut short

    def _keep(self, taken: Taken) -> None:
        self.by_file[taken.file] = taken
        if taken.state != "known":
            self.by_content[taken.sha256] = taken

    def add(self, taken: Taken) -> None:
        """Write it down, durably."""
        self._keep(taken)
        fresh = not self._path.exists()
        with self._path.open("ab") as file:
            # behind a line cut short, a line of its own
            file.write((b"" if fresh else b"\n") + msgspec.json.encode(taken) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def forget(self, unwanted: set[str]) -> None:
        """Let go of these contents, as if they had never been seen."""
        gone = {sha256 for sha256 in self.by_content if sha256 in unwanted}
        if not gone:
            return
        self.by_file = {file: taken for file, taken in self.by_file.items() if taken.sha256 not in gone}
        self.by_content = {sha256: taken for sha256, taken in self.by_content.items() if sha256 not in gone}
        fresh = self._path.with_suffix(".tmp")
        with fresh.open("wb") as file:
            for taken in {**self.by_content, **self.by_file}.values():
                file.write(msgspec.json.encode(taken) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


@contextmanager
def taken_log(backend: Backend, dataset: str) -> Iterator[TakenLog]:
    """The log of a dataset's watch, for one process at a time. Refused while another has it."""
    if backend.home is None:
        raise Unsupported(f"context {backend.name} has no workspace folder, where a watch keeps what it took")
    if not dataset or dataset in (".", ".."):
        raise Invalid(f"{dataset!r} cannot be a dataset's name", "name")
    folder = backend.home / "watches" / quote(dataset, safe="")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"another process watches a folder for dataset {dataset} already; end that one first."
            ) from None
        yield TakenLog(folder)
    finally:
        os.close(lock)
