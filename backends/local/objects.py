"""The object store: files by the sha256 of their content, written whole or not at all, never changed.

`objects/aa/bb…` is the file whose digest is `aabb…`. A file is written under `tmp/`, synced, made
read-only and renamed into place; its folder is synced too, so that a row which names the object never outlives it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from backends.contract import Invalid, Unreachable
from backends.local.database import file_trouble

_BLOCK: Final = 1 << 20


class Stored(NamedTuple):
    sha256: str
    bytes: int


class ObjectStore:
    """Files of a workspace by content."""

    def __init__(self, home: Path) -> None:
        self._objects = home / "objects"
        self._staging = home / "tmp"

    def put(self, file: Path) -> Stored:
        """Keep a copy of a regular file."""
        try:
            with _opened(file) as source:
                return self._keep(source)
        except OSError as error:
            raise file_trouble(error, f"keep a copy of {file}") from error

    def move_in(self, file: Path) -> Stored:
        """Keep a finished file and remove it from where it was; without a copy where both lie on one file system."""
        try:
            with _opened(file) as source:
                digest, size = _digest(source)
                os.fsync(source.fileno())
            if not self._settled(digest, size):
                try:
                    self._place(file, digest)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    with _opened(file) as source:
                        self._keep(source)
            file.unlink(missing_ok=True)
        except OSError as error:
            raise file_trouble(error, f"keep {file}") from error
        return Stored(digest, size)

    def path(self, sha256: str, size: int | None = None) -> Path:
        """Where the object lies; Unreachable if it is gone, or has another size than the one recorded."""
        found = self._path(sha256)
        if not found.is_file():
            raise Unreachable(f"object {sha256[:12]} is missing from {self._objects}. Restore it from a backup.")
        if size is not None and (there := found.stat().st_size) != size:
            raise Unreachable(
                f"object {sha256[:12]} in {self._objects} is damaged: it has {there:,} bytes, and {size:,} were kept. "
                "Restore it from a backup, or bring the same file again."
            )
        return found

    def verify(self, sha256: str) -> bool:
        """Whether the stored bytes still have this digest."""
        try:
            with _opened(self.path(sha256)) as source:
                return _digest(source)[0] == sha256
        except OSError as error:
            raise file_trouble(error, f"read object {sha256[:12]}") from error

    def has(self, sha256: str, size: int | None = None) -> bool:
        """Whether the object is there, and of this size where one is given."""
        found = self._path(sha256)
        return found.is_file() and size in (None, found.stat().st_size)

    def remove(self, sha256: str) -> int:
        """Bytes given back; none where it is gone. Whoever removes holds the database's write lock and has seen that no
        row names it: rows are written under the same lock, and look there whether their object is still there."""
        found = self._path(sha256)
        try:
            size = found.stat().st_size
            found.unlink()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise file_trouble(error, f"remove object {sha256[:12]}") from error
        return size

    def all(self) -> Iterator[tuple[str, Path]]:
        """Every object that is there: (sha256, file)."""
        if self._objects.is_dir():
            for folder in sorted(self._objects.iterdir()):
                for file in sorted(folder.iterdir()):
                    yield folder.name + file.name, file

    def _path(self, sha256: str) -> Path:
        return self._objects / sha256[:2] / sha256[2:]

    def _keep(self, source: BinaryIO) -> Stored:
        self._staging.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._staging / f"object-{os.getpid()}-{os.urandom(8).hex()}"
        try:
            with open(draft, "xb") as target:
                digest, size = _digest(source, target)
                target.flush()
                os.fsync(target.fileno())
            if not self._settled(digest, size):
                self._place(draft, digest)
        finally:
            draft.unlink(missing_ok=True)
        return Stored(digest, size)

    def _settled(self, digest: str, size: int) -> bool:
        """Whether the object is there whole. Its time is renewed, so that a clean-up sees it as just written."""
        found = self._path(digest)
        try:
            if found.stat().st_size != size:
                return False
            os.utime(found)
        except FileNotFoundError:
            return False
        return True

    def _place(self, draft: Path, digest: str) -> None:
        found = self._path(digest)
        found.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.chmod(0o400)
        os.utime(draft, (time.time(), time.time()))
        draft.replace(found)
        sync_folder(found.parent)
        sync_folder(self._objects)


def _opened(file: Path) -> BinaryIO:
    """A regular file for reading; links, pipes and devices are refused."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Invalid(f"a regular file is wanted, and {file} is a link; nothing was kept.", "file") from error
        if error.errno == errno.ENOENT:
            raise Invalid(f"a file is wanted at {file}, and there is none; nothing was kept.", "file") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Invalid(f"a regular file is wanted, and {file} is none; nothing was kept.", "file")
    return os.fdopen(handle, "rb")


def _digest(source: BinaryIO, target: BinaryIO | None = None) -> Stored:
    """sha256 and size of what is left of the source; written to the target on the way."""
    digest, size = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        digest.update(block)
        size += len(block)
        if target is not None:
            target.write(block)
    return Stored(digest.hexdigest(), size)


def sync_folder(folder: Path) -> None:
    """Make renames within the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
