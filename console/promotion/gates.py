"""The checks that stand before a promotion. A missing fact is a warning that says so; only a fact can fail a gate."""

from __future__ import annotations

import re
from collections.abc import Sequence

from backends.contract import Backend, BackendError, NotFound, Unsupported
from backends.entities import Column, ColumnType, GateResult, GateStatus, ModelVersion, RunStatus
from backends.mlmodel import OPTIONAL, with_package
from console.promotion.callers import takes
from console.promotion.evidence import evidence_gates
from console.promotion.measures import lower_is_better, primary_of, same_test, test_of, value_of
from console.promotion.policy import TOLERANCE, Policy, policy_for, taken
from console.promotion.prompts import is_prompt, prompt_gates
from console.promotion.result import result
from console.promotion.served import served_gates
from console.training.audit.read import read_audit

PASS, WARN, FAIL = GateStatus.PASS, GateStatus.WARN, GateStatus.FAIL
_VECTOR = re.compile(r"tensor (\w+?)(?:8|16|32|64)? \(-1\)")
_DTYPES = {
    "str": ColumnType.STRING,
    "object": ColumnType.STRING,
    "int": ColumnType.INT,
    "uint": ColumnType.INT,
    "float": ColumnType.FLOAT,
    "bool": ColumnType.BOOL,
}
"""numpy's names in a signature that was inferred from an array, without their width."""
_SEVERITY = {FAIL: 0, WARN: 1, PASS: 2}


def evaluate_gates(backend: Backend, version: ModelVersion, alias: str) -> tuple[GateResult, ...]:
    """Every gate, as the policy takes it, against whoever holds the alias at this moment; the worst first."""
    policy = policy_for(backend, version.model, alias)
    return gates_against(backend, version, holder_of(backend, version.model, alias), policy)


def gates_against(
    backend: Backend, candidate: ModelVersion, holder: ModelVersion | None, policy: Policy | None = None
) -> tuple[GateResult, ...]:
    """Every gate against a given holder; the worst first. A prompt has gates of its own."""
    policy = policy or Policy()
    if is_prompt(backend, candidate.model):
        results: tuple[GateResult, ...] = (*prompt_gates(candidate, holder), *ladder_gate(backend, candidate, policy))
    else:
        candidate = told(backend, candidate)
        holder = told(backend, holder) if holder is not None else None
        results = (
            artifact_gate(backend, candidate),
            types_gate(candidate),
            run_gate(backend, candidate),
            metrics_gate(candidate),
            baseline_gate(candidate),
            holder_gate(candidate, holder, policy.worse),
            signature_gate(candidate, holder),
            *audit_gate(backend, candidate),
            *ladder_gate(backend, candidate, policy),
            *size_gate(candidate, policy),
            *evidence_gates(backend, candidate, holder, policy),
            *served_gates(backend, candidate, holder, policy),
        )
    return worst_first(taken(policy, results))


def worst_first(results: Sequence[GateResult]) -> tuple[GateResult, ...]:
    return tuple(sorted(results, key=lambda result: _SEVERITY[result.status]))


def failed(gates: Sequence[GateResult]) -> tuple[GateResult, ...]:
    return tuple(result for result in gates if result.status is FAIL)


def holder_of(backend: Backend, model: str, alias: str) -> ModelVersion | None:
    """The version that the alias names, or None."""
    registry = backend.need("registry")
    held = registry.get(model).aliases.get(alias)
    return registry.version(model, held) if held is not None else None


def told(backend: Backend, version: ModelVersion) -> ModelVersion:
    """With the signature that its MLmodel says, where whoever registered it recorded none."""
    if version.signature.inputs:
        return version
    try:
        return with_package(backend, version)
    except BackendError:
        return version  # its files cannot be reached: the gate says that the signature is not known


# ---------------------------------------------------------------- what only a policy asks


def ladder_gate(backend: Backend, version: ModelVersion, policy: Policy) -> tuple[GateResult, ...]:
    """It has stood on the rung below. Nothing where the policy names none."""
    if not policy.after:
        return ()
    rule = f"has been {policy.after} first"
    registry = backend.need("registry")
    if registry.get(version.model).aliases.get(policy.after) == version.version:
        return (result("ladder", PASS, f"is {policy.after}", rule),)
    moves = registry.history(version.model, alias=policy.after, limit=1000)
    if any(move.version == version.version for move in moves):
        return (result("ladder", PASS, f"was {policy.after}", rule),)
    return (result("ladder", FAIL, f"never was {policy.after}", rule, f"promote it to {policy.after} first"),)


def size_gate(version: ModelVersion, policy: Policy) -> tuple[GateResult, ...]:
    """Nothing where the policy sets no limit."""
    if policy.max_bytes is None:
        return ()
    rule = f"the model file has at most {policy.max_bytes:,} bytes"
    if not version.file.bytes:
        return (result("size", WARN, "not recorded", rule, "the version was registered without its model file"),)
    status = PASS if version.file.bytes <= policy.max_bytes else FAIL
    return (result("size", status, f"{version.file.bytes:,} bytes", rule),)


