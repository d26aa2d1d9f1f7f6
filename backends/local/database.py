"""Connections to `console.db`: one a thread, short transactions, errors in the contract's words."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backends.contract import BackendError, Invalid, NotFound, Refused, Unreachable
from backends.entities import Millis
from backends.local import schema

ROOM: Final = 131_072
"""Bytes that SQLite's smallest index of a WAL and some pages of it take."""

BUSY_S: Final = 10.0
"""How long a call waits for another process's write."""


def now() -> Millis:
    """The time, as the store keeps it."""
    return time.time_ns() // 1_000_000


class _Handle:
    """Closes a connection with the thread that used it; by itself it would wait for the garbage collector."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class Database:
    """The workspace's SQLite file. Safe to use from any thread."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self._threads = threading.local()
        self._open: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._guard = threading.Lock()
        self._watching = threading.Lock()
        self._closed = False
        self._watcher: _Handle | None = None
        if not path.exists():
            if not create:
                raise NotFound(
                    f"there is no workspace in {path.parent} (no {path.name}); name another, or make one first."
                )
            self._make()
        with self._spoken():
            schema.check(self.connection(), path)

    def _make(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._spoken():
                schema.create(self.path, self.path.parent / "tmp")
        except OSError as error:
            raise file_trouble(error, f"make a workspace in {self.path.parent}") from error

    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit."""
        found: _Handle | None = getattr(self._threads, "handle", None)
        if found is None:
            found = self._threads.handle = self._connect()
        return found.connection

    def _connect(self) -> _Handle:
        if self._closed:
            raise Unreachable(f"the store {self.path} is closed; open it again.")
        mode = "ro&immutable=1" if _cannot_change(self.path) else "rw"
        made = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        made.execute("PRAGMA synchronous = NORMAL")
        made.execute("PRAGMA temp_store = MEMORY")
        # Every thread has a connection, and the system keeps the file in memory anyway.
        made.execute("PRAGMA cache_size = -2000")
        handle = _Handle(made)
        with self._guard:
            self._open.add(handle)
        return handle

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One snapshot for several reads."""
        with self._spoken():
            connection = self.connection()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction, all or nothing. `durable` waits for the disk: what a person decided survives a power cut."""
        with self._spoken():
            connection = self.connection()
            if durable:
                connection.execute("PRAGMA synchronous = FULL")
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            finally:
                if durable:
                    connection.execute("PRAGMA synchronous = NORMAL")

    def changed(self) -> object:
        """Differs when any process or thread has committed since; costs microseconds."""
        with self._spoken(), self._guard_watcher() as watcher:
            return watcher.execute("PRAGMA data_version").fetchone()[0]

    @contextmanager
    def _guard_watcher(self) -> Iterator[sqlite3.Connection]:
        # A connection of its own that never writes: only then does data_version tell of this process's commits too.
        with self._watching:
            if self._watcher is None:
                self._watcher = self._connect()
            yield self._watcher.connection

    def shrink(self) -> None:
        """Give unused pages back to the disk and renew what the query planner knows. Takes the write lock for long."""
        from sqlite_utils import Database as Admin  # 0.2 s: admin work

        with self._spoken():
            admin = Admin(self.connection())
            admin.execute("INSERT INTO run_search (run_search) VALUES ('optimize')")
            admin.vacuum()
            admin.analyze()
            admin.execute("PRAGMA wal_checkpoint (TRUNCATE)")

    def close(self) -> None:
        """Close every thread's connection."""
        with self._guard:
            self._closed = True
            for handle in list(self._open):
                handle.connection.close()
            self._watcher = None
        self._threads = threading.local()

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        try:
            yield
        except BackendError:
            raise
        except sqlite3.Error as error:
            raise trouble(error, self.path) from error
        except UnicodeEncodeError as error:
            raise Invalid(
                f"text for the store must be valid Unicode, and {error.object[:40]!a} holds a lone surrogate; "
                "nothing was changed. Give it as UTF-8."
            ) from error


def _cannot_change(path: Path) -> bool:
    """Whether the store lies at rest on a file system that is mounted read-only: an archive, a snapshot, a medium.

    There SQLite cannot make the files that a WAL needs beside the store, and must be told that it needs none.
    """
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY) and not path.with_name(f"{path.name}-wal").exists()
    except OSError:
        return False


def trouble(error: sqlite3.Error, path: Path) -> BackendError:
    """A SQLite error in the contract's words."""
    text = str(error)
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unreachable(
            f"the store {path} is held by another process for over {BUSY_S:.0f} s; nothing was changed. Try again.",
            retry_at=now() + 1000,
        )
    if code.startswith("SQLITE_FULL") or (code.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _full(path)):
        return Unreachable(f"no space left for the store {path}; nothing was changed. Free some space and try again.")
    if code.startswith("SQLITE_READONLY"):
        return Refused(
            f"the store {path} is read-only to this user; nothing was changed. Check the owner and the mode."
        )
    if code.startswith("SQLITE_CANTOPEN"):
        return Unreachable(f"the store {path} cannot be opened ({text}). Check that it exists and who may write it.")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Unreachable(
            f"the store {path} is damaged ({text}). Run `mlops-console doctor`, and restore a backup if it says so."
        )
    if code.startswith("SQLITE_IOERR"):
        return Unreachable(
            f"the disk under the store {path} gave an error ({text}); nothing was changed. Check the disk."
        )
    if code.startswith("SQLITE_TOOBIG"):
        return Invalid("a value is larger than the store takes (1 GB); nothing was changed.")
    return BackendError(
        f"the store {path} refused a statement: {text}. Nothing was changed; this is a fault in the program."
    )


def _full(path: Path) -> bool:
    """Whether the disk has no room for what SQLite keeps beside the store: it then speaks of an I/O error."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM or (disk.f_files > 0 and disk.f_favail == 0)


def file_trouble(error: OSError, wanted: str) -> BackendError:
    """An error of the file system in the contract's words; `wanted` continues "could not"."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unreachable(f"could not {wanted}: no space left on the disk. Free some space and try again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Refused(f"could not {wanted}: this user may not write there ({error.strerror}). Check owner and mode.")
    return Unreachable(f"could not {wanted}: {error.strerror or error}.")
