"""What a mutation's key made the first time, kept in the transaction that made it."""

from __future__ import annotations

import sqlite3

from backends.contract import Conflict, Mutation
from backends.local.database import now


def made_before(connection: sqlite3.Connection, verb: str, mutation: Mutation) -> str | None:
    """What the first call with this key noted down, or None if this is the first."""
    if not mutation.key:
        return None
    row = connection.execute("SELECT verb, result FROM idempotency WHERE key = ?", (mutation.key,)).fetchone()
    if row is None:
        return None
    if row[0] != verb:
        raise Conflict(
            f"the idempotency key {mutation.key} was used for {row[0]} before and cannot serve {verb}; "
            "nothing was changed. Use a new key."
        )
    result: str = row[1]
    return result


def note(connection: sqlite3.Connection, verb: str, mutation: Mutation, result: str = "") -> None:
    """Remember what this key made."""
    if mutation.key:
        connection.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", (mutation.key, verb, result, now()))