# ---------------------------------------------------------------- the model file


def artifact_gate(backend: Backend, version: ModelVersion) -> GateResult:
    """The stored model file still has the sha256 that was recorded at registration."""
    rule = "the model file has the recorded sha256"
    file = version.file
    if not file.sha256 or not file.path:
        return result("artifact", WARN, "not recorded", rule, "the version was registered without its model file")
    if backend.artifacts is None:
        why = backend.missing.get("artifacts", "this backend keeps no artifacts")
        return result("artifact", WARN, "not checked", rule, why)
    try:
        owner = file.owner or version.run
        kept = next((a for a in backend.artifacts.list(owner, prefix=file.path) if a.path == file.path), None)
        if kept is None:
            return result("artifact", FAIL, "gone", rule, f"run {owner[:8]} has no artifact {file.path}")
        if kept.sha256 and kept.sha256 != file.sha256:  # a store that records none is asked for the bytes
            return result(
                "artifact", FAIL, f"sha256 {_short(kept.sha256)}", rule, f"recorded was {_short(file.sha256)}"
            )
        if not backend.artifacts.verify(owner, file.path, file.sha256):
            return result(
                "artifact", FAIL, "damaged", rule, "the stored bytes were changed; register from a run that is whole"
            )
    except NotFound as error:
        return result("artifact", FAIL, "gone", rule, str(error))
    except Unsupported as error:
        return result("artifact", WARN, "not checked", rule, str(error))
    return result("artifact", PASS, f"sha256 {_short(file.sha256)} verified", rule)


def types_gate(version: ModelVersion) -> GateResult:
    """Loading the file runs no code that the console does not know."""
    rule = "every type in the file is on the console's list"
    file = version.file
    if file.untrusted:
        return result("types", FAIL, f"{len(file.untrusted)} untrusted", rule, ", ".join(file.untrusted))
    if not file.format:
        return result("types", WARN, "not recorded", rule, "the version was registered without its model file")
    if file.format not in ("skops", "onnx"):
        return result(
            "types", WARN, file.format, rule, f"{file.format} files run code when loaded and cannot be inspected"
        )
    if file.format == "skops" and not file.inspected:
        return result(
            "types", WARN, "not inspected", rule, "logged by other code; its types are looked at before it is loaded"
        )
    return result("types", PASS, file.format, rule)


# ---------------------------------------------------------------- the run and its metrics


def run_gate(backend: Backend, version: ModelVersion) -> GateResult:
    """The version comes from a run that finished."""
    rule = "the source run finished"
    if not version.run or backend.runs is None:
        return result("run", WARN, "not recorded", rule, "the version names no run that can be looked at")
    try:
        run = backend.runs.get(version.run)
    except NotFound:
        return result("run", WARN, "gone", rule, f"run {version.run[:8]} is not there any more")
    if run.status is not RunStatus.FINISHED:
        return result("run", FAIL, run.status.value, rule, run.reason)
    return result("run", PASS, f"{run.name} finished", rule)


def metrics_gate(version: ModelVersion) -> GateResult:
    """The primary metric was measured on held-out rows."""
    rule = "test metrics are recorded"
    primary = primary_of(version)
    if not primary:
        return result("test metrics", WARN, "none", rule, "nothing is known of how good this version is")
    value = value_of(version, primary)
    if value is None:
        if primary in version.metrics:
            return result("test metrics", FAIL, f"{primary} {version.metrics[primary]}", rule, "it is no finite number")
        return result("test metrics", WARN, "none", rule, f"the primary metric {primary} was not measured")
    data = test_of(version)[0]
    if not data:
        return result("test metrics", WARN, _shown(primary, value), rule, "the test data is not recorded")
    return result("test metrics", PASS, f"{_shown(primary, value)} on {data}", rule)


def baseline_gate(version: ModelVersion) -> GateResult:
    """It beats what one gets without looking at the features."""
    primary = primary_of(version)
    rule = "better than the baseline without features"
    mine, dummy = value_of(version, primary), value_of(version, f"baseline.{primary}")
    if mine is None or dummy is None:
        return result("baseline", WARN, "not measured", rule, "no baseline was measured on the same test rows")
    better = mine < dummy if lower_is_better(primary) else mine > dummy
    return result("baseline", PASS if better else FAIL, f"{_shown(primary, mine)} against {dummy:.4g}", rule)


def audit_gate(backend: Backend, version: ModelVersion) -> tuple[GateResult, ...]:
    """What the audit of its training found. Nothing for a version that was trained by other code: it has none."""
    if not version.run:
        return ()
    rule = "no test of its training failed"
    try:
        audit = read_audit(backend, version.run)
    except BackendError as error:
        return (result("audit", WARN, "not read", rule, str(error)),)
    if audit is None:
        return ()
    bad = [each for each in audit.results if each.status is not PASS]
    value = f"{len(audit.results) - len(bad)} of {len(audit.results)} tests passed"
    detail = "; ".join(f"{each.check}: {each.value}" for each in bad)
    return (result("audit", audit.status, value, rule, detail),)


