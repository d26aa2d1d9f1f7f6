"""Service windows as rows of the store."""

from __future__ import annotations

import sqlite3

import msgspec

from backends.entities import Millis, ServiceWindow


def put(connection: sqlite3.Connection, window: ServiceWindow) -> None:
    """Keep a window in place of one with the same source and start."""
    connection.execute(
        'INSERT INTO service_windows (source, start, "end", record) VALUES (?, ?, ?, ?) '
        'ON CONFLICT (source, start) DO UPDATE SET "end" = excluded."end", record = excluded.record',
        (window.source, window.start, window.end, msgspec.msgpack.encode(window)),
    )


def between(
    connection: sqlite3.Connection, source: str, since: Millis | None, until: Millis | None, limit: int
) -> tuple[ServiceWindow, ...]:
    """Oldest first, the newest `limit` of them."""
    rows = connection.execute(
        "SELECT record FROM service_windows WHERE source = ? AND start >= ? AND start < ? ORDER BY start DESC LIMIT ?",
        (source, -(2**63) if since is None else since, 2**63 - 1 if until is None else until, limit),
    ).fetchall()
    return tuple(msgspec.msgpack.decode(record, type=ServiceWindow) for (record,) in reversed(rows))


def forget(connection: sqlite3.Connection, source: str) -> None:
    connection.execute("DELETE FROM service_windows WHERE source = ?", (source,))
