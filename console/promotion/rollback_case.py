"""What a rollback would change, as a person must see it before they decide."""

from __future__ import annotations

from backends.contract import Backend, NotFound
from backends.entities import AliasChange, GateResult, GateStatus, Millis, ModelVersion, Record
from console.promotion.along import way_back
from console.promotion.callers import ColumnChange, ServedChange, column_changes, served_changes
from console.promotion.gates import artifact_gate, told
from console.promotion.measures import Measure, measures, same_test
from console.promotion.moves import moves_of
from console.promotion.prompts import is_prompt, text_gate
from console.promotion.result import result
from console.promotion.rollback import rollback_target


class Holder(Record, frozen=True, kw_only=True):
    """A version that held the alias before, and that one can go back to."""

    version: str
    since: Millis
    until: Millis
    """When it last came to hold the alias, and when it left it."""
    by: str
    reason: str = ""
    """Who put it there then, and why."""


class RollbackCase(Record, frozen=True, kw_only=True):
    """From what to what, and who notices."""

    model: str
    alias: str
    held: ModelVersion | None
    target: ModelVersion
    changes: tuple[AliasChange, ...]
    """Everything that moves, all or none, the alias first."""
    stay: tuple[str, ...]
    """Aliases that moved with it and were moved on since: they stay."""
    artifact: GateResult
    served: tuple[ServedChange, ...]
    columns: tuple[ColumnChange, ...]
    signatures: bool
    """Both are known, so that no column means that none differs."""
    measures: tuple[Measure, ...]
    """The target's as `candidate`, those of today as `holder`; the primary metric first."""
    same_test: bool
    holders: tuple[Holder, ...]
    """Whom one can go back to, the latest first."""

    @property
    def whole(self) -> bool:
        return self.artifact.status is not GateStatus.FAIL


def rollback_case(backend: Backend, model: str, alias: str, *, to: str | None = None) -> RollbackCase:
    """The case for putting back the holder before this one, or `to`. Refused where there is none."""
    target = told(backend, rollback_target(backend, model, alias, to=to))
    registry = backend.need("registry")
    version = registry.get(model).aliases.get(alias)
    held = told(backend, registry.version(model, version)) if version is not None else None
    changes, stay = way_back(backend, model, alias, target.version, expected=version)
    return RollbackCase(
        model=model,
        alias=alias,
        held=held,
        target=target,
        changes=changes,
        stay=stay,
        artifact=_artifact(backend, target),
        served=served_changes(backend, model, changes),
        columns=column_changes(target, held),
        signatures=held is not None and bool(held.signature.inputs) and bool(target.signature.inputs),
        measures=measures(target, held),
        same_test=held is not None and same_test(target, held),
        holders=earlier(backend, model, alias, version),
    )


def _artifact(backend: Backend, target: ModelVersion) -> GateResult:
    try:
        return text_gate(target) if is_prompt(backend, target.model) else artifact_gate(backend, target)
    except NotFound as error:
        return result("artifact", GateStatus.FAIL, "gone", "the model file has the recorded sha256", str(error))


def earlier(backend: Backend, model: str, alias: str, held: str | None) -> tuple[Holder, ...]:
    """Every version that held the alias and does not now, by when it left it, the latest first."""
    found: dict[str, Holder] = {}
    moves = moves_of(backend, model, alias)
    for at, move in enumerate(moves):
        version = move.previous
        if version is None or version == held or version in found:
            continue
        came = next((each for each in moves[at + 1 :] if each.version == version), None)
        found[version] = Holder(
            version=version,
            since=came.at if came is not None else 0,
            until=move.at,
            by=came.actor if came is not None else "",
            reason=came.reason if came is not None else "",
        )
    return tuple(found.values())