def holder_gate(candidate: ModelVersion, holder: ModelVersion | None, worse: float = TOLERANCE) -> GateResult:
    """Not worse than the version it would replace, on the same test rows; by `worse` of its value at most."""
    rule = f"at most {worse:.1%} worse than the holder on the same test rows"
    if holder is None:
        return result("holder", PASS, "no holder yet", rule)
    if holder.version == candidate.version:
        return result("holder", WARN, f"v{holder.version} holds it already", rule, "there is nothing to promote")
    primary = primary_of(candidate)
    mine, theirs = value_of(candidate, primary), value_of(holder, primary)
    if mine is None or theirs is None:
        missing = candidate if mine is None else holder
        detail = f"v{missing.version} has no {primary}" if primary else "neither names a primary metric"
        return result("holder", WARN, "not comparable", rule, detail)
    value = f"{_shown(primary, mine)} against {theirs:.4g} of v{holder.version}"
    if not same_test(candidate, holder):
        return result("holder", WARN, value, rule, _other_data(candidate, holder))
    loss = mine - theirs if lower_is_better(primary) else theirs - mine
    return result("holder", FAIL if loss > worse * abs(theirs) else PASS, value, rule)


def _other_data(candidate: ModelVersion, holder: ModelVersion) -> str:
    mine, theirs = test_of(candidate), test_of(holder)
    if not mine[0] or not theirs[0]:
        unknown = candidate if not mine[0] else holder
        return f"the test data of v{unknown.version} is not recorded, so the two figures may not be comparable"
    if mine[1] == theirs[1]:
        return f"tested on other rows of {mine[0]}, so the two figures are not comparable"
    return f"tested on {mine[0]}, the holder on {theirs[0]}: the two figures are not comparable"


# ---------------------------------------------------------------- the signature


def signature_gate(candidate: ModelVersion, holder: ModelVersion | None) -> GateResult:
    """Whoever calls the holder can call the candidate without a change."""
    rule = "takes the columns that callers send today, and answers alike"
    if holder is None:
        return result("signature", PASS, "no callers yet", rule)
    if not candidate.signature.inputs or not holder.signature.inputs:
        unknown = candidate if not candidate.signature.inputs else holder
        return result("signature", WARN, "not recorded", rule, f"v{unknown.version} has no signature")
    sent = {column.name: column for column in holder.signature.inputs}
    needed = candidate.signature.inputs
    new = [column.name for column in needed if column.name not in sent and column.note != OPTIONAL]
    changed = [column for column in needed if column.name in sent and not takes(column, sent[column.name])]
    gone = [name for name in sent if name not in {column.name for column in needed}]
    if new or changed:
        parts = [f"callers do not send {', '.join(new)}"] if new else []
        parts += [f"{c.name} is {c.type}, callers send {sent[c.name].type}" for c in changed]
        return result("signature", FAIL, _differs(new, gone, changed), rule, "; ".join(parts))
    answers = _answers(candidate, holder)
    if answers:
        return result("signature", FAIL, "other answer", rule, answers)
    return (
        result("signature", PASS, "same", rule)
        if not gone
        else result("signature", PASS, _differs(new, gone, changed), rule, f"no longer needed: {', '.join(gone)}")
    )


def _differs(new: list[str], gone: list[str], changed: list[Column]) -> str:
    """`adds a, b; removes c; other type of d`."""
    said = (("adds", new), ("removes", gone), ("other type of", [column.name for column in changed]))
    return "; ".join(f"{what} {', '.join(names)}" for what, names in said if names)


def _answers(candidate: ModelVersion, holder: ModelVersion) -> str:
    mine, theirs = candidate.signature.outputs, holder.signature.outputs
    if not mine or not theirs:
        return ""
    if len(mine) == len(theirs) and all(_alike(a, b) for a, b in zip(mine, theirs, strict=True)):
        return ""
    return f"answers {_said(mine)}; the holder answers {_said(theirs)}"


def _alike(mine: Column, theirs: Column) -> bool:
    """The same type under the same name; an output that MLflow was given no name for is told by its place."""
    unnamed = mine.name.isdecimal() or theirs.name.isdecimal()
    return (mine.name == theirs.name or unnamed) and _values(mine) == _values(theirs)


def _values(column: Column) -> str:
    """The type, and of a tensor of more than one dimension its shape too: one of one dimension is a column."""
    if column.type is not ColumnType.OTHER:
        return str(column.type)
    found = _VECTOR.fullmatch(column.note)
    return str(_DTYPES.get(found[1], column.note)) if found else column.note


def _said(columns: Sequence[Column]) -> str:
    return ", ".join(f"{'' if c.name.isdecimal() else f'{c.name} '}{_values(c) or c.type}" for c in columns)


# ---------------------------------------------------------------- words


def _shown(name: str, value: float) -> str:
    return f"{name} {value:.4g}"


def _short(sha256: str) -> str:
    return f"{sha256[:4]}…{sha256[-4:]}"
