"""Where aliases are, how they move, and the history of it: within the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from backends.alias_changes import action_of, check_moves, ends, moves_of
from backends.contract import Conflict, Mutation
from backends.entities import AliasChange, AliasMove
from backends.local import journal
from backends.local.database import now


def held(connection: sqlite3.Connection, model: str) -> dict[str, str]:
    """alias → version."""
    rows = connection.execute("SELECT alias, version FROM aliases WHERE model = ? ORDER BY alias", (model,))
    return {alias: str(version) for alias, version in rows}


def every(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """model → alias → version."""
    found: dict[str, dict[str, str]] = {}
    for model, alias, version in connection.execute("SELECT model, alias, version FROM aliases ORDER BY alias"):
        found.setdefault(model, {})[alias] = str(version)
    return found


def move(
    connection: sqlite3.Connection, model: str, changes: Sequence[AliasChange], mutation: Mutation
) -> tuple[AliasMove, ...]:
    """Each alias from where it is expected, under one journal entry. Conflict where one is not there: the caller's
    transaction ends with it, so that none has moved."""
    aliases = held(connection, model)
    for change in changes:
        if aliases.get(change.alias) != change.expected:
            raise Conflict(_elsewhere(connection, model, change, aliases.get(change.alias)))
    check_moves(model, changes)
    for change in changes:
        if change.version is None:
            connection.execute("DELETE FROM aliases WHERE model = ? AND alias = ?", (model, change.alias))
        else:
            connection.execute(
                "INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", (model, change.alias, int(change.version))
            )
    at = now()
    connection.execute("UPDATE models SET updated_at = ? WHERE name = ?", (at, model))
    before, after = ends(model, changes)
    entry = journal.append(connection, action_of(changes), model, mutation, before=before, after=after, at=at)
    moves = moves_of(model, changes, mutation, action=entry.action, entry=entry.id, at=at)
    # The first stands newest in the history: it is what the change is about.
    for each in reversed(moves):
        _keep(connection, each)
    return moves


def take_away(
    connection: sqlite3.Connection, model: str, alias: str, version: str, mutation: Mutation, action: str
) -> None:
    """An alias whose version goes."""
    connection.execute("DELETE FROM aliases WHERE model = ? AND alias = ?", (model, alias))
    _keep(
        connection,
        AliasMove(
            model=model,
            alias=alias,
            version=None,
            previous=version,
            at=now(),
            actor=mutation.actor,
            reason=mutation.reason,
            action=action,
        ),
    )


def _keep(connection: sqlite3.Connection, made: AliasMove) -> None:
    connection.execute(
        "INSERT INTO alias_moves (model, alias, at, record) VALUES (?, ?, ?, ?)",
        (made.model, made.alias, made.at, msgspec.json.encode(made).decode()),
    )


# ---------------------------------------------------------------- under a key


def note_of(moves: Sequence[AliasMove]) -> str:
    """What is kept under the key of a change."""
    return msgspec.json.encode(moves).decode()


def noted(text: str) -> tuple[AliasMove, ...]:
    """The moves that a key made; older notes hold one move alone."""
    found = msgspec.json.decode(text, type=AliasMove | tuple[AliasMove, ...])
    return (found,) if isinstance(found, AliasMove) else found


# ---------------------------------------------------------------- words


def _named(version: str | None) -> str:
    return "nothing" if version is None else f"v{version}"


def _elsewhere(connection: sqlite3.Connection, model: str, change: AliasChange, holder: str | None) -> str:
    """Who moved the alias, and when, since the caller looked."""
    row = connection.execute(
        "SELECT record FROM alias_moves WHERE model = ? AND alias = ? ORDER BY seq DESC LIMIT 1", (model, change.alias)
    ).fetchone()
    if row is None:
        return (
            f"alias {change.alias} of {model} was expected at {_named(change.expected)}, and it was never set; nothing "
            "was changed. Look again and repeat."
        )
    last = msgspec.json.decode(row[0], type=AliasMove)
    return (
        f"alias {change.alias} of {model} moved from {_named(last.previous)} to {_named(holder)} by {last.actor} "
        f"at {journal.clock(last.at)} while you were looking (you saw {_named(change.expected)}); nothing was changed. "
        "Look again and repeat."
    )
