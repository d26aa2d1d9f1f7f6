"""Gates about serving: what callers send, how answers to them change, and how long an answer takes.

They read what `model replay` last found. Nothing is loaded here.
"""

from __future__ import annotations

from backends.contract import Backend, BackendError
from backends.entities import GateResult, GateStatus, ModelVersion
from console.promotion.policy import Policy
from console.promotion.replayed import Replayed, last_replay, replay_command
from console.promotion.result import result
from console.promotion.speed import SpeedOf, speeds
from console.serving.replay.words import changed_words
from console.wording import figure, local_time, plural, thousands

PASS, WARN, FAIL = GateStatus.PASS, GateStatus.WARN, GateStatus.FAIL
NAMED = 5
"""Columns that a gate names."""


def served_gates(
    backend: Backend, candidate: ModelVersion, holder: ModelVersion | None, policy: Policy
) -> tuple[GateResult, ...]:
    try:
        found = last_replay(backend, candidate)
    except BackendError as error:
        return (result("replay", WARN, "not read", "what was replayed can be read", str(error)),)
    return (
        *callers_gate(candidate, found, policy),
        *replay_gate(candidate, holder, found, policy),
        *latency_gate(speeds(backend, candidate, holder, found), candidate, policy),
    )


def callers_gate(candidate: ModelVersion, found: Replayed | None, policy: Policy) -> tuple[GateResult, ...]:
    """Those who call today are answered without a change. Nothing where nobody looked, unless the policy asks."""
    rule = "takes what callers really send"
    if found is None or not found.figures.logged:
        return _unseen("callers", rule, candidate, policy, found)
    if found.other_file:
        return (result("callers", WARN, "of another file", rule, f"run it again: {replay_command(candidate)}"),)
    figures = found.figures
    sent = figures.sent
    said = "; ".join(f"{each.column} {each.kind} in {plural(each.rows, 'row')}" for each in sent[:NAMED])
    more = f"; {len(sent) - NAMED} more" if len(sent) > NAMED else ""
    refused = len({each.column for each in sent if each.status is FAIL})
    told = len({each.column for each in sent}) - refused
    values = [
        f"{plural(refused, 'column')} refused" if refused else "",
        f"{plural(told, 'column')} to look at" if told else "",
    ]
    value = ", ".join(each for each in values if each) or f"{thousands(figures.logged)} requests fit"
    status = FAIL if refused else WARN if told else PASS
    return (result("callers", status, value, rule, f"{said}{more}" or _when(found)),)


def replay_gate(
    candidate: ModelVersion, holder: ModelVersion | None, found: Replayed | None, policy: Policy
) -> tuple[GateResult, ...]:
    """Only where the policy names it: so many answers may change, and so many rows may have none."""
    if policy.gates.get("replay", "off") == "off":
        return ()
    rule = f"at most {policy.replay_changed:.1%} of answers change, {policy.replay_failing} rows have none"
    if found is None or not found.figures.logged:
        return _unseen("replay", rule, candidate, policy, found)
    if why := found.stale(candidate, holder):
        return (result("replay", WARN, why, rule, f"run it again: {replay_command(candidate)}"),)
    figures, share = found.figures, found.figures.share
    if figures.failed_rows > policy.replay_failing:
        reasons = "; ".join(each.why for each in figures.failed[:3])
        return (result("replay", FAIL, f"{plural(figures.failed_rows, 'row')} without an answer", rule, reasons),)
    if share is None or share.high is None:
        reasons = "; ".join(each.why for each in figures.skipped[:3])
        return (result("replay", WARN, "no row could be replayed", rule, reasons),)
    value = changed_words(figures)
    if share.value > policy.replay_changed:
        return (result("replay", FAIL, value, rule, _when(found)),)
    if share.high > policy.replay_changed:
        detail = f"within the limit, but {plural(figures.replayed, 'row')} are too few to be sure of it; {_when(found)}"
        return (result("replay", WARN, value, rule, detail),)
    return (result("replay", PASS, value, rule, _when(found)),)


def latency_gate(found: tuple[SpeedOf, ...], candidate: ModelVersion, policy: Policy) -> tuple[GateResult, ...]:
    """Nothing where the policy sets no limit."""
    if policy.latency_ms is None:
        return ()
    rule = f"one row within {policy.latency_ms:g} ms (95th percentile)"
    mine = found[0]
    if mine.one_p95 is None:
        return (result("latency", WARN, "not measured", rule, f"measured by {replay_command(candidate)}"),)
    beside = next(
        (f"; v{each.version} {figure(each.one_p95)} ms" for each in found[1:] if each.one_p95 is not None), ""
    )
    status = PASS if mine.one_p95 <= policy.latency_ms else FAIL
    return (result("latency", status, f"{figure(mine.one_p95)} ms", rule, f"{mine.how}{beside}"),)


def _when(found: Replayed) -> str:
    return f"{thousands(found.figures.logged)} requests replayed {local_time(found.report.at)}"


def _unseen(
    gate: str, rule: str, candidate: ModelVersion, policy: Policy, found: Replayed | None
) -> tuple[GateResult, ...]:
    if policy.gates.get(gate, "off") == "off":
        return ()
    why = found.figures.nothing if found is not None else f"no request was replayed: {replay_command(candidate)}"
    return (result(gate, WARN, "not examined", rule, why),)
