"""What a sidecar remembers beside a repository: results by key, and which change is which entry of its journal."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backends.contract import Conflict, Mutation
from backends.one_at_a_time import one_at_a_time

KEYS: Final = 100_000
"""Results that are remembered; the oldest go first."""
ALONE_S: Final = 120.0


class State:
    """`gto.db` of a sidecar."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._alone = path.with_suffix(".lock")
        self._alone.touch(mode=0o600)
        self.holding: int | None = None
        """While `alone`: what keeps it so for whoever has it open, as a git that outlives us."""
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=20.0)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._entries: dict[str, str] = {}
        for statement in (
            "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, verb TEXT NOT NULL, result TEXT NOT NULL, "
            "at INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS intents (change TEXT PRIMARY KEY, refs TEXT NOT NULL)",
            "CREATE TABLE IF NOT EXISTS facts (fact TEXT PRIMARY KEY)",
            "CREATE TABLE IF NOT EXISTS chains (model TEXT PRIMARY KEY, newest TEXT NOT NULL)",
            "CREATE TABLE IF NOT EXISTS entries (change TEXT PRIMARY KEY, entry TEXT NOT NULL)",
        ):
            self._db.execute(statement)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def alone(self, wait: float = ALONE_S) -> Iterator[None]:
        """One at a time, of all processes of this machine that share the sidecar. Conflict where somebody else is
        still at it after `wait` seconds."""
        refusal = (
            "another console of this machine is changing a model and waits for git; nothing was changed. Look again in "
            "a moment, and repeat."
        )
        with one_at_a_time(self._alone, wait=wait, refusal=refusal) as held:
            self.holding = held
            try:
                yield
            finally:
                self.holding = None

    # ------------------------------------------------------------ results by key

    def made_before(self, verb: str, mutation: Mutation) -> str | None:
        if not mutation.key:
            return None
        with self._lock:
            row = self._db.execute("SELECT verb, result FROM results WHERE key = ?", (mutation.key,)).fetchone()
        if row is None:
            return None
        if row[0] != verb:
            raise used(mutation.key, row[0], verb)
        result: str = row[1]
        return result

    def note(self, verb: str, mutation: Mutation, result: str = "") -> None:
        if not mutation.key:
            return
        at = time.time_ns() // 1_000_000
        with self._lock:
            self._db.execute("INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?)", (mutation.key, verb, result, at))
            self._db.execute(
                "DELETE FROM results WHERE at < (SELECT at FROM results ORDER BY at DESC LIMIT 1 OFFSET ?)", (KEYS,)
            )

    # ------------------------------------------------------------ what is being done

    def intend(self, change: str, refs: str) -> None:
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO intents VALUES (?, ?)", (change, refs))

    def intended(self, change: str) -> None:
        """It was done, or was not, and nothing of it is left half done."""
        with self._lock:
            self._db.execute("DELETE FROM intents WHERE change = ?", (change,))

    def intents(self) -> list[tuple[str, str]]:
        with self._lock:
            return list(self._db.execute("SELECT change, refs FROM intents").fetchall())

    def learn(self, fact: str) -> bool:
        """Whether it is new."""
        with self._lock:
            return self._db.execute("INSERT OR IGNORE INTO facts VALUES (?)", (fact,)).rowcount == 1

    # ------------------------------------------------------------ entries of the journal

    def entry(self, change: str) -> str:
        """Id of the journal's entry of a change, or empty while it has none."""
        known = self._entries.get(change)
        if known is None:
            with self._lock:
                row = self._db.execute("SELECT entry FROM entries WHERE change = ?", (change,)).fetchone()
            if row is None:
                return ""
            known = self._entries[change] = str(row[0])
        return known

    def journaled(self, entries: Mapping[str, str]) -> None:
        """Change → id of its entry."""
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", entries.items())
            self._db.execute("COMMIT")

    def passed(self, changes: Iterable[str]) -> None:
        """Changes that get no entry of their own: they were made long before this sidecar was."""
        self.journaled(dict.fromkeys(changes, ""))

    def chains(self) -> dict[str, str]:
        """Model → the commit up to which its chain is in the journal."""
        with self._lock:
            return dict(self._db.execute("SELECT model, newest FROM chains").fetchall())

    def follow(self, chains: Mapping[str, str]) -> None:
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO chains VALUES (?, ?)", chains.items())
            self._db.execute("COMMIT")

    def known(self) -> set[str]:
        with self._lock:
            return {row[0] for row in self._db.execute("SELECT change FROM entries")}


def used(key: str, before: str, verb: str) -> Conflict:
    return Conflict(
        f"the idempotency key {key} was used for {before} before and cannot serve {verb}; nothing was changed. Use a "
        "new key."
    )
