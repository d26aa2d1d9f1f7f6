"""Alerts, what people answer to them, and mutes: the verbs of `MonitorStore`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from backends.contract import Conflict, Invalid, Mutation, NotFound
from backends.entities import SEVERITIES, Alert, AlertEvent, AlertState, Millis, Mute
from backends.entities.triggers import ACTOR
from backends.local import idempotency, journal, outbox
from backends.local.absent import absent
from backends.local.database import Database, now
from backends.local.limits import check_text

LONGEST_MUTE: Millis = 366 * 86_400_000


class LocalAlerts:
    """The alerts' verbs of `MonitorStore`."""

    _database: Database

    def alerts(self, monitor: str = "", *, open_only: bool = False, limit: int = 200) -> tuple[Alert, ...]:
        """Newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT record FROM alerts WHERE (?1 = '' OR monitor = ?1) AND (?2 = 0 OR state <> 'resolved') "
                "ORDER BY opened_at DESC, seq DESC LIMIT ?3",
                (monitor, int(open_only), limit),
            ).fetchall()
            silenced = _mutes(connection, monitor, now())
        return tuple(_muted(_alert(row), silenced) for row in rows)

    def put_alert(self, alert: Alert) -> None:
        """Make an alert or bring it up to date; what people said of it stays. An event goes into the outbox."""
        with self._database.write() as connection:
            row = connection.execute("SELECT record FROM alerts WHERE id = ?", (alert.id,)).fetchone()
            before = None if row is None else _alert(row)
            if before is not None:
                if before.resolved_by:
                    return  # a person said that this trouble is over; another one has another id
                alert = msgspec.structs.replace(alert, note=before.note)
                # Whoever judges may have read the alert before somebody took it, or gave it back.
                if before.state is not AlertState.RESOLVED and alert.state is not AlertState.RESOLVED:
                    alert = msgspec.structs.replace(alert, state=before.state, acked_by=before.acked_by)
            _put_alert(connection, alert)
            _tell(connection, happened(before, alert), alert)

    def ack_alert(self, alert: str, mutation: Mutation) -> Alert:
        """Say that a person has seen it."""

        def taken(found: Alert) -> Alert:
            if found.state is not AlertState.FIRING:
                by = f" by {found.acked_by}" if found.acked_by else ""
                raise Conflict(f"alert {alert} is {found.state} already{by}; nothing was changed.")
            return msgspec.structs.replace(found, state=AlertState.ACKED, acked_by=mutation.actor)

        return self._answer("alert.ack", alert, mutation, taken)

    def unack_alert(self, alert: str, mutation: Mutation) -> Alert:
        """Give it back: it calls for somebody again."""

        def given_back(found: Alert) -> Alert:
            if found.state is not AlertState.ACKED:
                raise Conflict(f"alert {alert} is {found.state}: nobody has taken it; nothing was changed.")
            return msgspec.structs.replace(found, state=AlertState.FIRING, acked_by="")

        return self._answer("alert.unack", alert, mutation, given_back)

    def resolve_alert(self, alert: str, mutation: Mutation) -> Alert:
        """A person says that it is over."""

        def over(found: Alert) -> Alert:
            if found.state is AlertState.RESOLVED:
                by = f" by {found.resolved_by}" if found.resolved_by else ""
                raise Conflict(f"alert {alert} is resolved already{by}; nothing was changed.")
            why = f": {mutation.reason}" if mutation.reason else ""
            return msgspec.structs.replace(
                found,
                state=AlertState.RESOLVED,
                resolved_at=now(),
                resolved_by=mutation.actor,
                text=f"{found.text}. Resolved by {mutation.actor}{why}",
            )

        return self._answer("alert.resolve", alert, mutation, over)

    def _answer(self, verb: str, alert: str, mutation: Mutation, change: Callable[[Alert], Alert]) -> Alert:
        with self._database.write(durable=True) as connection:
            found = _alert_of(connection, alert)
            if idempotency.made_before(connection, verb, mutation) is None:
                before, found = found, change(found)
                _put_alert(connection, found)
                _tell(connection, happened(before, found), found)
                journal.append(
                    connection,
                    verb,
                    found.monitor,
                    mutation,
                    before={"alert": alert, "state": before.state.value},
                    after={"alert": alert, "state": found.state.value, "metric": found.metric},
                )
                idempotency.note(connection, verb, mutation)
            return _muted(found, _mutes(connection, found.monitor, now()))

    def note_alert(self, alert: str, note: str, mutation: Mutation) -> Alert:
        """Write a note on an alert in any state."""
        check_text("a note", note, "note")
        with self._database.write(durable=True) as connection:
            found = _alert_of(connection, alert)
            if idempotency.made_before(connection, "alert.note", mutation) is not None or found.note == note:
                return found
            noted = msgspec.structs.replace(found, note=note)
            _put_alert(connection, noted)
            journal.append(
                connection,
                "alert.note",
                found.monitor,
                mutation,
                before={"alert": alert, "note": found.note},
                after={"alert": alert, "note": note, "metric": found.metric},
            )
            idempotency.note(connection, "alert.note", mutation)
            return noted

    # ------------------------------------------------------------ mutes

    def mutes(self, monitor: str = "") -> tuple[Mute, ...]:
        """Those in force, the first to end first."""
        with self._database.read() as connection:
            return tuple(_mutes(connection, monitor, now()))

    def mute(self, mute: Mute, mutation: Mutation) -> Mute:
        """Nobody is told of what it covers until it ends."""
        at = now()
        if not at < mute.until <= at + LONGEST_MUTE:
            what = "past" if mute.until <= at else "more than a year away"
            raise Invalid(f"a mute ends in the future, within a year, and this end is {what}; give another", "until")
        with self._database.write(durable=True) as connection:
            trigger = mute.monitor.removeprefix(ACTOR)
            kind, table = ("monitor", "monitors") if trigger == mute.monitor else ("trigger", "triggers")
            if connection.execute(f"SELECT 1 FROM {table} WHERE name = ?", (trigger,)).fetchone() is None:
                raise absent(connection, kind, trigger)
            made = msgspec.structs.replace(mute, at=at, by=mutation.actor, reason=mutation.reason)
            if idempotency.made_before(connection, "alert.mute", mutation) is not None:
                return made
            connection.execute(
                "INSERT INTO mutes (monitor, rule, segment, until, record) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (monitor, rule, segment) DO UPDATE SET until = excluded.until, record = excluded.record",
                (made.monitor, made.rule, made.segment, made.until, msgspec.json.encode(made).decode()),
            )
            said = {"rule": made.rule, "segment": made.segment, "until": made.until}
            journal.append(connection, "alert.mute", made.monitor, mutation, after=said)
            idempotency.note(connection, "alert.mute", mutation)
            return made

    def unmute(self, monitor: str, rule: str, segment: str, mutation: Mutation) -> None:
        """End a mute early; what fired meanwhile is told."""
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "alert.unmute", mutation) is not None:
                return
            found = [
                each for each in _mutes(connection, monitor, now()) if (each.rule, each.segment) == (rule, segment)
            ]
            if not found:
                raise NotFound(
                    f"monitor {monitor}: no mute of rule {rule} and segment {segment or 'whole'} is in force."
                )
            _take_away(connection, found[0])
            journal.append(
                connection,
                "alert.unmute",
                monitor,
                mutation,
                before={"rule": rule, "segment": segment, "until": found[0].until},
            )
            _catch_up(connection, found[0], now(), untold_only=True)
            idempotency.note(connection, "alert.unmute", mutation)

    def end_mutes(self, at: Millis) -> tuple[str, ...]:
        """Take away those that ended by `at`; the monitors they were about."""
        with self._database.read() as connection:  # nearly always nothing: no writer is made to wait for that
            if connection.execute("SELECT 1 FROM mutes WHERE until <= ? LIMIT 1", (at,)).fetchone() is None:
                return ()
        with self._database.write(durable=True) as connection:
            rows = connection.execute("SELECT record FROM mutes WHERE until <= ?", (at,)).fetchall()
            ended = [msgspec.json.decode(record, type=Mute) for (record,) in rows]
            for mute in ended:
                _take_away(connection, mute)
            for mute in ended:
                _catch_up(connection, mute, at, untold_only=False)
        return tuple(dict.fromkeys(mute.monitor for mute in ended))


def happened(before: Alert | None, after: Alert) -> AlertEvent | None:
    """What people are to be told of a change."""
    if after.state is AlertState.RESOLVED:
        return AlertEvent.RESOLVED if before is not None and before.state is not AlertState.RESOLVED else None
    if before is None or before.state is AlertState.RESOLVED:
        return AlertEvent.FIRED
    return AlertEvent.WORSENED if _weight(after) > _weight(before) else None


def _weight(alert: Alert) -> int:
    return SEVERITIES.index(alert.severity) if alert.severity in SEVERITIES else 0


def _tell(connection: sqlite3.Connection, event: AlertEvent | None, alert: Alert) -> None:
    at = now()
    if event is None or _muted(alert, _mutes(connection, alert.monitor, at)).muted_until is not None:
        return
    if event is AlertEvent.RESOLVED and not outbox.told(connection, alert.id):
        return  # it came and went under a mute: nobody knows of it
    outbox.tell(connection, event, alert, at)


def _catch_up(connection: sqlite3.Connection, mute: Mute, at: Millis, *, untold_only: bool) -> None:
    """Tell of what a mute that is gone kept silent and that still calls for somebody."""
    rows = connection.execute(
        "SELECT record FROM alerts WHERE monitor = ? AND state = ? ORDER BY seq",
        (mute.monitor, AlertState.FIRING.value),
    ).fetchall()
    others = _mutes(connection, mute.monitor, at)
    for alert in map(_alert, rows):
        if not mute.covers(alert) or _muted(alert, others).muted_until is not None:
            continue
        if not outbox.told(connection, alert.id):
            outbox.tell(connection, AlertEvent.FIRED, alert, at)
        elif not untold_only:
            outbox.tell(connection, AlertEvent.UNMUTED, alert, at)


def _mutes(connection: sqlite3.Connection, monitor: str, at: Millis) -> list[Mute]:
    rows = connection.execute(
        "SELECT record FROM mutes WHERE (?1 = '' OR monitor = ?1) AND until > ?2 ORDER BY until", (monitor, at)
    )
    return [msgspec.json.decode(record, type=Mute) for (record,) in rows]


def _take_away(connection: sqlite3.Connection, mute: Mute) -> None:
    connection.execute(
        "DELETE FROM mutes WHERE monitor = ? AND rule = ? AND segment = ?", (mute.monitor, mute.rule, mute.segment)
    )


def _muted(alert: Alert, mutes: Sequence[Mute]) -> Alert:
    until = max((mute.until for mute in mutes if mute.covers(alert)), default=None)
    return alert if until == alert.muted_until else msgspec.structs.replace(alert, muted_until=until)


def _alert_of(connection: sqlite3.Connection, alert: str) -> Alert:
    row = connection.execute("SELECT record FROM alerts WHERE id = ?", (alert,)).fetchone()
    if row is None:
        raise NotFound(f"alert {alert} is not there; it may have been deleted with its monitor.")
    return _alert(row)


def _alert(row: tuple[Any, ...]) -> Alert:
    return msgspec.json.decode(row[0], type=Alert)


def _put_alert(connection: sqlite3.Connection, alert: Alert) -> None:
    kept = msgspec.structs.replace(alert, muted_until=None)
    connection.execute(
        "INSERT INTO alerts (id, monitor, state, opened_at, record) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET state = excluded.state, record = excluded.record",
        (kept.id, kept.monitor, kept.state.value, kept.opened_at, msgspec.json.encode(kept).decode()),
    )
