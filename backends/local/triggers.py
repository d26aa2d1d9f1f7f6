"""Triggers and their firings: the verbs of `TriggerStore`.

Where a trigger stands is kept apart from its definition, so that who edits one and who runs it never overwrite each
other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from backends.contract import START, Mutation, NotFound, Page, Refused
from backends.entities import Firing, FiringState, Millis, Trigger, TriggerState, TriggerStatus
from backends.listing import cut
from backends.local import idempotency, journal
from backends.local.absent import absent
from backends.local.database import Database, now
from backends.local.limits import check_name, check_text

_KEPT_BY_STORE = ("name", "created_at", "created_by", "changed_at", "status")
_ACTIONS = {
    TriggerState.ACTIVE: "trigger.resume",
    TriggerState.PAUSED: "trigger.pause",
    TriggerState.STOPPED: "trigger.stop",
}


class LocalTriggers:
    """`TriggerStore` of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, *, at: str = START, limit: int = 100) -> Page[Trigger]:
        with self._database.read() as connection:
            found = _triggers(connection)
        return cut(found, at, limit, name=lambda trigger: trigger.name)

    def get(self, name: str) -> Trigger:
        with self._database.read() as connection:
            return _trigger(connection, name)

    def put(self, trigger: Trigger, mutation: Mutation) -> Trigger:
        check_name("trigger", trigger.name)
        check_text("a note", trigger.note, "note")
        for what in ("retrain", "run"):
            check_text("a recipe", getattr(trigger.do, what), what)
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "trigger.put", mutation) is not None:
                return _trigger(connection, trigger.name)
            known = _triggers(connection, trigger.name)
            at = now()
            made = msgspec.structs.replace(
                trigger,
                created_at=known[0].created_at if known else at,
                created_by=known[0].created_by if known else mutation.actor,
                changed_at=at,
                status=known[0].status if known else msgspec.structs.replace(trigger.status, since=at),
            )
            before, after = _said(known[0]) if known else {}, _said(made)
            changed = [field for field in after if before.get(field) != after[field]]
            if changed or not known:
                connection.execute(
                    "INSERT INTO triggers (name, record, state) VALUES (?, ?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET record = excluded.record",
                    (made.name, _text(made), msgspec.json.encode(made.status).decode()),
                )
                journal.append(
                    connection,
                    "trigger.change" if known else "trigger.create",
                    made.name,
                    mutation,
                    before={field: before[field] for field in changed if field in before},
                    after={field: after[field] for field in changed},
                )
            else:
                made = known[0]
            idempotency.note(connection, "trigger.put", mutation)
            return made

    def delete(self, name: str, mutation: Mutation) -> None:
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "trigger.delete", mutation) is not None:
                return
            before = _trigger(connection, name)
            busy = connection.execute(
                "SELECT id FROM trigger_firings WHERE trigger = ? AND state = 'running' LIMIT 1", (name,)
            ).fetchone()
            if busy is not None:
                raise Refused(
                    f"trigger {name} is at work (firing {busy[0][:8]}); nothing was changed. Pause it and wait for its "
                    "end, or stop its run."
                )
            connection.execute("DELETE FROM trigger_firings WHERE trigger = ?", (name,))
            connection.execute("DELETE FROM triggers WHERE name = ?", (name,))
            journal.append(connection, "trigger.delete", name, mutation, before=_said(before))
            idempotency.note(connection, "trigger.delete", mutation)

    def turn(self, name: str, state: TriggerState, mutation: Mutation) -> Trigger:
        with self._database.write(durable=True) as connection:
            held = _trigger(connection, name)
            verb = _ACTIONS[state]
            if idempotency.made_before(connection, verb, mutation) is not None:
                return held
            if held.status.state is not state:
                active = state is TriggerState.ACTIVE
                status = msgspec.structs.replace(
                    held.status,
                    state=state,
                    reason="" if active else mutation.reason,
                    since=now(),
                    failures=0 if active else held.status.failures,
                )
                _keep(connection, name, status)
                journal.append(
                    connection,
                    verb,
                    name,
                    mutation,
                    before={"state": held.status.state.value, "failures": held.status.failures},
                    after={"state": state.value, "failures": status.failures},
                )
                held = msgspec.structs.replace(held, status=status)
            idempotency.note(connection, verb, mutation)
            return held

    def observe(self, name: str, status: TriggerStatus) -> bool:
        with self._database.read() as connection:
            if _observed(_trigger(connection, name).status, status) is None:
                return False  # who looks every second writes only what is new
        with self._database.write() as connection:
            fresh = _observed(_trigger(connection, name).status, status)
            if fresh is not None:
                _keep(connection, name, fresh)
            return fresh is not None

    def fire(self, firing: Firing, status: TriggerStatus) -> bool:
        with self._database.write(durable=True) as connection:
            held = _trigger(connection, firing.trigger)
            added = connection.execute(
                "INSERT INTO trigger_firings (id, trigger, at, state, record) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO NOTHING",
                (firing.id, firing.trigger, firing.at, firing.state.value, msgspec.json.encode(firing).decode()),
            )
            fresh = _observed(held.status, status)
            if fresh is not None:
                _keep(connection, firing.trigger, fresh)
            return added.rowcount == 1

    def put_firing(self, firing: Firing) -> None:
        with self._database.write(durable=firing.state.ended) as connection:
            changed = connection.execute(
                "UPDATE trigger_firings SET state = ?, record = ? WHERE id = ?",
                (firing.state.value, msgspec.json.encode(firing).decode(), firing.id),
            )
            if changed.rowcount == 0:
                raise _no_firing(firing.id)

    def firing(self, firing: str) -> Firing:
        with self._database.read() as connection:
            row = connection.execute("SELECT record FROM trigger_firings WHERE id = ?", (firing,)).fetchone()
        if row is None:
            raise _no_firing(firing)
        return _firing(row)

    def firings(
        self,
        trigger: str = "",
        *,
        states: Sequence[FiringState] = (),
        since: Millis | None = None,
        limit: int = 200,
    ) -> tuple[Firing, ...]:
        marks = ", ".join("?" * len(states))
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT record FROM trigger_firings WHERE (?1 = '' OR trigger = ?1) AND at >= ?2 "
                + (f"AND state IN ({marks}) " if states else "")
                + f"ORDER BY at DESC, seq DESC LIMIT {int(limit)}",
                (trigger, -(2**63) if since is None else since, *(state.value for state in states)),
            ).fetchall()
        return tuple(_firing(row) for row in rows)


