"""From windows to alerts: performance decides, drift warns. Plain Python over stored windows; the same windows give
the same alerts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from backends.entities import Alert, AlertState, ColumnScore, Estimate, Millis, Monitor, MonitorState, Record, Window
from console.monitoring.policy import Policy, read_policy
from console.monitoring.profile import Profile
from console.monitoring.severity import CRITICAL, WARN, is_firing
from console.monitoring.verdicts import Verdict, primary_metric, verdicts
from console.monitoring.windows import own_state

DRIFT = "drift"


def evaluate(monitor: Monitor, profile: Profile, windows: Sequence[Window], alerts: Sequence[Alert]) -> list[Alert]:
    """The alerts that must be written: new, worsened, resolved. Unchanged ones are left out.

    windows: oldest first, the newest ones; `horizon` says how many are looked at. alerts: the monitor's open ones.
    """
    if not windows:
        return []
    policy = read_policy(monitor.policy)
    version = windows[-1].model_version
    own = [window for window in windows if window.model_version == version]
    changed: list[Alert] = []
    for metric, judged in (
        (primary_metric(profile), _performance(monitor, profile, own, policy, alerts)),
        (DRIFT, _drift(monitor, own, policy, alerts)),
    ):
        current = next(
            (alert for alert in alerts if alert.metric == metric and alert.state is not AlertState.RESOLVED), None
        )
        if current is not None and current.opened_at < own[0].start and own[0] is not windows[0]:
            changed.append(_resolve(current, windows[-1].end, f"version {version} took over"))
            current = None
        if current is None:
            if judged.fires is not None:
                changed.append(judged.fires)
        elif judged.calm:
            changed.append(_resolve(current, windows[-1].end, judged.calm))
        elif judged.text and (judged.text != current.text or judged.windows != current.windows):
            changed.append(_replace(current, text=judged.text, windows=max(judged.windows, current.windows)))
    return changed


def horizon(monitor: Monitor) -> int:
    """How many of the newest windows `evaluate` looks at."""
    policy = read_policy(monitor.policy)
    return max(policy.pool + 2 * policy.n, policy.drift_n)


class _Judged(Record, frozen=True):
    fires: Alert | None = None
    calm: str = ""
    """Why an open alert is over."""
    text: str = ""
    windows: int = 0


def _performance(
    monitor: Monitor, profile: Profile, windows: Sequence[Window], policy: Policy, alerts: Sequence[Alert]
) -> _Judged:
    metric = primary_metric(profile)
    found = verdicts(windows, profile, policy)
    if not found:
        return _Judged()
    recent = found[-policy.n :]
    bad = [verdict for verdict in recent if verdict.bad]
    newest = found[-1]
    reference = newest.reference
    measured = f"{digits(newest.value.value)}{interval(newest.value)}"
    over = f"within days, over {policy.pool} days" if newest.within else f"over {policy.pool} {plural(monitor.window)}"
    said = f"{label(metric)} {measured} {over}"
    if len(found) >= policy.k and all(verdict.good for verdict in found[-policy.k :]):
        return _Judged(calm=f"{said}, back within {digits(policy.min_effect)} of the reference {digits(reference)}")
    began = next((alert.opened_at for alert in alerts if alert.metric == metric), _run_start(found).start)
    text = (
        f"{said}: {digits(abs(newest.shortfall))} {'worse' if newest.shortfall > 0 else 'better'} than the reference "
        f"{digits(reference)} of v{windows[-1].model_version}, {len(bad)} of the last {len(recent)} windows, "
        f"since {moment(began, monitor.window)}"
    )
    streak = sum(1 for verdict in found if verdict.bad and verdict.start >= began)
    fires = None
    if newest.bad and len(bad) >= policy.k:
        fires = Alert(
            id=alert_id(monitor.name, metric, windows[-1].model_version, began),
            monitor=monitor.name,
            metric=metric,
            state=AlertState.FIRING,
            opened_at=began,
            text=text,
            severity=CRITICAL,
            windows=streak,
        )
    return _Judged(fires=fires, text=text, windows=streak)


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


def _drift(monitor: Monitor, windows: Sequence[Window], policy: Policy, alerts: Sequence[Alert]) -> _Judged:
    recent = windows[-policy.drift_n :]
    drifted = [window for window in recent if strongly_drifted(window, policy)]
    if len(recent) >= policy.drift_k and not any(
        strongly_drifted(window, policy) for window in recent[-policy.drift_k :]
    ):
        return _Judged(calm="no feature is far from the reference any more")
    if len(drifted) < policy.drift_k or not strongly_drifted(windows[-1], policy):
        return _Judged()
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
    return _Judged(fires=fires, text=text, windows=len(drifted))


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
    """What a monitor's one word is: firing only by a critical alert that nobody took yet."""
    if any(is_firing(alert) for alert in open_alerts):
        return MonitorState.FIRING
    if newest is None:
        return MonitorState.NO_DATA
    return MonitorState.WARN if open_alerts else own_state(newest)


def _resolve(alert: Alert, at: Millis, why: str) -> Alert:
    return _replace(alert, state=AlertState.RESOLVED, resolved_at=at, text=f"{alert.text}. Resolved: {why}")


def _replace(alert: Alert, **changes: object) -> Alert:
    return msgspec.structs.replace(alert, **changes)


def label(metric: str) -> str:
    """A metric's name as people write it."""
    return {"auc": "AUC", "log_loss": "log loss", "brier": "Brier", "rmse": "RMSE", "mae": "MAE"}.get(metric, metric)


def digits(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.5g}"


def interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f" [{digits(estimate.low)}, {digits(estimate.high)}]"


def plural(window: str) -> str:
    return {"batch": "batches"}.get(window, f"{window}s")


def moment(at: Millis, window: str) -> str:
    """When, as precisely as the windows are: `12 Apr 2013`, or with the time of day (UTC)."""
    when = datetime.fromtimestamp(at / 1000, UTC)
    day = f"{when.day} {when:%b %Y}"
    return day if window == "day" else f"{day} {when:%H:%M} UTC"
