"""From windows to alerts: performance decides, drift warns. Plain Python over stored windows; the same windows give
the same alerts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from backends.entities import (
    Alert,
    AlertState,
    ColumnScore,
    Millis,
    Monitor,
    MonitorState,
    Record,
    ServiceWindow,
    Window,
)
from console.monitoring.alarms.judging import Judgement, corrected_over, judgements, said
from console.monitoring.alarms.policy import Policy, read_policy
from console.monitoring.alarms.rules import (
    COLLAPSE,
    DRIFT,
    PERFORMANCE,
    SEVERITIES,
    Rule,
    default_rules,
    policy_of,
    read_rules,
)
from console.monitoring.alarms.severity import CRITICAL, WARN, is_firing, is_muted
from console.monitoring.alarms.verdicts import Verdict, primary_metric, verdicts
from console.monitoring.counted.profile import Profile
from console.monitoring.counted.windows import own_state
from console.monitoring.wording import digits, interval, label, moment, plural


def rules_of(monitor: Monitor) -> tuple[Rule, ...]:
    """The rules in force. Raises Invalid where they cannot be read."""
    if monitor.rules:
        return read_rules(monitor.rules)
    return default_rules(read_policy(monitor.policy), ranked=bool(monitor.group_column))


def evaluate(
    monitor: Monitor,
    profile: Profile,
    windows: Sequence[Window],
    alerts: Sequence[Alert],
    *,
    segments: Mapping[str, Sequence[Window]] | None = None,
    judged: Mapping[str, Sequence[Verdict]] | None = None,
) -> list[Alert]:
    """The alerts that must be written: new, worsened, resolved. Unchanged ones are left out.

    windows: oldest first, the newest ones; `horizon` says how many are looked at. alerts: the monitor's open ones, and
    those over lately for rules that wait after one. segments: name → its windows. judged: by rule about
    performance what `verdicts` said of the windows of the newest version, where the caller knows it.
    """
    if not windows:
        return []
    rules, knobs = rules_of(monitor), read_policy(monitor.policy)
    version = windows[-1].model_version
    parts = {"": windows, **(segments or {})}
    own = {
        name: [window for window in found if window.model_version == version] for name, found in parts.items() if found
    }
    corrected = corrected_over(own) if len(own) > 1 else None
    changed: list[Alert] = []
    for rule in rules:
        if rule.about_schema:  # told by who reads the rows: windows do not know of it
            continue
        for segment, seen in own.items():
            if not seen or not rule.covers(segment):
                continue
            metric = _metric_of(rule, profile)
            mine = [alert for alert in alerts if _is_of(alert, rule, metric, segment)]
            current = next((alert for alert in mine if alert.state is not AlertState.RESOLVED), None)
            if current is not None and current.opened_at < seen[0].start and seen[0] is not parts[segment][0]:
                changed.append(_resolve(current, seen[-1].end, f"version {version} took over"))
                current = None
            if current is None and rule.metric == PERFORMANCE and _is_told(rule, rules, segment, (*alerts, *changed)):
                continue
            live = [current] if current is not None else []
            if rule.metric == PERFORMANCE:
                policy = policy_of(rule, knobs)
                if judged is None or segment:
                    found = verdicts([each for each in seen if each.labelled][-_reach(rule) :], profile, policy)
                else:
                    found = list(judged[rule.name])
                found_out = _performance(rule, monitor, profile, seen, policy, live, found)
            elif rule.metric == DRIFT:
                found_out = _drift(monitor, seen, policy_of(rule, knobs), live)
            else:
                found_out = measured(
                    rule, monitor, seen, judgements(rule, seen, segment=segment, corrected=corrected), live
                )
            changed += _settled(rule, segment, found_out, current, mine, seen[-1].end)
    return changed


def evaluate_service(monitor: Monitor, services: Sequence[ServiceWindow], alerts: Sequence[Alert]) -> list[Alert]:
    """As `evaluate`, of the rules about the service. services: oldest first."""
    changed: list[Alert] = []
    for rule in rules_of(monitor):
        if not rule.metric.startswith("service.") or not services:
            continue
        mine = [alert for alert in alerts if _is_of(alert, rule, rule.metric, "")]
        current = next((alert for alert in mine if alert.state is not AlertState.RESOLVED), None)
        found = measured(rule, monitor, services, judgements(rule, services), [current] if current else [])
        changed += _settled(rule, "", found, current, mine, services[-1].end)
    return changed


def _is_told(rule: Rule, rules: Sequence[Rule], segment: str, alerts: Sequence[Alert]) -> bool:
    """Whether another rule about the model's metric has an alert open that is as severe: one trouble is one alert."""
    names = {rule.name for rule in rules if rule.metric == PERFORMANCE}
    newest = {alert.id: alert for alert in alerts}.values()
    return any(
        alert.rule in names
        and alert.segment == segment
        and alert.state is not AlertState.RESOLVED
        and SEVERITIES.index(alert.severity) >= SEVERITIES.index(rule.severity)
        for alert in newest
    )