def _triggers(connection: sqlite3.Connection, name: str | None = None) -> list[Trigger]:
    rows = connection.execute("SELECT record, state FROM triggers WHERE ?1 IS NULL OR name = ?1 ORDER BY name", (name,))
    return [
        msgspec.structs.replace(
            msgspec.json.decode(record, type=Trigger), status=msgspec.json.decode(status, type=TriggerStatus)
        )
        for record, status in rows
    ]


def _trigger(connection: sqlite3.Connection, name: str) -> Trigger:
    found = _triggers(connection, name)
    if not found:
        raise absent(connection, "trigger", name)
    return found[0]


def _observed(held: TriggerStatus, seen: TriggerStatus) -> TriggerStatus | None:
    """What was seen, under the state that a person or a failure gave it; None where it says nothing new."""
    fresh = msgspec.structs.replace(seen, state=held.state, reason=held.reason, since=held.since)
    return None if fresh == held else fresh


def _keep(connection: sqlite3.Connection, name: str, status: TriggerStatus) -> None:
    connection.execute("UPDATE triggers SET state = ? WHERE name = ?", (msgspec.json.encode(status).decode(), name))


def _text(trigger: Trigger) -> str:
    return msgspec.json.encode(msgspec.structs.replace(trigger, status=TriggerStatus())).decode()


def _said(trigger: Trigger) -> dict[str, Any]:
    """The definition, as the journal tells it."""
    whole: dict[str, Any] = msgspec.to_builtins(trigger)
    return {field: value for field, value in whole.items() if field not in _KEPT_BY_STORE}


def _firing(row: tuple[Any, ...]) -> Firing:
    return msgspec.json.decode(row[0], type=Firing)


def _no_firing(firing: str) -> NotFound:
    return NotFound(f"firing {firing} is not there; it may have been deleted with its trigger.")
