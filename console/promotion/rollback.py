"""Rollback: put back a version that held the alias before, once its file is known to be whole."""

from __future__ import annotations

import msgspec

from backends.contract import Backend, Mutation, NotFound, Refused
from backends.entities import AliasMove, GateResult, GateStatus, ModelVersion
from console.promotion.along import way_back
from console.promotion.gates import artifact_gate
from console.promotion.moves import check_expected, earlier_holders, made_before, moves_of, named
from console.promotion.moving import Tell, move, silent
from console.promotion.prompts import is_prompt, text_gate

_WHAT = {"artifact": "model file", "text": "text"}


def rollback_target(backend: Backend, model: str, alias: str, *, to: str | None = None) -> ModelVersion:
    """The version that a rollback would put back: the holder before this one, or `to`, any earlier holder.

    Raises Refused where there is none.
    """
    registry = backend.need("registry")
    held = registry.get(model).aliases.get(alias)
    moves = moves_of(backend, model, alias)
    if to is not None:
        wanted: ModelVersion = registry.version(model, to)
        holders = {version for move in moves for version in (move.version, move.previous) if version}
        if wanted.version == held:
            raise Refused(f"{alias} of {model} is at v{held} already; nothing was changed.")
        if wanted.version not in holders:
            known = ", ".join(named(v) for v in sorted(holders - {held}, key=lambda v: (len(v), v))) or "none"
            raise Refused(
                f"{model} v{wanted.version} never was {alias}, so one cannot roll back to it (earlier holders: "
                f"{known}). Promote it instead."
            )
        return wanted
    for version in earlier_holders(moves):
        if version is not None and version != held:
            found: ModelVersion = registry.version(model, version)
            return found
    raise Refused(f"{alias} of {model} is at {named(held)} and nothing held it before; there is nothing to go back to.")


def rollback(
    backend: Backend,
    model: str,
    alias: str,
    mutation: Mutation,
    *,
    to: str | None = None,
    expected: str | None,
    tell: Tell = silent,
) -> AliasMove:
    """Point the alias back, and what moved with it since, where nobody moved that on. The target's file is verified
    first, and loaded by whoever serves it: Refused where it is not whole or does not load, Conflict where the alias is
    not at `expected` any more."""
    done = made_before(backend, model, alias, mutation)
    if done is not None:
        return done
    check_expected(backend, model, alias, expected)
    target = rollback_target(backend, model, alias, to=to)
    gate = whole(backend, target, mutation, "model.rollback", alias, expected)
    mutation = msgspec.structs.replace(mutation, action="model.rollback", gates=(gate,))
    changes, _ = way_back(backend, model, alias, target.version, expected=expected)
    return move(backend, model, changes, mutation, tell=tell)


def whole(
    backend: Backend, target: ModelVersion, mutation: Mutation, action: str, alias: str, expected: str | None
) -> GateResult:
    """The artifact gate of a version that is put back, of a prompt that of its text; Refused, and journaled, where it
    fails."""
    try:
        gate = text_gate(target) if is_prompt(backend, target.model) else artifact_gate(backend, target)
    except NotFound as error:
        gate = GateResult(gate="artifact", status=GateStatus.FAIL, value="gone", detail=str(error))
    if gate.status is GateStatus.FAIL:
        said = f"{gate.value}{f' ({gate.detail})' if gate.detail else ''}"
        if backend.journal is not None:
            backend.journal.record(
                action,
                target.model,
                msgspec.structs.replace(mutation, key="", gates=(gate,)),
                before={"model": target.model, "alias": alias, "version": expected},
                after={"model": target.model, "alias": alias, "version": target.version},
                outcome="failed",
                detail=f"refused: {gate.gate}: {said}",
            )
        raise Refused(
            f"{target.model} v{target.version} cannot be put back: its {_WHAT[gate.gate]} is {said}. {alias} stays at "
            f"{named(expected)}. Choose another earlier version.",
            (gate,),
        )
    return gate
