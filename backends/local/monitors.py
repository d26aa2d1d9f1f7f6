"""Monitors, their windows and batches: verbs of `MonitorStore`. Alerts and the outbox have modules of their own."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

import msgspec

from backends.contract import START, Invalid, Mutation, Page
from backends.entities import Millis, Monitor, MonitorState, ServiceWindow, Window
from backends.listing import cut
from backends.local import idempotency, journal, service_rows
from backends.local.absent import absent
from backends.local.alerts import LocalAlerts
from backends.local.compaction import LocalCompaction, put_window
from backends.local.database import Database, now
from backends.local.limits import check_name, check_text
from backends.local.outbox import LocalOutbox
from backends.local.schema import LONG, LONG_MS
from backends.query import Query, select

_KEPT_BY_STORE = ("state", "rows", "windows", "last_at", "created_at", "created_by")
"""What the store says of a monitor, whatever a definition says."""

_LONGEST = 86_400_000
"""No window that others are looked up in is longer."""


class LocalMonitors(LocalAlerts, LocalOutbox, LocalCompaction):
    """`MonitorStore` of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------ monitors

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[Monitor]:
        """By name without an order."""
        with self._database.read() as connection:
            found = _monitors(connection)
        return cut(select(query, found), at, limit, name=lambda monitor: monitor.name)

    def get(self, name: str) -> Monitor:
        with self._database.read() as connection:
            return _monitor(connection, name)

    def put(self, monitor: Monitor, mutation: Mutation) -> Monitor:
        """Make or change a definition; state and counts stay what the windows made them."""
        check_name("monitor", monitor.name)
        check_text("a note", monitor.note, "note")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "monitor.put", mutation) is not None:
                return _monitor(connection, monitor.name)
            known = _monitors(connection, monitor.name)
            if known:
                kept = {field: getattr(known[0], field) for field in _KEPT_BY_STORE}
            else:
                kept = {
                    **{field: getattr(Monitor(name="", model=""), field) for field in _KEPT_BY_STORE},
                    "created_at": now(),
                    "created_by": mutation.actor,
                }
            wanted = msgspec.structs.replace(monitor, **kept)
            before = msgspec.to_builtins(known[0]) if known else {}
            after = msgspec.to_builtins(wanted)
            changed = [field for field in after if before.get(field) != after[field]]
            if changed:
                connection.execute(
                    "INSERT INTO monitors (name, record, state) VALUES (?, ?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET record = excluded.record",
                    (wanted.name, msgspec.json.encode(wanted).decode(), wanted.state.value),
                )
                journal.append(
                    connection,
                    "monitor.change" if known else "monitor.create",
                    wanted.name,
                    mutation,
                    before={field: before[field] for field in changed if field in before},
                    after={field: after[field] for field in changed},
                )
            idempotency.note(connection, "monitor.put", mutation)
            return wanted

    def delete(self, name: str, mutation: Mutation) -> None:
        """The monitor with its windows and alerts."""
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "monitor.delete", mutation) is not None:
                return
            before = _monitor(connection, name)
            for table in ("windows", "batches", "alerts", "mutes"):
                connection.execute(f"DELETE FROM {table} WHERE monitor = ?", (name,))
            service_rows.forget(connection, f"monitor:{name}")
            connection.execute("DELETE FROM monitors WHERE name = ?", (name,))
            gone = {"model": before.model, "windows": before.windows, "rows": before.rows}
            journal.append(connection, "monitor.delete", name, mutation, before=gone)
            idempotency.note(connection, "monitor.delete", mutation)

    # ------------------------------------------------------------ windows

    def add_window(self, window: Window, *, batch: str = "") -> bool:
        """Keep a window in place of one with the same start and segment. False when the batch was there before."""
        if window.end < window.start:
            raise Invalid(f"a window ends after it starts, and {window.start} to {window.end} does not.", "end")
        with self._database.write() as connection:
            _monitor(connection, window.monitor)
            if batch:
                added = connection.execute(
                    "INSERT INTO batches (monitor, batch) VALUES (?, ?) ON CONFLICT DO NOTHING", (window.monitor, batch)
                )
                if added.rowcount == 0:
                    return False
            old = put_window(connection, window)
            if not window.segment:
                _tell(connection, window.monitor, windows=int(old is None), rows=window.rows - (old or 0))
            return True

    def windows(
        self,
        monitor: str,
        *,
        since: Millis | None = None,
        until: Millis | None = None,
        limit: int = 1000,
        segment: str = "",
        shortest: Millis = 0,
    ) -> tuple[Window, ...]:
        """Oldest first; the newest `limit` of those that start from `since` on and before `until`, and last `shortest`
        ms at least."""
        span = (-(2**63) if since is None else since, 2**63 - 1 if until is None else until)
        with self._database.read() as connection:
            _monitor(connection, monitor)
            long = f"INDEXED BY windows_long WHERE {LONG} AND" if shortest >= LONG_MS else "WHERE"
            rows = connection.execute(
                f"SELECT record, counts FROM windows {long} monitor = ? AND segment = ? AND start >= ? AND start < ? "
                'AND (? = 0 OR "end" - start >= ?) ORDER BY start DESC LIMIT ?',
                (monitor, segment, *span, shortest, shortest, limit),
            ).fetchall()
        return tuple(_window(record, counts) for record, counts in reversed(rows))

    def overlapping(self, monitor: str, *, since: Millis, until: Millis, segment: str = "") -> tuple[Window, ...]:
        """Windows of at most a day that share a moment with `since` to before `until`, oldest first."""
        with self._database.read() as connection:
            _monitor(connection, monitor)
            rows = connection.execute(
                "SELECT record, counts FROM windows WHERE monitor = ? AND segment = ? AND start >= ? AND start < ? "
                'AND ("end" > ? OR start >= ?) ORDER BY start',
                (monitor, segment, since - _LONGEST, until, since, since),
            ).fetchall()
        return tuple(_window(record, counts) for record, counts in rows)

    def extent(self, monitor: str, *, segment: str = "") -> tuple[Millis, Millis] | None:
        """Starts of the first and the last window of a segment, from the index alone; None where it has none."""
        of = "FROM windows WHERE monitor = ?1 AND segment = ?2"
        with self._database.read() as connection:
            _monitor(connection, monitor)
            first, last = connection.execute(
                f"SELECT (SELECT MIN(start) {of}), (SELECT MAX(start) {of})", (monitor, segment)
            ).fetchone()
        return None if first is None else (first, last)

    def add_batch(self, monitor: str, batch: str) -> bool:
        with self._database.write() as connection:
            _monitor(connection, monitor)
            added = connection.execute(
                "INSERT INTO batches (monitor, batch) VALUES (?, ?) ON CONFLICT DO NOTHING", (monitor, batch)
            )
            return added.rowcount == 1

    def batches(self, monitor: str, *, among: Collection[str] | None = None) -> frozenset[str]:
        with self._database.read() as connection:
            if among is not None:
                known = "SELECT 1 FROM batches WHERE monitor = ? AND batch = ?"
                return frozenset(each for each in among if connection.execute(known, (monitor, each)).fetchone())
            rows = connection.execute("SELECT batch FROM batches WHERE monitor = ?", (monitor,)).fetchall()
        return frozenset(batch for (batch,) in rows)

    # ------------------------------------------------------------ services

    def add_service(self, window: ServiceWindow) -> None:
        """Keep how a service answered, in place of a window with the same start."""
        if window.end <= window.start:
            raise Invalid(f"a window ends after it starts, and {window.start} to {window.end} does not.", "end")
        with self._database.write() as connection:
            service_rows.put(connection, window)

    def services(
        self, source: str, *, since: Millis | None = None, until: Millis | None = None, limit: int = 1000
    ) -> tuple[ServiceWindow, ...]:
        """Oldest first; the newest `limit` of those that start from `since` on and before `until`."""
        with self._database.read() as connection:
            return service_rows.between(connection, source, since, until, limit)


