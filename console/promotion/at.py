"""What was in production at a given time."""

from __future__ import annotations

from backends.contract import Backend
from backends.entities import AliasMove, Millis
from console.promotion.moves import moves_of


def version_at(backend: Backend, model: str, alias: str, when: Millis) -> str | None:
    """The version that the alias named at `when`, or None. A move counts from its own millisecond on."""
    for move in moves_of(backend, model, alias):
        if move.at <= when:
            return move.version
    return None


def versions_at(backend: Backend, model: str, when: Millis) -> dict[str, str]:
    """alias → the version that it named at `when`, of every alias that named one."""
    found = {alias: move.version for alias, move in moves_at(backend, model, when).items()}
    return {alias: version for alias, version in sorted(found.items()) if version is not None}


def moves_at(backend: Backend, model: str, when: Millis) -> dict[str, AliasMove]:
    """alias → the move that put it where it was at `when`."""
    found: dict[str, AliasMove] = {}
    for move in moves_of(backend, model, ""):
        if move.at <= when:
            found.setdefault(move.alias, move)
    return found
