"""Named texts with all their versions. The verbs of `DefinitionStore`."""

from __future__ import annotations

import hashlib
import sqlite3

import msgspec

from backends.contract import START, Invalid, Mutation, NotFound, Page
from backends.entities import Definition
from backends.listing import cut
from backends.local import idempotency, journal
from backends.local.absent import absent_among
from backends.local.database import Database, now
from backends.local.limits import check_name, check_text


class LocalDefinitions:
    """`DefinitionStore` of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, kind: str, *, at: str = START, limit: int = 100) -> Page[Definition]:
        """The latest version of each name, by name."""
        with self._database.read() as connection:
            found = [_latest(connection, kind, name) for name in _names(connection, kind)]
        return cut([each for each in found if each is not None], at, limit, name=lambda each: each.name)

    def versions(self, kind: str, name: str, *, at: str = START, limit: int = 100) -> Page[Definition]:
        """Newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT record FROM definitions WHERE kind = ? AND name = ? ORDER BY version DESC", (kind, name)
            ).fetchall()
            if not rows:
                raise absent_among(_names(connection, kind), kind, name)
        return cut([_definition(row[0]) for row in rows], at, limit, name=lambda each: each.version)

    def get(self, kind: str, ref: str) -> Definition:
        """By `name@version`, or by `name` (the latest)."""
        name, _, number = ref.partition("@")
        with self._database.read() as connection:
            latest = _latest(connection, kind, name)
            if latest is None:
                raise absent_among(_names(connection, kind), kind, name)
            if not number:
                return latest
            row = None
            if number.isascii() and number.isdigit() and len(number) < 19:
                row = connection.execute(
                    "SELECT record FROM definitions WHERE kind = ? AND name = ? AND version = ?",
                    (kind, name, int(number)),
                ).fetchone()
        if row is None:
            raise NotFound(f"{kind} {name} has no version {number}; its latest is {latest.version}.")
        return _definition(row[0])

    def put(
        self, kind: str, name: str, text: str, mutation: Mutation, *, state: str = "", note: str = ""
    ) -> tuple[Definition, bool]:
        """The next version; or the latest, if it says the same, and False."""
        check_name(kind, name)
        check_text(f"the text of {kind} {name[:80]}", text, "text")
        check_text("a note", note, "note")
        if "@" in name:
            raise Invalid(f"the name of a {kind} cannot hold @, which stands before its version: {name[:200]}.", "name")
        with self._database.write(durable=True) as connection:
            made = idempotency.made_before(connection, "definition.put", mutation)
            latest = _latest(connection, kind, name)
            if latest is not None and (made is not None or (latest.text, latest.state) == (text, state)):
                return latest, False
            definition = Definition(
                kind=kind,
                name=name,
                version=str(int(latest.version) + 1 if latest else 1),
                digest=hashlib.sha256(text.encode()).hexdigest(),
                text=text,
                created_at=now(),
                created_by=mutation.actor,
                note=note,
                state=state,
            )
            connection.execute(
                "INSERT INTO definitions (kind, name, version, record) VALUES (?, ?, ?, ?)",
                (kind, name, int(definition.version), msgspec.msgpack.encode(definition)),
            )
            before = {"version": latest.version, "digest": latest.digest} if latest else {}
            after = {"version": definition.version, "digest": definition.digest}
            journal.append(connection, f"{kind}.define", definition.ref, mutation, before=before, after=after)
            idempotency.note(connection, "definition.put", mutation, definition.ref)
        return definition, True

    def delete(self, kind: str, name: str, mutation: Mutation) -> None:
        """The name with all its versions."""
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "definition.delete", mutation) is not None:
                return
            latest = _latest(connection, kind, name)
            if latest is None:
                raise absent_among(_names(connection, kind), kind, name)
            connection.execute("DELETE FROM definitions WHERE kind = ? AND name = ?", (kind, name))
            before = {"version": latest.version, "digest": latest.digest, "text": latest.text}
            journal.append(connection, f"{kind}.delete", name, mutation, before=before)
            idempotency.note(connection, "definition.delete", mutation)


def _names(connection: sqlite3.Connection, kind: str) -> list[str]:
    rows = connection.execute("SELECT DISTINCT name FROM definitions WHERE kind = ? ORDER BY name", (kind,))
    return [str(row[0]) for row in rows]


def _latest(connection: sqlite3.Connection, kind: str, name: str) -> Definition | None:
    row = connection.execute(
        "SELECT record FROM definitions WHERE kind = ? AND name = ? ORDER BY version DESC LIMIT 1", (kind, name)
    ).fetchone()
    return _definition(row[0]) if row else None


def _definition(record: bytes) -> Definition:
    return msgspec.msgpack.decode(record, type=Definition)