def _window(record: bytes, counts: bytes) -> Window:
    return msgspec.structs.replace(msgspec.msgpack.decode(record, type=Window), counts=counts)


def _monitors(connection: sqlite3.Connection, name: str | None = None) -> list[Monitor]:
    rows = connection.execute(
        "SELECT record, state, rows, windows, last_at FROM monitors WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
        (name,),
    )
    return [
        msgspec.structs.replace(
            msgspec.json.decode(row[0], type=Monitor),
            state=MonitorState(row[1]),
            rows=row[2],
            windows=row[3],
            last_at=row[4],
        )
        for row in rows
    ]


def _monitor(connection: sqlite3.Connection, name: str) -> Monitor:
    found = _monitors(connection, name)
    if not found:
        raise absent(connection, "monitor", name)
    return found[0]


def _tell(connection: sqlite3.Connection, monitor: str, *, windows: int, rows: int) -> None:
    """Bring the monitor's own figures up to date: its state is that of its newest window."""
    state, last_at = connection.execute(
        "SELECT state, \"end\" FROM windows WHERE monitor = ? AND segment = '' ORDER BY start DESC LIMIT 1", (monitor,)
    ).fetchone()
    connection.execute(
        "UPDATE monitors SET state = ?, last_at = ?, windows = windows + ?, rows = rows + ? WHERE name = ?",
        (state, last_at, windows, rows, monitor),
    )
