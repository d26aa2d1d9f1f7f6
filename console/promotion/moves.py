"""How an alias got where it is: what each move meant, and which of them still count."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from backends.contract import Backend, Conflict, Mutation
from backends.entities import AliasMove, JournalEntry, Millis

LIMIT = 100_000
"""Moves of one alias; more than any alias makes."""

DEFAULT_ALIAS = "champion"


def moves_of(backend: Backend, model: str, alias: str) -> tuple[AliasMove, ...]:
    """Newest first."""
    found: tuple[AliasMove, ...] = backend.need("registry").history(model, alias=alias, limit=LIMIT)
    return found


def made_before(backend: Backend, model: str, alias: str, mutation: Mutation) -> AliasMove | None:
    """The move that an earlier call with the same key made: asked again, it is not done again and not judged again."""
    if not mutation.key or backend.journal is None:
        return None
    for move in moves_of(backend, model, alias):
        if move.actor == mutation.actor and move.entry and backend.journal.get(move.entry).key == mutation.key:
            return move
    return None


def earlier_holders(moves: tuple[AliasMove, ...]) -> list[str | None]:
    """The holders that one can go back to, the nearest first.

    A rollback or an undo takes away what stood above its target: going back twice goes two holders back, and never to
    the version that was just left.
    """
    stack: list[str | None] = []
    for move in reversed(moves):
        if not stack:
            stack.append(move.previous)
        back = move.action in ("rollback", "undo")
        if back and move.version in stack:
            while stack[-1] != move.version:
                stack.pop()
        else:
            stack.append(move.version)
    return stack[-2::-1]


def in_force(backend: Backend, model: str, alias: str) -> JournalEntry | None:
    """The entry of the newest move that was neither undone nor an undo."""
    journal = backend.need("journal")
    for move in moves_of(backend, model, alias):
        if not move.entry:
            return None
        entry: JournalEntry = journal.get(move.entry)
        if not entry.undoes and not entry.undone_by:
            return entry
    return None


def check_expected(
    backend: Backend, model: str, alias: str, expected: str | None, aliases: Mapping[str, str] | None = None
) -> None:
    """Conflict that says who moved the alias, when and where to, if it is not where the caller saw it. `aliases` is
    where those of the model are (asked for without it)."""
    held = (backend.need("registry").get(model).aliases if aliases is None else aliases).get(alias)
    if held == expected:
        return
    last = next(iter(moves_of(backend, model, alias)), None)
    by = f" from {named(last.previous)} by {last.actor} at {_clock(last.at)}" if last else ""
    raise Conflict(
        f"alias {alias} of {model} moved to {named(held)}{by} while you were looking (you saw {named(expected)}); "
        "nothing was changed. Look again and repeat."
    )


def _clock(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def named(version: str | None) -> str:
    return "nothing" if version is None else f"v{version}"
