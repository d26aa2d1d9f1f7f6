"""The outbox: what people are to be told of alerts. An event is written in the transaction that changes the alert, so
that neither can be lost without the other; who carries it out hands it to the channels and notes down how it went."""

from __future__ import annotations

import hashlib
import sqlite3

import msgspec

from backends.entities import Alert, AlertEvent, Delivery, DeliveryState, Happening, Millis
from backends.local.database import Database

KEPT = 5_000
"""Rows that are kept of what is settled."""


class LocalOutbox:
    """The outbox's verbs of `MonitorStore`."""

    _database: Database

    def deliveries(
        self, *, alert: str = "", states: tuple[str, ...] = (), after: int = 0, limit: int = 200
    ) -> tuple[Delivery, ...]:
        """The newest `limit` rows after a place in the outbox, oldest first."""
        where, bound = ["seq > ?"], [after]
        if states:
            where.append(f"state IN ({', '.join('?' * len(states))})")
            bound += list(states)  # type: ignore[arg-type]
        if alert:  # a burst's row stands under its first alert, and tells of the others too
            where.append("(alert = ? OR instr(record, ?) > 0)")
            bound += [alert, msgspec.json.encode(alert).decode()]  # type: ignore[list-item]
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT seq, record FROM deliveries WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?",
                (*bound, limit),
            ).fetchall()
        return tuple(
            msgspec.structs.replace(msgspec.json.decode(record, type=Delivery), seq=seq)
            for seq, record in reversed(rows)
        )

    def route_delivery(self, events: tuple[str, ...], to: tuple[Delivery, ...]) -> None:
        """Hand events to channels; what was handed over before is left alone, and so is a delivery that is there."""
        with self._database.write(durable=True) as connection:
            for event in events:
                row = connection.execute(
                    "SELECT record FROM deliveries WHERE id = ? AND state = ?", (event, DeliveryState.WAITING.value)
                ).fetchone()
                if row is not None:
                    known = msgspec.json.decode(row[0], type=Delivery)
                    put(connection, msgspec.structs.replace(known, state=DeliveryState.ROUTED))
            for delivery in to:
                if connection.execute("SELECT 1 FROM deliveries WHERE id = ?", (delivery.id,)).fetchone() is None:
                    put(connection, delivery)
            connection.execute(
                "DELETE FROM deliveries WHERE state <> 'waiting' AND seq < (SELECT max(seq) FROM deliveries) - ?",
                (KEPT,),
            )

    def put_delivery(self, delivery: Delivery) -> None:
        """Add a delivery, or write down how one went."""
        with self._database.write(durable=True) as connection:
            put(connection, delivery)


def put(connection: sqlite3.Connection, delivery: Delivery) -> None:
    connection.execute(
        "INSERT INTO deliveries (id, alert, state, due_at, record) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET state = excluded.state, due_at = excluded.due_at, record = excluded.record",
        (
            delivery.id,
            delivery.happenings[0].alert.id,
            delivery.state.value,
            delivery.due_at,
            msgspec.json.encode(msgspec.structs.replace(delivery, seq=0)).decode(),
        ),
    )


def tell(connection: sqlite3.Connection, event: AlertEvent, alert: Alert, at: Millis) -> None:
    """Put an event of an alert into the outbox."""
    count = connection.execute("SELECT count(*) FROM deliveries WHERE alert = ?", (alert.id,)).fetchone()[0]
    name = hashlib.sha256(f"{alert.id}\0{event}\0{at}\0{count}".encode()).hexdigest()[:20]
    happening = Happening(id=name, event=event, at=at, alert=alert)
    put(connection, Delivery(id=name, happenings=(happening,), at=at, due_at=at))


def told(connection: sqlite3.Connection, alert: str) -> bool:
    """Whether the outbox has anything of this alert."""
    return connection.execute("SELECT 1 FROM deliveries WHERE alert = ? LIMIT 1", (alert,)).fetchone() is not None
