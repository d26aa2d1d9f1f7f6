"""Experiments: the verbs of `ExperimentStore`. One that is deleted takes its runs out of sight with it."""

from __future__ import annotations

import sqlite3
import uuid
from typing import Any, Final

import msgspec

from backends.contract import START, Conflict, Mutation, NotFound, Page, Refused
from backends.entities import Experiment, Millis
from backends.listing import cut
from backends.local import idempotency, journal
from backends.local.database import Database, now
from backends.local.limits import check_name, check_pairs, check_text
from backends.query_keys import nearest

SELECT: Final = (
    "SELECT e.id, e.name, e.created_at, e.updated_at, coalesce(f.runs, 0), e.note, e.tags, e.deleted_at "
    "FROM experiments e LEFT JOIN facets f ON f.kind = 'experiment' AND f.value = e.name"
)


def record(row: tuple[Any, ...]) -> Experiment:
    """What a row of `SELECT` says."""
    return Experiment(
        id=row[0],
        name=row[1],
        created_at=row[2],
        updated_at=row[3],
        runs=row[4],
        note=row[5],
        tags=msgspec.json.decode(row[6]),
        deleted_at=row[7],
    )


def ensure(connection: sqlite3.Connection, name: str, at: Millis) -> None:
    """Make the experiment if it is not there; Refused where it is deleted."""
    made = connection.execute(
        "INSERT INTO experiments (id, name, created_at, updated_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at WHERE deleted_at IS NULL RETURNING id",
        (new_id(), name, at, at),
    ).fetchone()
    if made is None:
        raise Refused(
            f"experiment {name} is deleted, so it takes no new run; nothing was changed. Restore it, or name another."
        )


def new_id() -> str:
    """Digits only: clients of the tracking protocol take an experiment's id for a number."""
    return str(uuid.uuid4().int % 10**18)


