"""Service windows as rows of the store."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from backends.entities import Millis, ServiceWindow, merge_services

_LONGEST: Final = 86_400_000
"""No window of a service is merged into a longer one than that, in ms."""


def put(connection: sqlite3.Connection, window: ServiceWindow) -> None:
    """Keep a window in place of one with the same source and start; within a longer one it is counted already."""
    settled = connection.execute(
        'SELECT 1 FROM service_windows WHERE source = ?1 AND start <= ?2 AND start > ?2 - ?4 AND "end" >= ?3 '
        'AND "end" - start > ?3 - ?2 LIMIT 1',
        (window.source, window.start, window.end, _LONGEST),
    ).fetchone()
    if settled is None:
        _insert(connection, window)


def merge(connection: sqlite3.Connection, source: str, start: Millis, end: Millis) -> None:
    """Put one window in place of those that begin between two times."""
    parts = between(connection, source, start, end, -1)
    whole = merge_services(parts, start=start, end=max([end, *(part.end for part in parts)]))
    connection.execute(
        "DELETE FROM service_windows WHERE source = ? AND start >= ? AND start < ?", (source, start, end)
    )
    if whole is not None:
        _insert(connection, whole)


def _insert(connection: sqlite3.Connection, window: ServiceWindow) -> None:
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
