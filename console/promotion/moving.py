"""An alias moves: whoever serves what it names is made ready first, then all aliases of the change move at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from backends.alias_changes import ends
from backends.contract import Backend, Mutation, Refused
from backends.entities import AliasChange, AliasMove, GateResult, GateStatus
from console.promotion.along import said
from console.promotion.moves import named
from console.promotion.policy import policy_for, taken

Tell = Callable[[str], object]
"""Takes a sentence about what is under way."""


def silent(_: str) -> None:
    """Tells nobody."""


def move(
    backend: Backend,
    model: str,
    changes: Sequence[AliasChange],
    mutation: Mutation,
    *,
    override: bool = False,
    tell: Tell = silent,
) -> AliasMove:
    """Carry out what was judged: the move of the first alias, with all others of the change.

    Refused, and journaled, before anything moves where a server that follows one of them cannot load what it would
    have to serve; not where that is overridden or the policy only warns of it.
    """
    from console.promotion.warming import followers, switch, warm

    asked = [
        change
        for change in changes
        if change.version is not None and policy_for(backend, model, change.alias).gates.get("loads") != "off"
    ]
    warmed = warm(backend, followers(backend, model, asked), tell)
    gates = _as_the_policy_takes_them(backend, model, asked, tuple(each.gate for each in warmed))
    mutation = msgspec.structs.replace(mutation, gates=(*mutation.gates, *gates))
    bad = [gate for gate in gates if gate.status is GateStatus.FAIL]
    if bad and not override:
        _refuse(backend, model, changes, mutation, bad)
    moves: tuple[AliasMove, ...] = backend.need("registry").set_aliases(model, changes, mutation=mutation)
    switch(warmed)
    return moves[0]


def _as_the_policy_takes_them(
    backend: Backend, model: str, changes: Sequence[AliasChange], gates: tuple[GateResult, ...]
) -> tuple[GateResult, ...]:
    for change in changes:
        gates = taken(policy_for(backend, model, change.alias), gates)
    return gates


def _refuse(
    backend: Backend, model: str, changes: Sequence[AliasChange], mutation: Mutation, bad: Sequence[GateResult]
) -> None:
    why = "; ".join(f"{gate.value}: {gate.detail}" for gate in bad)
    if backend.journal is not None:
        before, after = ends(model, changes)
        backend.journal.record(
            mutation.action or "model.promote",
            model,
            # Without the key: the same request may come again with an override, and is another decision then.
            msgspec.structs.replace(mutation, key="", undoes=""),
            before=before,
            after=after,
            outcome="failed",
            detail=f"refused: {why}",
        )
    first = changes[0]
    raise Refused(
        f"{model} v{first.version} cannot be served ({why}). Nothing was moved ({said(changes)} was wanted): "
        f"{first.alias} stays at {named(first.expected)}. Mend it and register again, choose another version, or "
        "override with a reason.",
        mutation.gates,
    )
