"""The last answers of a server, kept so that its rows can be shown while it is away. Losing them loses nothing."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
import zlib
from pathlib import Path
from typing import Final

MOST: Final = 32 * 1024 * 1024
"""Bytes of compressed answers; the longest unused go first."""
_LARGEST: Final = 4 * 1024 * 1024


class Cache:
    """One SQLite file. A broken or unwritable one is no error: there is nothing to show then."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._size = 0

    def _open(self) -> sqlite3.Connection | None:
        if self._db is None and self._path is not None:
            try:
                self._db = self._made(self._path)
            except sqlite3.DatabaseError:
                try:
                    self._path.unlink(missing_ok=True)  # it is a copy: a broken one is made anew
                    self._db = self._made(self._path)
                except (sqlite3.Error, OSError):
                    self._path = None
            except OSError:
                self._path = None
        return self._db

    def _made(self, path: Path) -> sqlite3.Connection:
        path.touch(mode=0o600)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        db.execute(
            "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, at INTEGER NOT NULL, used INTEGER NOT NULL, "
            "size INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID"
        )
        self._size = db.execute("SELECT coalesce(sum(size), 0) FROM answers").fetchone()[0]
        return db

    @staticmethod
    def key(*parts: str) -> bytes:
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()

    def keep(self, key: bytes, body: bytes) -> None:
        packed = zlib.compress(body, 1)
        if len(packed) > _LARGEST:
            return
        with self._lock:
            db = self._open()
            if db is None:
                return
            at = time.time_ns() // 1_000_000
            try:
                old = db.execute("SELECT size FROM answers WHERE key = ?", (key,)).fetchone()
                db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", (key, at, at, len(packed), packed))
                self._size += len(packed) - (old[0] if old else 0)
                if self._size > MOST:
                    self._shrink(db)
            except sqlite3.Error:
                pass  # a full disk, another process: the answer is not kept, and nothing else is different

    def _shrink(self, db: sqlite3.Connection) -> None:
        for key, size in db.execute("SELECT key, size FROM answers ORDER BY used").fetchall():
            if self._size <= MOST * 3 // 4:
                break
            db.execute("DELETE FROM answers WHERE key = ?", (key,))
            self._size -= size

    def find(self, key: bytes) -> tuple[int, bytes] | None:
        """(milliseconds when it was true, the answer)."""
        with self._lock:
            db = self._open()
            if db is None:
                return None
            try:
                row = db.execute("SELECT at, body FROM answers WHERE key = ?", (key,)).fetchone()
                if row is None:
                    return None
                db.execute("UPDATE answers SET used = ? WHERE key = ?", (time.time_ns() // 1_000_000, key))
                return row[0], zlib.decompress(row[1])
            except (sqlite3.Error, zlib.error):
                return None

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
                self._path = None