def _metric_of(rule: Rule, profile: Profile) -> str:
    return primary_metric(profile) if rule.metric == PERFORMANCE else rule.metric


def _is_of(alert: Alert, rule: Rule, metric: str, segment: str) -> bool:
    # One of before there were rules has none, and is of the rule that was meant then.
    named = alert.rule == rule.name or (not alert.rule and alert.metric == metric and rule.name != COLLAPSE)
    return named and alert.segment == segment


def _settled(
    rule: Rule, segment: str, judged: Judged, current: Alert | None, mine: Sequence[Alert], now: Millis
) -> list[Alert]:
    """What has to be written of one rule and segment."""
    if current is None:
        over = max((alert.resolved_at or 0 for alert in mine), default=0)
        if judged.fires is None or (rule.quiet_ms and over and now < over + rule.quiet_ms):
            return []
        fires = judged.fires
        if segment:
            fires = _replace(
                fires, id=alert_id(fires.monitor, f"{rule.name}/{segment}", "", fires.opened_at), segment=segment,
                text=f"{segment}: {fires.text}",
            )  # fmt: skip
        return [_replace(fires, rule=rule.name, severity=rule.severity, runbook=rule.runbook)]
    if judged.calm:
        return [_resolve(current, now, judged.calm)]
    text = f"{segment}: {judged.text}" if segment and judged.text else judged.text
    if text and (text != current.text or judged.windows != current.windows):
        return [_replace(current, text=text, windows=max(judged.windows, current.windows), rule=rule.name)]
    return []


def horizon(monitor: Monitor) -> int:
    """How many of the newest windows `evaluate` looks at."""
    policy = read_policy(monitor.policy)
    return max(policy.drift_n, *map(_reach, rules_of(monitor)))


def _reach(rule: Rule) -> int:
    return rule.pool + 2 * max(rule.n, rule.clear_k or 0)


def measured(
    rule: Rule,
    monitor: Monitor,
    windows: Sequence[Window | ServiceWindow],
    found: Sequence[Judgement],
    live: Sequence[Alert],
) -> Judged:
    """What a rule about a measure says. found: `judging.judgements` of the windows, oldest first."""
    if not found:
        return Judged()
    recent = found[-rule.n :]
    bad = [each for each in recent if each.bad]
    needed = rule.clear_k or rule.k
    words = said(rule, found[-1], windows, monitor.top)
    if len(found) >= needed and all(each.good for each in found[-needed:]):
        return Judged(calm=words)
    began = live[0].opened_at if live else (bad[0].start if bad else found[-1].start)
    text = f"{words} in {len(bad)} of the last {len(recent)} windows, since {moment(began, monitor.window)}"
    streak = sum(1 for each in found if each.bad and each.start >= began)
    if not (found[-1].bad and len(bad) >= rule.k):
        return Judged(text=text if found[-1].bad else "", windows=streak)
    fires = Alert(
        id=alert_id(monitor.name, rule.name, getattr(windows[-1], "model_version", ""), began), monitor=monitor.name,
        metric=rule.metric, state=AlertState.FIRING, opened_at=began, text=text, severity=rule.severity, windows=streak,
    )  # fmt: skip
    return Judged(fires=fires, text=text, windows=streak)


class Judged(Record, frozen=True):
    fires: Alert | None = None
    calm: str = ""
    """Why an open alert is over."""
    text: str = ""
    windows: int = 0


def _performance(
    rule: Rule,
    monitor: Monitor,
    profile: Profile,
    windows: Sequence[Window],
    policy: Policy,
    alerts: Sequence[Alert],
    found: Sequence[Verdict],
) -> Judged:
    metric = primary_metric(profile)
    if not found:
        return Judged()
    recent = found[-policy.n :]
    bad = [verdict for verdict in recent if verdict.bad]
    newest = found[-1]
    reference = newest.reference
    measured = f"{digits(newest.value.value)}{interval(newest.value)}"
    over = f"within days, over {policy.pool} days" if newest.within else f"over {policy.pool} {plural(monitor.window)}"
    if policy.pool == 1:
        over = f"in one {monitor.window}"
    said = f"{label(metric)} {measured} {over}"
    if len(found) >= policy.k and all(verdict.good for verdict in found[-policy.k :]):
        return Judged(calm=f"{said}, back within {digits(policy.min_effect)} of the reference {digits(reference)}")
    began = next((alert.opened_at for alert in alerts if alert.metric == metric), _run_start(found).start)
    text = (
        f"{said}: {digits(abs(newest.shortfall))} {'worse' if newest.shortfall > 0 else 'better'} than the reference "
        f"{digits(reference)} of v{windows[-1].model_version}, {_how_surely(len(bad), len(recent))}, "
        f"since {moment(began, monitor.window)}"
    )
    streak = sum(1 for verdict in found if verdict.bad and verdict.start >= began)
    fires = None
    if newest.bad and len(bad) >= policy.k:
        fires = Alert(
            id=alert_id(monitor.name, _subject(rule, metric), windows[-1].model_version, began),
            monitor=monitor.name,
            metric=metric,
            state=AlertState.FIRING,
            opened_at=began,
            text=text,
            severity=CRITICAL,
            windows=streak,
        )
    return Judged(fires=fires, text=text, windows=streak)


