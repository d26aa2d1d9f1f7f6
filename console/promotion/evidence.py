"""Gates that read what was examined besides: bias, the checks of the training data, the difference row by row.

A model that was not examined has no such gate, unless the policy names it: then what is missing is told.
"""

from __future__ import annotations

from backends.contract import Backend, BackendError
from backends.entities import GateResult, GateStatus, ModelVersion, Report
from console.promotion.policy import Policy
from console.promotion.result import result

WARN, FAIL = GateStatus.WARN, GateStatus.FAIL


def evidence_gates(
    backend: Backend, candidate: ModelVersion, holder: ModelVersion | None, policy: Policy
) -> tuple[GateResult, ...]:
    return (
        *bias_gate(backend, candidate, policy),
        *data_gate(backend, candidate, policy),
        *paired_gate(backend, candidate, holder, policy),
    )


def bias_gate(backend: Backend, version: ModelVersion, policy: Policy) -> tuple[GateResult, ...]:
    """What the newest comparison of its groups found."""
    rule = "no group is treated worse than the limits allow"
    report = backend.reports.latest("bias", version.ref) if backend.reports is not None else None
    if report is None:
        how = f"mlops-console model bias {version.model} {version.version} --by COLUMN"
        return _missing("bias", rule, f"its groups were not compared: {how}", policy)
    if report.digest and version.file.sha256 and report.digest != version.file.sha256:
        return (result("bias", WARN, "of another file", rule, "compare its groups again"),)
    return (_reported("bias", report, rule),)


def data_gate(backend: Backend, version: ModelVersion, policy: Policy) -> tuple[GateResult, ...]:
    """What the newest checks of each dataset version that it was trained on found; the worst of them."""
    rule = "the checks of its training data passed"
    reads = dict.fromkeys(f"{each.dataset}@{each.version}" for each in version.inputs if each.context != "test")
    found = [backend.reports.latest("checks", ref) for ref in reads] if backend.reports is not None else []
    reports = [report for report in found if report is not None]
    if not reports or len(reports) < len(reads):
        unchecked = [ref for ref, report in zip(reads, found, strict=False) if report is None]
        said = ", ".join(unchecked) or "its training data, which is not recorded,"
        missing = _missing("data", rule, f"{said} was not checked: mlops-console dataset check", policy)
        if not reports or missing:
            return missing
    order = (FAIL, WARN, GateStatus.PASS)
    worst = min(reports, key=lambda report: order.index(report.status))
    return (_reported("data", worst, rule),)


def paired_gate(
    backend: Backend, candidate: ModelVersion, holder: ModelVersion | None, policy: Policy
) -> tuple[GateResult, ...]:
    """Asked for by a policy alone: it starts a process. Not surely worse than the holder on the same rows, in the first
    metric: of several some would look worse by chance."""
    if policy.gates.get("paired", "off") == "off" or holder is None or holder.version == candidate.version:
        return ()
    from console.promotion.comparer import compare_rows

    rule = "the 95 % interval of the difference in its first metric is not on the worse side"
    try:
        found = compare_rows(backend, candidate, holder)
    except BackendError as error:
        return (result("paired", WARN, "not comparable", rule, str(error)),)
    first, *others = (f"{each.metric} {each.difference:+.4g} [{each.low:+.4g}, {each.high:+.4g}]" for each in found)
    status = FAIL if found[0].better is False else GateStatus.PASS
    detail = "; ".join((f"{found[0].rows} rows, {found[0].method}", *others))
    return (result("paired", status, first, rule, detail),)


def _reported(gate: str, report: Report, rule: str) -> GateResult:
    bad = [each for each in report.results if each.status is not GateStatus.PASS]
    value = f"{len(report.results) - len(bad)} of {len(report.results)} checks passed"
    detail = "; ".join(f"{each.check}: {each.value}" for each in bad[:5])
    return result(gate, report.status, value, rule, f"{report.subject}: {detail}" if detail else report.subject)


def _missing(gate: str, rule: str, detail: str, policy: Policy) -> tuple[GateResult, ...]:
    return (result(gate, WARN, "not examined", rule, detail),) if gate in policy.gates else ()
