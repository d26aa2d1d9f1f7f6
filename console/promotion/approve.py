"""Agreeing to a promotion: the gates are judged anew, and the last one who is wanted carries it out."""

from __future__ import annotations

import msgspec

from backends.contract import Backend, Conflict, Mutation, Refused
from backends.entities import AliasMove, GateResult, ModelVersion
from console.promotion import moving
from console.promotion.approvals import (
    Waiting,
    agreement,
    close,
    must_wait,
    note_answer,
    request_named,
)
from console.promotion.consent import CARRIED_OUT
from console.promotion.deciding import alone
from console.promotion.gates import failed
from console.promotion.moves import moves_of, named
from console.promotion.moving import Tell, silent
from console.promotion.person import person
from console.promotion.promote import gates_of, policy_of, refusal_of, refuse


def approve(backend: Backend, name: str, mutation: Mutation, *, tell: Tell = silent) -> AliasMove | Waiting:
    """Agree to the request; the move where that was the last one who was wanted, else the request with its answers.

    Refused where it is one's own, has ended, or a gate fails today; Conflict where the alias moved or the version's
    file changed since it was asked. The same person twice counts once, and goes on with what a crash left undone.
    """
    with alone(backend, request_named(backend, name).asked.model):
        return _approve(backend, name, mutation, tell)


def _approve(backend: Backend, name: str, mutation: Mutation, tell: Tell) -> AliasMove | Waiting:
    request = request_named(backend, name)
    asked = request.asked
    done = carried_out(backend, request)
    if done is not None:
        close(backend, request)
        if any(person(each) == person(mutation.actor) for each in request.agreed):
            return done
        raise Refused(f"{request.what()} was carried out by {done.actor}; nothing was changed.")
    must_wait(request, "approved")
    not_ones_own(request, mutation.actor)
    policy = policy_of(backend, asked.model, asked.version, asked.changes)
    try:
        gates = judged(backend, request, mutation)
    except Conflict:
        made = carried_out(backend, request)  # by another one who agreed, a moment ago
        if made is None:
            raise
        raise Refused(f"{request.what()} was carried out by {made.actor}; nothing was changed.") from None
    request = note_answer(backend, request, msgspec.structs.replace(mutation, gates=gates), agreed=True)
    wanted = max(asked.approvals, policy.approvals)
    if len(request.agreed) < wanted:
        return request
    return _carry_out(backend, request, gates, mutation, wanted, tell)


def not_ones_own(request: Waiting, actor: str) -> None:
    """Refused where the actor is who asked."""
    if person(actor) == person(request.by):
        raise Refused(
            f"one does not approve one's own, and {request.what()} was asked by {request.by}; nothing was changed. "
            f"Others are wanted: {request.asked.approvals}."
        )


def judged(backend: Backend, request: Waiting, mutation: Mutation) -> tuple[GateResult, ...]:
    """The gates today.

    Conflict where it is not what was asked any more, Refused (and journaled) where a gate fails that nobody overrode.
    """
    asked, registry = request.asked, backend.need("registry")
    aliases = registry.get(asked.model).aliases
    for change in asked.changes:
        held = aliases.get(change.alias)
        if held != change.expected:
            last = next(iter(moves_of(backend, asked.model, change.alias)), None)
            by = f" by {last.actor}" if last is not None else ""
            raise Conflict(
                f"changed under you: {change.alias} of {asked.model} was at {named(change.expected)} when {request.by} "
                f"asked, and is at {named(held)} now{by}; nothing was changed. Reject it "
                f"(model reject {request.id[:8]}) and ask anew."
            )
    candidate: ModelVersion = registry.version(asked.model, asked.version)
    if candidate.file.sha256 != asked.digest:
        raise Conflict(
            f"changed under you: {candidate.model} v{candidate.version} is another file than {request.by} asked for "
            f"(sha256 {candidate.file.sha256[:12] or 'none'}, was {asked.digest[:12] or 'none'}); nothing was changed. "
            f"Reject it (model reject {request.id[:8]}) and ask anew."
        )
    gates = gates_of(backend, candidate, asked.changes)
    fresh = tuple(gate for gate in failed(gates) if gate.gate not in asked.overridden)
    if fresh:
        told = msgspec.structs.replace(mutation, gates=gates)
        refuse(backend, candidate, asked.alias, told, asked.expected, refusal_of(fresh))
    return gates


def carried_out(backend: Backend, request: Waiting) -> AliasMove | None:
    """The move that the request became, also where whoever made it died before saying so."""
    asked, key = request.asked, _key(request)
    for move in moves_of(backend, asked.model, asked.alias):
        if move.version == asked.version and move.entry and backend.need("journal").get(move.entry).key == key:
            return move
    return None


def _carry_out(
    backend: Backend,
    request: Waiting,
    gates: tuple[GateResult, ...],
    mutation: Mutation,
    wanted: int,
    tell: Tell,
) -> AliasMove:
    asked = request.asked
    said = msgspec.structs.replace(
        mutation,
        reason=asked.reason or mutation.reason,
        key=_key(request),
        action="model.promote",
        gates=(*gates, agreement(request, wanted)),
    )
    try:
        made = moving.move(backend, asked.model, asked.changes, said, override="loads" in asked.overridden, tell=tell)
    except Conflict:
        faster = carried_out(backend, request)  # another one who agreed, by a moment
        if faster is None:
            raise
        made = faster
    close(backend, request)
    return made


def _key(request: Waiting) -> str:
    return f"{CARRIED_OUT}{request.id}"
