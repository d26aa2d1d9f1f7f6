"""The journal: every change, chained by hash, written in the transaction that makes the change."""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from backends.contract import END, START, Conflict, Invalid, Mutation, NotFound, Page
from backends.entities import GateResult, JournalEntry, Millis, Outcome
from backends.listing import cut
from backends.local.database import Database, now
from backends.query import And, Compare, Node, Query, select

_COLUMNS: Final = (
    "seq, id, at, actor, action, target, before, after, reason, gates, outcome, detail, key, undoes, "
    "previous_hash, hash"
)
_SELECT: Final = (
    f"SELECT {_COLUMNS}, coalesce((SELECT u.id FROM journal u WHERE u.undoes = journal.id AND u.undoes <> '' "
    "AND u.outcome = 'done' LIMIT 1), '') FROM journal"
)


def _chain(row: tuple[Any, ...]) -> str:
    """sha256 over everything an entry says and over the hash of the one before it."""
    return hashlib.sha256(msgspec.json.encode(row)).hexdigest()


def append(
    connection: sqlite3.Connection,
    action: str,
    target: str,
    mutation: Mutation,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    outcome: Outcome = Outcome.DONE,
    detail: str = "",
    at: Millis | None = None,
) -> JournalEntry:
    """Write one entry in the caller's transaction. An entry is undone at most once."""
    if mutation.undoes and outcome is Outcome.DONE:
        _check_undo(connection, mutation.undoes)
    seq, previous = connection.execute("SELECT seq, hash FROM journal_head").fetchone()
    row = (
        seq + 1,
        uuid.uuid4().hex,
        now() if at is None else at,
        mutation.actor,
        mutation.action or action,
        target,
        msgspec.json.encode(before or {}, order="sorted").decode(),
        msgspec.json.encode(after or {}, order="sorted").decode(),
        mutation.reason,
        msgspec.json.encode(mutation.gates).decode(),
        outcome.value,
        detail,
        mutation.key,
        mutation.undoes,
        previous,
    )
    whole = (*row, _chain(row))
    connection.execute(f"INSERT INTO journal ({_COLUMNS}) VALUES ({', '.join('?' * len(whole))})", whole)
    connection.execute("UPDATE journal_head SET seq = ?, hash = ?", (whole[0], whole[-1]))
    return _entry((*whole, ""))


def _check_undo(connection: sqlite3.Connection, entry: str) -> None:
    row = connection.execute("SELECT action, target FROM journal WHERE id = ?", (entry,)).fetchone()
    if row is None:
        raise NotFound(f"journal entry {entry}, which was to be undone, is not there; nothing was changed.")
    taken = connection.execute(
        "SELECT actor, at FROM journal WHERE undoes = ? AND outcome = 'done'", (entry,)
    ).fetchone()
    if taken is not None:
        raise Conflict(
            f"{row[0]} of {row[1]} was undone already by {taken[0]} at {clock(taken[1])}; nothing was changed."
        )


