"""What the client remembers beside a server that does not: results by key, aliases as last seen, their moves."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Conflict, Mutation
from backends.entities import AliasMove, Millis
from backends.one_at_a_time import one_at_a_time

KEYS: Final = 100_000
"""Results that are remembered; the oldest go first."""
MOVES: Final = 50_000
ALONE_S: Final = 20.0
_TRIED_MS: Final = 30 * 86_400_000


class State:
    """One database of a sidecar."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._alone = path.with_suffix(".lock")
        self._alone.touch(mode=0o600)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=20.0)
        self._db.execute("PRAGMA journal_mode = WAL")
        for statement in (
            "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, verb TEXT NOT NULL, result TEXT NOT NULL, "
            "at INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS seen (model TEXT, alias TEXT, version TEXT, at INTEGER NOT NULL, "
            "PRIMARY KEY (model, alias))",
            "CREATE TABLE IF NOT EXISTS digests (owner TEXT, path TEXT, sha256 TEXT NOT NULL, "
            "PRIMARY KEY (owner, path))",
            "CREATE TABLE IF NOT EXISTS facts (fact TEXT PRIMARY KEY, at INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS owed (model TEXT, alias TEXT, at INTEGER, record TEXT NOT NULL, "
            "PRIMARY KEY (model, alias, at))",
            "CREATE TABLE IF NOT EXISTS tries (key TEXT PRIMARY KEY, at INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS looked (model TEXT PRIMARY KEY, at INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS moves (model TEXT, alias TEXT, at INTEGER, version TEXT, record TEXT NOT NULL, "
            "PRIMARY KEY (model, alias, at, version))",
            "CREATE TABLE IF NOT EXISTS registered (run TEXT, model TEXT, version TEXT, "
            "PRIMARY KEY (run, model, version))",
        ):
            self._db.execute(statement)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def alone(self, wait: float | None = None) -> Iterator[None]:
        """One at a time, of all processes of this machine that share the sidecar. Others may read and write meanwhile:
        who holds it asks a server, and that may take long. Conflict where somebody else is still at it after `wait`
        seconds."""
        refusal = (
            "another console of this machine is moving an alias and waits for the server; nothing was changed. Look "
            "again in a moment, and repeat."
        )
        with one_at_a_time(self._alone, wait=ALONE_S if wait is None else wait, refusal=refusal):
            yield

    # ------------------------------------------------------------ results by key

    def made_before(self, verb: str, mutation: Mutation) -> str | None:
        if not mutation.key:
            return None
        with self._lock:
            row = self._db.execute("SELECT verb, result FROM results WHERE key = ?", (mutation.key,)).fetchone()
        if row is None:
            return None
        if row[0] != verb:
            raise Conflict(
                f"the idempotency key {mutation.key} was used for {row[0]} before and cannot serve {verb}; nothing was "
                "changed. Use a new key."
            )
        result: str = row[1]
        return result

    def note(self, verb: str, mutation: Mutation, result: str = "") -> None:
        if not mutation.key:
            return
        with self._lock:
            self._db.execute("INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?)", (mutation.key, verb, result, now()))
            self._db.execute(
                "DELETE FROM results WHERE at < (SELECT at FROM results ORDER BY at DESC LIMIT 1 OFFSET ?)", (KEYS,)
            )

    def tried_before(self, mutation: Mutation) -> bool:
        """Note that it is about to be tried, and say whether it was before: it may have been done unheard then."""
        if not mutation.key:
            return False
        with self._lock:
            self._db.execute("DELETE FROM tries WHERE at < ?", (now() - _TRIED_MS,))
            made = self._db.execute("INSERT OR IGNORE INTO tries VALUES (?, ?)", (mutation.key, now()))
            return made.rowcount == 0

    # ------------------------------------------------------------ what was learned of the server

    def learn(self, fact: str) -> None:
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (fact, now()))

    def knows(self, fact: str, within: Millis) -> bool:
        """Whether it was learned so lately."""
        with self._lock:
            row = self._db.execute("SELECT at FROM facts WHERE fact = ?", (fact,)).fetchone()
        return row is not None and now() - int(row[0]) < within

    # ------------------------------------------------------------ files that we put there

    def keep_digest(self, owner: str, path: str, sha256: str) -> None:
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", (owner, path, sha256))

    def digest(self, owner: str, path: str) -> str:
        with self._lock:
            row = self._db.execute("SELECT sha256 FROM digests WHERE owner = ? AND path = ?", (owner, path)).fetchone()
        return str(row[0]) if row else ""

    # ------------------------------------------------------------ runs of the sidecar that became versions

    def became(self, run: str, model: str, version: str) -> None:
        with self._lock:
            self._db.execute("INSERT OR IGNORE INTO registered VALUES (?, ?, ?)", (run, model, version))

    def gone(self, model: str, version: str) -> None:
        """The version is no more."""
        with self._lock:
            self._db.execute("DELETE FROM registered WHERE model = ? AND version = ?", (model, version))

    def registered(self) -> dict[str, str]:
        """Run → the version that it became, of those that are there."""
        with self._lock:
            rows = self._db.execute("SELECT run, model, version FROM registered ORDER BY rowid").fetchall()
        return {run: f"{model}@{version}" for run, model, version in rows}

    # ------------------------------------------------------------ aliases

    def add_move(self, move: AliasMove) -> None:
        record = msgspec.json.encode(move).decode()
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO moves VALUES (?, ?, ?, ?, ?)",
                (move.model, move.alias, move.at, move.version or "", record),
            )
            self._db.execute(
                "DELETE FROM moves WHERE at < (SELECT at FROM moves ORDER BY at DESC LIMIT 1 OFFSET ?)", (MOVES,)
            )
            self._saw(move.model, move.alias, move.version, move.at)

    def in_order(self, model: str, aliases: Iterable[str], at: Millis) -> Millis:
        """When a move counts as made: after those of the same aliases that are known, also where the clock was set back
        meanwhile. The order of moves is what tells who holds an alias and what a rollback goes back to."""
        with self._lock:
            for alias in aliases:
                row = self._db.execute("SELECT MAX(at) FROM moves WHERE model = ? AND alias = ?", (model, alias))
                at = max(at, (row.fetchone()[0] or 0) + 1)
        return at

    def moves(self, model: str) -> list[AliasMove]:
        with self._lock:
            rows = self._db.execute("SELECT record FROM moves WHERE model = ?", (model,)).fetchall()
        return [msgspec.json.decode(record, type=AliasMove) for (record,) in rows]

    def owe(self, move: AliasMove) -> None:
        """A move that the server's other consoles are still to be told."""
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO owed VALUES (?, ?, ?, ?)",
                (move.model, move.alias, move.at, msgspec.json.encode(move).decode()),
            )

    def owed(self, model: str) -> list[AliasMove]:
        with self._lock:
            rows = self._db.execute("SELECT record FROM owed WHERE model = ? ORDER BY at", (model,)).fetchall()
        return [msgspec.json.decode(record, type=AliasMove) for (record,) in rows]

    def told(self, move: AliasMove) -> None:
        with self._lock:
            self._db.execute(
                "DELETE FROM owed WHERE model = ? AND alias = ? AND at = ?", (move.model, move.alias, move.at)
            )

    def differs(self, model: str, aliases: dict[str, str]) -> bool:
        """Whether they are not as they were seen last."""
        with self._lock:
            rows = self._db.execute("SELECT alias, version FROM seen WHERE model = ? AND version != ''", (model,))
            return dict(rows.fetchall()) != aliases

    def notice(self, model: str, aliases: dict[str, str]) -> list[AliasMove]:
        """Compare with what was seen last; what nobody of this console explains is somebody else's move."""
        at, found = now(), []
        with self._lock:
            before = dict(self._db.execute("SELECT alias, version FROM seen WHERE model = ?", (model,)).fetchall())
            looked = self._db.execute("SELECT at FROM looked WHERE model = ?", (model,)).fetchone()
            for alias in {*before, *aliases}:
                old, new = before.get(alias) or None, aliases.get(alias)
                if old == new:
                    continue
                if looked is not None:
                    found.append(_noticed(model, alias, old, new, self.in_order(model, [alias], at), looked[0]))
                self._saw(model, alias, new, at)
            self._db.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", (model, at))
            for move in found:
                self.add_move(move)
        return found

    def _saw(self, model: str, alias: str, version: str | None, at: Millis) -> None:
        self._db.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", (model, alias, version or "", at))

    def renamed(self, model: str, name: str) -> None:
        with self._lock:
            for table in ("seen", "looked", "moves", "owed", "registered"):
                self._db.execute(f"UPDATE OR REPLACE {table} SET model = ? WHERE model = ?", (name, model))

    def forget(self, model: str) -> None:
        """A deleted model's aliases were not moved by somebody else."""
        with self._lock:
            self._db.execute("DELETE FROM seen WHERE model = ?", (model,))
            self._db.execute("DELETE FROM looked WHERE model = ?", (model,))
            self._db.execute("DELETE FROM registered WHERE model = ?", (model,))


def _noticed(model: str, alias: str, old: str | None, new: str | None, at: Millis, since: Millis) -> AliasMove:
    return AliasMove(
        model=model,
        alias=alias,
        version=new,
        previous=old,
        at=at,
        actor="somebody else",
        reason=f"seen by this console; moved between {clock(min(since, at))} and {clock(at)}",
        action="elsewhere",
    )


def clock(at: Millis) -> str:
    """A time for a message, in UTC to the second."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def now() -> Millis:
    return time.time_ns() // 1_000_000
