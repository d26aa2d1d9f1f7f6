"""Durable work for the agent: the table is the queue."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from backends.contract import Conflict, NotFound
from backends.entities import Request, RequestState
from backends.local.agent_presence import ring_bell
from backends.local.database import Database, now

_COLUMNS: Final = (
    "id, kind, payload, state, created_at, created_by, priority, claimed_by, claimed_at, ended_at, attempts, error"
)


def _request(row: tuple[Any, ...]) -> Request:
    return Request(
        id=row[0],
        kind=row[1],
        payload=msgspec.json.decode(row[2]),
        state=RequestState(row[3]),
        created_at=row[4],
        created_by=row[5],
        priority=row[6],
        claimed_by=row[7],
        claimed_at=row[8],
        ended_at=row[9],
        attempts=row[10],
        error=row[11],
    )


class LocalRequests:
    """`RequestQueue` over the table of the same name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, kind: str, payload: dict[str, Any], *, key: str, created_by: str, priority: int = 0) -> Request:
        made = uuid.uuid4().hex
        with self._database.write(durable=True) as connection:
            connection.execute(
                "INSERT INTO requests (id, key, kind, payload, state, created_at, created_by, priority) "
                "VALUES (?, ?, ?, ?, 'waiting', ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (made, key or made, kind, msgspec.json.encode(payload).decode(), now(), created_by, priority),
            )
            row = connection.execute(f"SELECT {_COLUMNS} FROM requests WHERE key = ?", (key or made,)).fetchone()
            found = _request(row)
            if found.kind != kind:
                raise Conflict(f"the key {key} belongs to a request for {found.kind}, not {kind}; nothing was changed.")
        ring_bell(self._database.path.parent)
        return found

    def claim(self, by: str, kinds: Sequence[str] = (), *, request: str = "") -> Request | None:
        among = f"AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        binds = tuple(kinds)
        if request:
            among, binds = f"{among} AND id = ?", (*binds, request)
        find = f"SELECT seq FROM requests WHERE state = 'waiting' {among} ORDER BY priority DESC, seq LIMIT 1"
        with self._database.read() as connection:
            # Most polls find nothing: those must not take the write lock.
            if connection.execute(find, binds).fetchone() is None:
                return None
        with self._database.write() as connection:
            row = connection.execute(
                f"UPDATE requests SET state = 'claimed', claimed_by = ?, claimed_at = ?, attempts = attempts + 1 "
                f"WHERE seq = ({find}) RETURNING {_COLUMNS}",
                (by, now(), *binds),
            ).fetchone()
            return None if row is None else _request(row)

    def finish(self, request: str, *, error: str = "") -> None:
        state = RequestState.FAILED if error else RequestState.DONE
        with self._database.write() as connection:
            before = self._state(connection, request)
            if before == state:
                return
            if before != RequestState.CLAIMED:
                raise Conflict(
                    f"request {request} is {before}, only a claimed one can be finished; nothing was changed."
                )
            connection.execute(
                "UPDATE requests SET state = ?, ended_at = ?, error = ? WHERE id = ?",
                (state.value, now(), error, request),
            )

    def release(self, request: str) -> None:
        with self._database.write() as connection:
            before = self._state(connection, request)
            if before == RequestState.WAITING:
                return
            if before != RequestState.CLAIMED:
                raise Conflict(
                    f"request {request} is {before}, only a claimed one can be released; nothing was changed."
                )
            connection.execute(
                "UPDATE requests SET state = 'waiting', claimed_by = '', claimed_at = NULL WHERE id = ?", (request,)
            )

    def cancel(self, request: str) -> bool:
        with self._database.write() as connection:
            self._state(connection, request)
            done = connection.execute(
                "UPDATE requests SET state = 'cancelled', ended_at = ? WHERE id = ? AND state = 'waiting'",
                (now(), request),
            )
            return done.rowcount == 1

    def prioritise(self, request: str, priority: int) -> bool:
        with self._database.write() as connection:
            self._state(connection, request)
            done = connection.execute(
                "UPDATE requests SET priority = ? WHERE id = ? AND state = 'waiting'", (priority, request)
            )
            return done.rowcount == 1

    def list(
        self, *, states: Sequence[str] = ("waiting", "claimed"), kind: str = "", limit: int = 200
    ) -> tuple[Request, ...]:
        """By state as given, then in the order in which they would be claimed."""
        found: list[Request] = []
        with self._database.read() as connection:
            for state in states:
                rows = connection.execute(
                    f"SELECT {_COLUMNS} FROM requests WHERE state = ? AND (? = '' OR kind = ?) "
                    "ORDER BY priority DESC, seq LIMIT ?",
                    (state, kind, kind, limit - len(found)),
                )
                found += map(_request, rows)
        return tuple(found)

    def _state(self, connection: Any, request: str) -> str:
        row = connection.execute("SELECT state FROM requests WHERE id = ?", (request,)).fetchone()
        if row is None:
            raise NotFound(f"request {request} is not there.")
        state: str = row[0]
        return state
