"""Promotion: judge a version against whoever holds the alias, then move the alias, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backends.contract import Backend, Invalid, Mutation, Refused, Unsupported
from backends.entities import AliasChange, AliasMove, GateResult, ModelVersion, Record
from console.promotion.along import changes_for, seen_again
from console.promotion.approvals import Waiting, ask, same_asked
from console.promotion.gates import failed, gates_against, holder_of, told, worst_first
from console.promotion.measures import Measure, measures, primary_of, same_test
from console.promotion.moves import check_expected, made_before, named
from console.promotion.moving import Tell, move, silent
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
    changes: tuple[AliasChange, ...] = ()
    """Everything that moves, all or none, the alias first."""
    waiting: Waiting | None = None
    """The same, asked already and waiting for others to agree."""

    @property
    def comparable(self) -> bool:
        """Both were tested on the same rows, so that they can be held against each other row by row."""
        return self.same_test and not self.prompt and self.holder is not None and bool(self.holder.run)

    @property
    def expected(self) -> str | None:
        """What `promote` must find the alias at, so that it decides what the person decided."""
        return self.holder.version if self.holder is not None else None


def case_for(backend: Backend, model: str, version: str, alias: str, *, also: Sequence[str] = ()) -> Case:
    """The case for pointing the alias, and what moves with it, at the version (`@alias` also names one). `also` are
    further aliases that a person names."""
    candidate = told(backend, backend.need("registry").version(model, version))
    holder = holder_of(backend, model, alias)
    changes = changes_for(backend, model, candidate.version, (alias, *also))
    policy = policy_of(backend, model, candidate.version, changes)
    gates = gates_of(backend, candidate, changes)
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
        changes=changes,
        waiting=same_asked(backend, model, changes) if policy.approvals else None,
    )


def policy_of(backend: Backend, model: str, version: str, changes: Sequence[AliasChange]) -> Policy:
    """What holds for the first alias, with as many approvals as any of those wants that come to the version too."""
    first, *others = _leading(changes, version)
    policy = policy_for(backend, model, first.alias)
    more = [policy_for(backend, model, change.alias) for change in others]
    return msgspec.structs.replace(
        policy,
        approvals=max(each.approvals for each in (policy, *more)),
        expires_ms=min(each.expires_ms for each in (policy, *more)),
        sources=tuple(dict.fromkeys(source for each in (policy, *more) for source in each.sources)),
    )


def gates_of(backend: Backend, candidate: ModelVersion, changes: Sequence[AliasChange]) -> tuple[GateResult, ...]:
    """Every gate of each alias that comes to the candidate, against whoever the change replaces there, the worst
    first. What is the same for a further alias is told once."""
    registry, known = backend.need("registry"), set[tuple[str, str, str]]()
    found: list[GateResult] = []
    for change in _leading(changes, candidate.version):
        holder = registry.version(candidate.model, change.expected) if change.expected is not None else None
        for gate in gates_against(backend, candidate, holder, policy_for(backend, candidate.model, change.alias)):
            fact = (gate.gate, gate.status, gate.value)
            if fact not in known:
                twice = any(each.gate == gate.gate for each in found)
                name = f"{gate.gate} ({change.alias})" if twice else gate.gate
                found.append(msgspec.structs.replace(gate, gate=name))
            known.add(fact)
    return worst_first(found)


def _bars(backend: Backend, candidate: ModelVersion, changes: Sequence[AliasChange], actor: str) -> str:
    """Which rule keeps this person from overriding; empty where none does."""
    for change in _leading(changes, candidate.version):
        policy = policy_for(backend, candidate.model, change.alias)
        if not policy.lets_override(actor):
            return f"the policy lets {', '.join(policy.override or ()) or 'nobody'} override"
    return ""


def _leading(changes: Sequence[AliasChange], version: str) -> list[AliasChange]:
    return [change for at, change in enumerate(changes) if at == 0 or change.version == version]


def promote(
    backend: Backend,
    model: str,
    version: str,
    alias: str,
    mutation: Mutation,
    *,
    expected: str | None,
    override: bool = False,
    also: Sequence[str] = (),
    seen: Sequence[AliasChange] = (),
    tell: Tell = silent,
) -> AliasMove | Waiting:
    """Point the alias at the version if its gates pass against `expected` and that still holds the alias.

    `also` and what the policy sends along move with it, all or none, and the answer is the move of the alias. With
    `seen` they do so from where a person saw them (`Case.changes`). Servers that follow load the version first; `tell`
    hears of it.

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
    # Asked once: a second look could show what another console has moved since, and would replace that unseen.
    held = registry.get(model).aliases
    check_expected(backend, model, alias, expected, held)
    for change in seen:
        check_expected(backend, model, change.alias, change.expected, held)
    # Judged against what the caller saw: compare-and-set makes sure that it is still what would be replaced.
    changes = changes_for(backend, model, candidate.version, (alias, *also), held=held)
    if seen:
        changes = seen_again(model, changes, seen)
    policy = policy_of(backend, model, candidate.version, changes)
    gates = gates_of(backend, candidate, changes)
    mutation = msgspec.structs.replace(mutation, gates=gates)
    refusal = refusal_of(gates)
    if refusal:
        _may_override(backend, candidate, changes, mutation, refusal, override=override)
    if policy.approvals:
        if candidate.version == expected:
            raise Refused(f"{alias} of {model} is at v{expected} already; there is nothing to agree to.")
        overridden = tuple(gate.gate for gate in failed(gates))
        return ask(backend, candidate, changes, policy, mutation, overridden=overridden)
    mutation = msgspec.structs.replace(mutation, action="model.promote")
    theirs = override and bool(mutation.reason.strip()) and not _bars(backend, candidate, changes, mutation.actor)
    return move(backend, model, changes, mutation, override=theirs, tell=tell)


def _may_override(
    backend: Backend,
    candidate: ModelVersion,
    changes: Sequence[AliasChange],
    mutation: Mutation,
    refusal: str,
    *,
    override: bool,
) -> None:
    """Refused, and written down, without an override; else it must be this person's, with a reason."""
    if not override:
        refuse(backend, candidate, changes[0].alias, mutation, changes[0].expected, refusal)
    if bar := _bars(backend, candidate, changes, mutation.actor):
        refuse(backend, candidate, changes[0].alias, mutation, changes[0].expected, f"{refusal}; {bar}")
    if not mutation.reason.strip():
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
