"""The case for a promotion as parts to read, in the order of a decision: each with its gates, then what is behind them.

What the screen and the command line have in common. Values are raw: whoever writes them makes them safe.
"""

from __future__ import annotations

import msgspec

from backends.entities import GateResult, GateStatus
from console.lineage import tree_lines
from console.promotion.card_sections import Table
from console.promotion.case_facts import Facts
from console.promotion.case_part import Part
from console.promotion.case_served import replay_part, signature_part, speed_part
from console.wording import ago, number, plural, thousands

TITLES = {
    "metrics": ("holder", "paired", "test metrics", "baseline"),
    "text": ("text", "type", "variables"),
    "data checks": ("data",),
    "training tests": ("run", "audit"),
    "bias": ("bias",),
    "latency and size": ("latency", "size"),
    "signature and callers": ("signature", "callers"),
    "model file": ("artifact", "types", "loads"),
    "replay": ("replay",),
    "lineage": ("ladder",),
}
"""part → its gates. A gate that stands nowhere here is shown with the verdict."""


def parts(found: Facts) -> tuple[Part, ...]:
    """The verdict first."""
    built = [_text(found)] if found.case.prompt else [
        _metrics(found), _checks(found), _audit(found), _bias(found), speed_part(found), signature_part(found),
        _file(found), replay_part(found),
    ]  # fmt: skip
    built.append(_lineage(found))
    gates = {gate.gate: gate for gate in found.case.gates}
    placed = [
        msgspec.structs.replace(part, gates=tuple(gates[name] for name in TITLES[part.title] if name in gates))
        for part in built
    ]
    shown = {gate.gate for part in placed for gate in part.gates}
    rest = tuple(gate for gate in found.case.gates if gate.gate not in shown)
    return (_verdict(found, rest), *placed)


def _verdict(found: Facts, rest: tuple[GateResult, ...]) -> Part:
    case, policy = found.case, found.case.policy
    counts = {status: sum(gate.status is status for gate in case.gates) for status in GateStatus}
    fails = counts[GateStatus.FAIL]
    said = f"{plural(fails, 'gate')} {'fails' if fails == 1 else 'fail'}, "
    said += f"{counts[GateStatus.WARN]} warn, {counts[GateStatus.PASS]} pass"
    bad = ", ".join(gate.gate for gate in case.gates if gate.status is GateStatus.FAIL)
    facts = [
        ("gates", said + (f": {bad}" if bad else "")),
        ("over", f"v{case.holder.version}" if case.holder is not None else "nothing"),
        ("who agrees", f"{policy.approvals} besides who asks" if policy.approvals else "nobody else is asked"),
        ("waits", f"asked by {case.waiting.by}, {len(case.waiting.agreed)} agreed" if case.waiting else ""),
        ("policy", ", ".join(policy.sources) or "none is written: every gate counts as it says"),
    ]
    remark = "; ".join(found.unknown)
    return Part(
        title="verdict",
        gates=rest,
        facts=tuple((name, value) for name, value in facts if value),
        remark=f"not known: {remark}" if remark else "",
    )


def _metrics(found: Facts) -> Part:
    case = found.case
    by_metric = {each.metric: each for each in found.paired}
    rows = []
    for each in case.measures:
        pair = by_metric.get(each.name)
        difference = pair.difference if pair is not None else each.difference
        interval = f"{number(pair.low)} to {number(pair.high)}" if pair is not None else ""
        better = pair.better if pair is not None else each.better
        word = "" if better is None else "better" if better else "worse"
        if pair is not None and better is None:
            word = "cannot be told apart"
        rows.append((each.name, number(each.holder), number(each.candidate), _signed(difference), interval, word))
    holder = f"v{case.holder.version} {case.alias}" if case.holder is not None else "no holder yet"
    titles = ("metric", holder, f"v{case.candidate.version}", "difference", "95 % interval", "says")
    tables = (Table(titles=titles, rows=tuple(rows)),) if rows else ()
    said = [f"{thousands(found.paired[0].rows)} same held-out rows, {found.paired[0].method}"] if found.paired else []
    if found.not_paired:
        said.append(f"no interval of the difference: {found.not_paired}")
    if case.holder is not None and not case.same_test and not found.not_paired:
        said.append("not measured on the same rows: the difference says little")
    return Part(title="metrics", tables=tables, remark="; ".join(said))


def _signed(value: float | None) -> str:
    return "" if value is None else f"{'+' if value > 0 else ''}{number(value)}"


def _text(found: Facts) -> Part:
    from console.promotion.prompts import difference

    lines = tuple(difference(found.case.holder, found.case.candidate))
    return Part(title="text", lines=lines, remark="" if lines else "unchanged")


def _checks(found: Facts) -> Part:
    rows, bad = [], []
    roles: dict[str, list[str]] = {}
    for each in found.checked:
        roles.setdefault(each.ref, []).append(each.role)
    for each in {each.ref: each for each in found.checked}.values():
        report, role = each.report, ", ".join(roles[each.ref])
        if report is None:
            rows.append((each.ref, role, "not examined", f"mlops-console dataset check {each.ref}"))
            continue
        bad += [result for result in report.results if result.status is not GateStatus.PASS]
        good = sum(result.status is GateStatus.PASS for result in report.results)
        rows.append((each.ref, role, str(report.status), f"{good} of {len(report.results)} passed {ago(report.at)}"))
    tables = [Table(titles=("data", "for", "result", "checks"), rows=tuple(rows))] if rows else []
    remark = "" if rows else "its data are not recorded"
    return Part(title="data checks", results=tuple(bad), tables=tuple(tables), remark=remark)


def _audit(found: Facts) -> Part:
    if found.audit is None:
        remark = "not examined: only trainings from a recipe are (mlops-console run start)"
        return Part(title="training tests", remark=remark)
    return Part(title="training tests", results=found.audit.results)


def _bias(found: Facts) -> Part:
    candidate, report = found.case.candidate, found.bias
    if report is None:
        how = f"mlops-console model bias {candidate.model} {candidate.version} --by COLUMN"
        return Part(title="bias", remark=f"not examined: {how}")
    stale = "; of another file: compare again" if report.digest not in ("", candidate.file.sha256) else ""
    remark = f"by {report.definition}, {ago(report.at)}{stale}"
    return Part(title="bias", results=report.results, remark=remark)


def _file(found: Facts) -> Part:
    from console.wording import size

    file = found.case.candidate.file
    facts = (
        ("format", file.format or "not recorded"),
        ("size", size(file.bytes) if file.bytes else "not recorded"),
        ("sha256", file.sha256 or "not recorded"),
        ("untrusted types", ", ".join(file.untrusted) or ("none" if file.inspected else "not inspected")),
        *((("ONNX form", found.onnx),) if found.onnx else ()),
    )
    return Part(title="model file", facts=facts)


def _lineage(found: Facts) -> Part:
    candidate, tree = found.case.candidate, found.lineage
    facts: tuple[tuple[str, str], ...] = (
        ("registered", f"{ago(candidate.created_at)} by {candidate.created_by or 'nobody who is known'}"),
    )
    if tree is None:
        return Part(title="lineage", facts=facts, remark="not known")
    lines = [
        lead + "  ".join(part for part in (node.kind, node.name, node.detail) if part)
        for lead, node in tree_lines(tree.up)
    ]
    remark = "; ".join(tree.notes) if lines else "nothing is known of what it was made from"
    return Part(title="lineage", facts=facts, lines=tuple(lines), remark=remark)