def _subject(rule: Rule, metric: str) -> str:
    """What tells the alerts of several rules about the model's metric apart."""
    return metric if rule.name == PERFORMANCE else f"{metric}/{rule.name}"


def _how_surely(bad: int, recent: int) -> str:
    """An alert goes on between the two: until the whole interval is back, not as soon as it is no longer all below."""
    windows = f"the last {recent} windows"
    return f"{bad} of {windows}" if bad else f"but not surely in {windows}, and not surely back either"


def _run_start(found: Sequence[Verdict]) -> Verdict:
    """The first bad verdict after the last two good ones in a row, or the newest verdict if none is bad."""
    start = found[-1]
    good = 0
    for verdict in reversed(found):
        good = 0 if verdict.bad else good + 1
        if good >= 2:
            break
        if verdict.bad:
            start = verdict
    return start


def _drift(monitor: Monitor, windows: Sequence[Window], policy: Policy, alerts: Sequence[Alert]) -> Judged:
    recent = windows[-policy.drift_n :]
    drifted = [window for window in recent if strongly_drifted(window, policy)]
    if len(recent) >= policy.drift_k and not any(
        strongly_drifted(window, policy) for window in recent[-policy.drift_k :]
    ):
        return Judged(calm="no feature is far from the reference any more")
    if len(drifted) < policy.drift_k or not strongly_drifted(windows[-1], policy):
        return Judged()
    worst = strongly_drifted(windows[-1], policy)
    named = ", ".join(score.column for score in worst[:3]) + (f" and {len(worst) - 3} more" if len(worst) > 3 else "")
    began = next((alert.opened_at for alert in alerts if alert.metric == DRIFT), drifted[0].start)
    text = (
        f"{len(worst)} feature{'s' if len(worst) != 1 else ''} drifted ({named}) in {len(drifted)} of the last "
        f"{len(recent)} windows, since {moment(began, monitor.window)}; {_what_decides(windows)}"
    )
    fires = Alert(
        id=alert_id(monitor.name, DRIFT, windows[-1].model_version, began),
        monitor=monitor.name,
        metric=DRIFT,
        state=AlertState.FIRING,
        opened_at=began,
        text=text,
        severity=WARN,
        windows=len(drifted),
    )
    return Judged(fires=fires, text=text, windows=len(drifted))


def _what_decides(windows: Sequence[Window]) -> str:
    if any(window.labelled for window in windows):
        return "a warning only: the labels decide whether it matters"
    return "a warning only: nobody knows whether it matters until labels come"


def strongly_drifted(window: Window, policy: Policy) -> list[ColumnScore]:
    """The columns of a window that are far off, worst first."""
    odd = (MonitorState.WARN, MonitorState.FIRING)
    found = [score for score in window.columns if score.state in odd and (score.psi or 0.0) >= policy.psi]
    return sorted(found, key=lambda score: -(score.psi or 0.0))


def alert_id(monitor: str, metric: str, version: str, start: Millis) -> str:
    """The same trouble always has the same id, so that a repeated evaluation writes no second alert."""
    return hashlib.sha256(f"{monitor}\0{metric}\0{version}\0{start}".encode()).hexdigest()[:16]


def monitor_state(open_alerts: Sequence[Alert], newest: Window | None) -> MonitorState:
    """What a monitor's one word is: firing only by a critical alert that nobody took or muted yet."""
    if any(is_firing(alert) for alert in open_alerts):
        return MonitorState.FIRING
    if newest is None:
        return MonitorState.NO_DATA
    heard = [alert for alert in open_alerts if not is_muted(alert)]
    return MonitorState.WARN if heard else own_state(newest)


def _resolve(alert: Alert, at: Millis, why: str) -> Alert:
    return _replace(alert, state=AlertState.RESOLVED, resolved_at=at, text=f"{alert.text}. Resolved: {why}")


def _replace(alert: Alert, **changes: object) -> Alert:
    return msgspec.structs.replace(alert, **changes)
