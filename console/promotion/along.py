"""Which aliases move together: what a person names, what the policy sends along, what a way back takes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.contract import Backend, Conflict, Invalid
from backends.entities import AliasChange, AliasMove
from console.promotion.moves import moves_of, named
from console.promotion.policy import policy_for


def leading(backend: Backend, model: str, aliases: Sequence[str]) -> tuple[str, ...]:
    """The aliases that a promotion brings to its version, each judged by its own policy: those that are named, and
    those that the policy of these sends to the same version."""
    if not aliases or not all(alias.strip() for alias in aliases):
        raise Invalid("an alias is named, and it is empty; nothing was changed.", "alias")
    sent = [
        other
        for alias in aliases
        for other, where in sorted(policy_for(backend, model, alias).together.items())
        if where == "version"
    ]
    return tuple(dict.fromkeys([*aliases, *sent]))


def changes_for(
    backend: Backend, model: str, version: str, aliases: Sequence[str], *, held: Mapping[str, str] | None = None
) -> tuple[AliasChange, ...]:
    """The whole change that a promotion of the version to these aliases is, the first alias first.

    `held` is where the aliases of the model are (asked for without it). An alias that is where it should go already
    is left out, but for the first: that one is what the promotion is about.
    """
    held = backend.need("registry").get(model).aliases if held is None else held
    leads = leading(backend, model, aliases)
    wanted: dict[str, str | None] = dict.fromkeys(leads, version)
    for alias in aliases:
        for other, where in sorted(policy_for(backend, model, alias).together.items()):
            if where == "holder" and held.get(alias) not in (None, version):
                wanted.setdefault(other, held.get(alias))
            elif where == "clear" and held.get(other) == version:
                wanted.setdefault(other, None)
    return tuple(
        AliasChange(alias=alias, version=to, expected=held.get(alias))
        for at, (alias, to) in enumerate(wanted.items())
        if at == 0 or held.get(alias) != to
    )


def seen_again(model: str, changes: Sequence[AliasChange], seen: Sequence[AliasChange]) -> tuple[AliasChange, ...]:
    """The changes as a person saw them, if they still are what there is to do; else Conflict."""
    if {(each.alias, each.version) for each in changes} != {(each.alias, each.version) for each in seen}:
        raise Conflict(
            f"what moves together changed while you were looking: you saw {said(seen)} of {model}, and it is "
            f"{said(changes)} now; nothing was changed. Look again and repeat."
        )
    return tuple(seen)


def said(changes: Sequence[AliasChange]) -> str:
    """`champion v1 → v2, previous nothing → v1`."""
    return ", ".join(f"{each.alias} {named(each.expected)} → {named(each.version)}" for each in changes)


def said_of(moves: Sequence[AliasMove]) -> str:
    """`champion: v1 → v2, previous: nothing → v1`."""
    return ", ".join(f"{each.alias}: {named(each.previous)} → {named(each.version)}" for each in moves)


# ---------------------------------------------------------------- back


def way_back(
    backend: Backend, model: str, alias: str, target: str, *, expected: str | None
) -> tuple[tuple[AliasChange, ...], tuple[str, ...]]:
    """(the whole change that a rollback of the alias to the target is, aliases that stay because they moved since).

    What moved together with the alias since the target held it goes back with it, to where it was then.
    """
    everything = moves_of(backend, model, "")
    found: dict[str, str | None] = {}
    left_at: dict[str, str | None] = {}
    for move in everything:
        if move.alias != alias:
            continue
        for other in _along(everything, move):
            left_at.setdefault(other.alias, other.version)
            found[other.alias] = other.previous
        if move.previous == target:
            break
    held = backend.need("registry").get(model).aliases
    changes = [AliasChange(alias=alias, version=target, expected=expected)]
    stay = []
    for other_alias, version in found.items():
        if held.get(other_alias) == version:
            continue
        if held.get(other_alias) != left_at[other_alias]:
            stay.append(other_alias)
        else:
            changes.append(AliasChange(alias=other_alias, version=version, expected=held.get(other_alias)))
    return tuple(changes), tuple(stay)


def _along(moves: Sequence[AliasMove], move: AliasMove) -> list[AliasMove]:
    """What moved in the same change."""
    return [
        other
        for other in moves
        if other.alias in move.along and (other.at, other.actor, other.entry) == (move.at, move.actor, move.entry)
    ]


def moved_with(backend: Backend, move: AliasMove) -> tuple[AliasMove, ...]:
    """The moves of the change that this one is a part of, itself first."""
    if not move.along:
        return (move,)
    return (move, *_along(moves_of(backend, move.model, ""), move))
