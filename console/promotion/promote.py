"""Promotion: judge a version against whoever holds the alias, then move the alias, all or nothing."""

from __future__ import annotations

import msgspec

from backends.contract import Backend, Invalid, Mutation, Refused, Unsupported
from backends.entities import AliasMove, GateResult, ModelVersion, Record
from console.promotion.approvals import Waiting, ask, same_asked
from console.promotion.gates import failed, gates_against, holder_of, told
from console.promotion.measures import Measure, measures, primary_of, same_test
from console.promotion.moves import check_expected, made_before, named
from console.promotion.policy import Policy, policy_for
from console.promotion.prompts import is_prompt


class Case(Record, frozen=True, kw_only=True):
    """What a person must see before they decide."""

    model: str
    alias: str
    candidate: ModelVersion
    holder: ModelVersion | None
    gates: tuple[GateResult, ...]
    """The worst first."""
    measures: tuple[Measure, ...]
    """The primary metric first."""
    primary: str
    prompt: bool = False
    """It is a text that is promoted, and no model."""
    same_test: bool
    """Whether both were measured on the very same rows."""
    refusal: str = ""
    """Why it cannot be promoted without an override; empty when it can."""
    policy: Policy = Policy()
    waiting: Waiting | None = None
    """The same, asked already and waiting for others to agree."""

    @property
    def expected(self) -> str | None:
        """What `promote` must find the alias at, so that it decides what the person decided."""
        return self.holder.version if self.holder is not None else None


def case_for(backend: Backend, model: str, version: str, alias: str) -> Case:
    """The case for pointing the alias at the version (`@alias` also names one)."""
    candidate = told(backend, backend.need("registry").version(model, version))
    holder = holder_of(backend, model, alias)
    policy = policy_for(backend, model, alias)
    gates = gates_against(backend, candidate, holder, policy)
    expected = holder.version if holder is not None else None
    return Case(
        model=model,
        alias=alias,
        candidate=candidate,
        holder=holder,
        gates=gates,
        measures=measures(candidate, holder),
        primary=primary_of(candidate),
        prompt=is_prompt(backend, model),
        same_test=holder is not None and same_test(candidate, holder),
        refusal=refusal_of(gates),
        policy=policy,
        waiting=same_asked(backend, model, alias, candidate.version, expected) if policy.approvals else None,
    )


def promote(
    backend: Backend,
    model: str,
    version: str,
    alias: str,
    mutation: Mutation,
    *,
    expected: str | None,
    override: bool = False,
) -> AliasMove | Waiting:
    """Point the alias at the version if its gates pass against `expected` and that still holds the alias.

    Where the policy wants others to agree, nothing moves: the answer is the request that waits for them, the same one
    however often it is asked. Raises Refused with the gates (also journaled) where one fails and `override` is not
    given or not this person's to give, Conflict where somebody moved the alias meanwhile, Invalid where an override
    gives no reason. A second call with the same key gives the first one's move.
    """
    registry = backend.need("registry")
    if why := backend.missing.get("aliases"):
        raise Unsupported(f"aliases: not available in context {backend.name}: {why}. Nothing was changed.")
    done = made_before(backend, model, alias, mutation)
    if done is not None:
        return done
    candidate: ModelVersion = registry.version(model, version)
    check_expected(backend, model, alias, expected)
    policy = policy_for(backend, model, alias)
    # Judged against what the caller saw: compare-and-set makes sure that it is still what would be replaced.
    holder = registry.version(model, expected) if expected is not None else None
    gates = gates_against(backend, candidate, holder, policy)
    mutation = msgspec.structs.replace(mutation, gates=gates)
    refusal = refusal_of(gates)
    if refusal:
        _may_override(backend, candidate, alias, mutation, expected, refusal, policy if override else None)
    if policy.approvals:
        if candidate.version == expected:
            raise Refused(f"{alias} of {model} is at v{expected} already; there is nothing to agree to.")
        overridden = tuple(gate.gate for gate in failed(gates))
        return ask(backend, candidate, alias, policy, mutation, expected=expected, overridden=overridden)
    return move_to(backend, candidate, alias, mutation, expected=expected)


def move_to(
    backend: Backend, candidate: ModelVersion, alias: str, mutation: Mutation, *, expected: str | None
) -> AliasMove:
    """What was judged and agreed, carried out."""
    mutation = msgspec.structs.replace(mutation, action="model.promote")
    move: AliasMove = backend.need("registry").set_alias(
        candidate.model, alias, candidate.version, expected=expected, mutation=mutation
    )
    return move


def _may_override(
    backend: Backend,
    candidate: ModelVersion,
    alias: str,
    mutation: Mutation,
    expected: str | None,
    refusal: str,
    policy: Policy | None,
) -> None:
    """Refused, and written down, without an override (no policy); else it must be this person's, with a reason."""
    if policy is None:
        refuse(backend, candidate, alias, mutation, expected, refusal)
    elif not policy.lets_override(mutation.actor):
        who = ", ".join(policy.override or ()) or "nobody"
        refuse(backend, candidate, alias, mutation, expected, f"{refusal}; the policy lets {who} override")
    elif not mutation.reason.strip():
        raise Invalid(
            f"{candidate.model} v{candidate.version} fails gates ({refusal}); overriding them needs a reason, and "
            "none is given. Say why, it is kept in the journal.",
            "reason",
        )


def refusal_of(gates: tuple[GateResult, ...]) -> str:
    return "; ".join(
        f"{gate.gate}: {gate.value}" + (f" ({gate.detail})" if gate.detail else "") for gate in failed(gates)
    )


def refuse(
    backend: Backend,
    candidate: ModelVersion,
    alias: str,
    mutation: Mutation,
    expected: str | None,
    refusal: str,
) -> None:
    """Say no, and write down that it was asked for."""
    if backend.journal is not None:
        # Without the key: the same request may come again with an override, and is another decision then.
        backend.journal.record(
            "model.promote",
            candidate.model,
            msgspec.structs.replace(mutation, key=""),
            before={"model": candidate.model, "alias": alias, "version": expected},
            after={"model": candidate.model, "alias": alias, "version": candidate.version},
            outcome="failed",
            detail=f"refused: {refusal}",
        )
    raise Refused(
        f"{candidate.model} v{candidate.version} was not promoted to {alias}: {refusal}. {alias} stays at "
        f"{named(expected)}. Mend it and register again, or override with a reason.",
        mutation.gates,
    )