class LocalExperiments:
    """`ExperimentStore` in the workspace's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, *, at: str = START, limit: int = 100, deleted: bool = False) -> Page[Experiment]:
        with self._database.read() as connection:
            rows = connection.execute(
                f"{SELECT} WHERE e.deleted_at IS {'NOT ' if deleted else ''}NULL ORDER BY e.updated_at DESC, e.seq DESC"
            ).fetchall()
        return cut([record(row) for row in rows], at, limit, name=lambda found: found.id)

    def get(self, experiment: str) -> Experiment:
        with self._database.read() as connection:
            return _found(connection, experiment)

    def create(self, name: str, mutation: Mutation, *, tags: dict[str, str] | None = None) -> Experiment:
        check_name("experiment", name)
        check_pairs("tag", tags or {}, "tags")
        at = now()
        with self._database.write(durable=True) as connection:
            made = idempotency.made_before(connection, "experiment.create", mutation)
            if made is not None:
                return _found(connection, made)
            taken = connection.execute("SELECT deleted_at FROM experiments WHERE name = ?", (name,)).fetchone()
            if taken is not None:
                raise Conflict(_taken(name, taken[0] is not None))
            made = new_id()
            connection.execute(
                "INSERT INTO experiments (id, name, created_at, updated_at, tags) VALUES (?, ?, ?, ?, ?)",
                (made, name, at, at, _json(tags or {})),
            )
            journal.append(connection, "experiment.create", name, mutation, after={"name": name}, at=at)
            idempotency.note(connection, "experiment.create", mutation, made)
            return _found(connection, made)

    def rename(self, experiment: str, name: str, mutation: Mutation) -> None:
        check_name("experiment", name)
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "experiment.rename", mutation) is not None:
                return
            found = _living(connection, experiment)
            if found.name != name:
                taken = connection.execute("SELECT deleted_at FROM experiments WHERE name = ?", (name,)).fetchone()
                if taken is not None:
                    raise Conflict(_taken(name, taken[0] is not None))
                connection.execute("UPDATE experiments SET name = ? WHERE id = ?", (name, found.id))
                connection.execute("UPDATE runs SET experiment = ? WHERE experiment = ?", (name, found.name))
                connection.execute("UPDATE logged_models SET experiment = ? WHERE experiment = ?", (name, found.name))
                self._changed(connection, "experiment.rename", found, mutation, {"name": found.name}, {"name": name})
            idempotency.note(connection, "experiment.rename", mutation)

    def set_tags(self, experiment: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        check_pairs("tag", tags, "tags")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "experiment.tag", mutation) is not None:
                return
            found = _living(connection, experiment)
            changed = {key: value for key, value in tags.items() if found.tags.get(key) != value}
            if changed:
                kept = {key: value for key, value in {**found.tags, **changed}.items() if value is not None}
                connection.execute("UPDATE experiments SET tags = ? WHERE id = ?", (_json(kept), found.id))
                before = {key: found.tags.get(key) for key in changed}
                self._changed(connection, "experiment.tag", found, mutation, {"tags": before}, {"tags": changed})
            idempotency.note(connection, "experiment.tag", mutation)

    def set_note(self, experiment: str, note: str, mutation: Mutation) -> None:
        check_text("a note", note, "note")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "experiment.note", mutation) is not None:
                return
            found = _living(connection, experiment)
            if found.note != note:
                connection.execute("UPDATE experiments SET note = ? WHERE id = ?", (note, found.id))
                self._changed(connection, "experiment.note", found, mutation, {"note": found.note}, {"note": note})
            idempotency.note(connection, "experiment.note", mutation)

    def delete(self, experiment: str, mutation: Mutation, *, unended: bool = False) -> None:
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "experiment.delete", mutation) is not None:
                return
            found = _found(connection, experiment)
            if found.deleted_at is None:
                self._delete(connection, found, mutation, unended)
            idempotency.note(connection, "experiment.delete", mutation)

    def _delete(self, connection: sqlite3.Connection, found: Experiment, mutation: Mutation, unended: bool) -> None:
        busy = connection.execute(
            "SELECT id, status FROM runs WHERE experiment = ? AND deleted_at IS NULL "
            "AND status IN ('queued', 'running', 'stopping') LIMIT 1",
            (found.name,),
        ).fetchone()
        if busy is not None and not unended:
            raise Refused(
                f"experiment {found.name} has run {busy[0][:8]}, which is {busy[1]}, and cannot be deleted; nothing "
                "was changed. Stop it first."
            )
        # The very moment marks which runs went with it: those come back when it does.
        at = now()
        connection.execute("UPDATE experiments SET deleted_at = ?, updated_at = ? WHERE id = ?", (at, at, found.id))
        connection.execute(
            "UPDATE runs SET deleted_at = ? WHERE experiment = ? AND deleted_at IS NULL", (at, found.name)
        )
        journal.append(
            connection, "experiment.delete", found.name, mutation, before={"deleted_at": None}, after={"deleted_at": at}
        )

    def restore(self, experiment: str, mutation: Mutation) -> None:
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "experiment.restore", mutation) is not None:
                return
            found = _found(connection, experiment)
            if found.deleted_at is not None:
                connection.execute(
                    "UPDATE experiments SET deleted_at = NULL, updated_at = ? WHERE id = ?", (now(), found.id)
                )
                connection.execute(
                    "UPDATE runs SET deleted_at = NULL WHERE experiment = ? AND deleted_at = ?",
                    (found.name, found.deleted_at),
                )
                before = {"deleted_at": found.deleted_at}
                journal.append(
                    connection,
                    "experiment.restore",
                    found.name,
                    mutation,
                    before=before,
                    after={"deleted_at": None},
                )
            idempotency.note(connection, "experiment.restore", mutation)

    def _changed(
        self,
        connection: sqlite3.Connection,
        action: str,
        found: Experiment,
        mutation: Mutation,
        before: dict[str, Any],
        after: dict[str, Any],
    ) -> None:
        connection.execute("UPDATE experiments SET updated_at = ? WHERE id = ?", (now(), found.id))
        journal.append(connection, action, found.name, mutation, before=before, after=after)


def _found(connection: sqlite3.Connection, experiment: str) -> Experiment:
    # An id first: a name may look like the id of another.
    row = connection.execute(f"{SELECT} WHERE e.id = ?", (experiment,)).fetchone()
    row = row or connection.execute(f"{SELECT} WHERE e.name = ?", (experiment,)).fetchone()
    if row is None:
        names = [str(name) for (name,) in connection.execute("SELECT name FROM experiments ORDER BY name LIMIT 2000")]
        close = nearest(experiment[:60], [name for name in names if len(name) <= 60])
        hint = f"did you mean {close}?" if close else "give the name or the id of one that is there."
        raise NotFound(f"there is no experiment {experiment}; {hint}")
    return record(row)


def _living(connection: sqlite3.Connection, experiment: str) -> Experiment:
    found = _found(connection, experiment)
    if found.deleted_at is not None:
        raise Refused(f"experiment {found.name} is deleted; nothing was changed. Restore it first.")
    return found


def _taken(name: str, deleted: bool) -> str:
    if deleted:
        return f"experiment {name} is there and deleted; nothing was changed. Restore it, or take another name."
    return f"experiment {name} is there already; nothing was changed. Use it, or take another name."


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