def clock(at: Millis) -> str:
    """A time for a message, in UTC to the second."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _entry(row: tuple[Any, ...]) -> JournalEntry:
    return JournalEntry(
        seq=row[0],
        id=row[1],
        at=row[2],
        actor=row[3],
        action=row[4],
        target=row[5],
        before=msgspec.json.decode(row[6]) if row[6] != "{}" else {},
        after=msgspec.json.decode(row[7]) if row[7] != "{}" else {},
        reason=row[8],
        gates=msgspec.json.decode(row[9], type=tuple[GateResult, ...]) if row[9] != "[]" else (),
        outcome=Outcome(row[10]),
        detail=row[11],
        key=row[12],
        undoes=row[13],
        previous_hash=row[14],
        hash=row[15],
        undone_by=row[16],
    )


def _made(connection: sqlite3.Connection, key: str, action: str, outcome: Outcome) -> JournalEntry | None:
    """What was written under this key before."""
    if not key:
        return None
    found = connection.execute(
        f"{_SELECT} WHERE key = ? AND action = ? AND outcome = ? LIMIT 1", (key, action, outcome.value)
    ).fetchone()
    return None if found is None else _entry(found)


def _taken(connection: sqlite3.Connection, entry: JournalEntry) -> JournalEntry:
    return append(
        connection,
        entry.action,
        entry.target,
        Mutation(entry.actor, reason=entry.reason, key=entry.key, gates=entry.gates),
        before=entry.before,
        after=entry.after,
        outcome=entry.outcome,
        detail=entry.detail,
        at=entry.at,
    )


class LocalJournal:
    """`Journal` over the table of the same name. Numbers run without a gap, so a row number is a seq."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[JournalEntry]:
        """Newest first without an order."""
        if query is not None and (query.where is not None or query.order):
            return self._searched(query, at, limit)
        with self._database.read() as connection:
            total = connection.execute("SELECT seq FROM journal_head").fetchone()[0]
            first = self._position(connection, at, total, limit)
            rows = connection.execute(
                f"{_SELECT} WHERE seq <= ? AND seq > ? ORDER BY seq DESC", (total - first, total - first - limit)
            ).fetchall()
        # Cursors name the seq, not the row number: entries written meanwhile do not shift them.
        last = total - first - len(rows)
        return Page(
            items=tuple(map(_entry, rows)),
            next=f"<{last}" if last > 0 else None,
            previous=f">{total - first + 1}" if first > 0 else None,
            first=first,
            total=total,
        )

    def _position(self, connection: sqlite3.Connection, at: str, total: int, limit: int) -> int:
        """Row number, from the newest, of the first entry to show."""
        try:
            if at == START:
                return 0
            if at == END:
                return max(0, total - limit)
            if at.startswith("#"):
                return max(0, min(int(at[1:]), total))
            if at.startswith("@"):
                found = connection.execute("SELECT seq FROM journal WHERE id = ?", (at[1:],)).fetchone()
                if found is None:
                    raise NotFound(f"journal entry {at[1:]} is not there.")
                row: int = total - found[0]
                return row - row % limit
            if at.startswith("<"):
                return max(0, total - int(at[1:]))
            if at.startswith(">"):
                return max(0, total - int(at[1:]) - limit + 1)
        except ValueError:
            pass
        raise Invalid(f"{at!r} is no cursor of the journal; start again from the first page.", "at")

    def _searched(self, query: Query, at: str, limit: int) -> Page[JournalEntry]:
        with self._database.read() as connection:
            found = select(query, self._entries(connection, *_narrowed(query.where)))
        return cut(found, at, limit, name=lambda entry: entry.id)

    def _entries(self, connection: sqlite3.Connection, where: str, binds: list[str]) -> Iterator[JournalEntry]:
        for row in connection.execute(f"{_SELECT} WHERE {where} ORDER BY seq DESC", binds):
            yield _entry(row)

    def get(self, entry: str) -> JournalEntry:
        with self._database.read() as connection:
            row = connection.execute(f"{_SELECT} WHERE id = ?", (entry,)).fetchone()
        if row is None:
            raise NotFound(f"journal entry {entry} is not there.")
        return _entry(row)

    def record(
        self,
        action: str,
        target: str,
        mutation: Mutation,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        outcome: str = "done",
        detail: str = "",
    ) -> JournalEntry:
        """Write what no other verb journals by itself."""
        try:
            outcome = Outcome(outcome)
        except ValueError:
            raise Invalid(f"an outcome is one of {', '.join(Outcome)}, not {outcome!r}.", "outcome") from None
        with self._database.write(durable=True) as connection:
            done = _made(connection, mutation.key, mutation.action or action, outcome)
            if done is not None:
                return done
            return append(
                connection, action, target, mutation, before=before, after=after, outcome=outcome, detail=detail
            )

    def take_in(self, entries: Sequence[JournalEntry]) -> tuple[JournalEntry, ...]:
        """Others' changes, in one transaction."""
        with self._database.write(durable=True) as connection:
            return tuple(
                _made(connection, each.key, each.action, each.outcome) or _taken(connection, each) for each in entries
            )

    def verify(self) -> tuple[int, str]:
        """Walk the chain from the first entry and compare its end with the head that each write left."""
        with self._database.read() as connection:
            head_seq, head_hash = connection.execute("SELECT seq, hash FROM journal_head").fetchone()
            held, previous = 0, ""
            for row in connection.execute(f"SELECT {_COLUMNS} FROM journal ORDER BY seq"):
                if row[0] != held + 1:
                    return held, f"entry {held + 1} is missing: after {held} comes {row[0]}."
                if row[14] != previous:
                    return (
                        held,
                        f"entry {row[0]} ({row[4]} of {row[5]}) does not follow the one before it: moved or replaced.",
                    )
                if row[15] != _chain(row[:15]):
                    return (
                        held,
                        f"entry {row[0]} ({row[4]} of {row[5]}) was altered: its hash does not fit what it says.",
                    )
                held, previous = held + 1, row[15]
        if held < head_seq:
            return held, f"the newest entries are missing: {held} are left of {head_seq}."
        if (held, previous) != (head_seq, head_hash):
            return held, f"the chain ends in another hash than the head record of {head_seq} entries keeps."
        return held, ""


_NARROWING: Final = {"id", "actor", "action", "target", "outcome"}
"""Columns by which SQL leaves entries out before any is decoded."""


def _narrowed(node: Node | None) -> tuple[str, list[str]]:
    """SQL that is true of every entry which the condition can match, and what it binds. The condition comes after."""
    parts, binds = ["1"], []
    for each in node.nodes if isinstance(node, And) else (node,):
        if (
            isinstance(each, Compare)
            and each.op == "="
            and isinstance(each.value, str)
            and each.key.scope == "attribute"
            and each.key.name in _NARROWING
        ):
            parts.append(f"{each.key.name} = ?")
            binds.append(each.value)
    return " AND ".join(parts), binds
