"""Let stored windows open, change and resolve a monitor's alerts: as they come, and anew when the rules change. Plain
Python."""

from __future__ import annotations

import time

import msgspec

from backends.contract import Backend
from backends.entities import Alert, AlertState, Monitor
from console.monitoring.alarms.ack import restate
from console.monitoring.alarms.alerts import evaluate, horizon, rules_of
from console.monitoring.alarms.rules import PERFORMANCE, Rule
from console.monitoring.alarms.schema_rules import PREFIX
from console.monitoring.counted.profile import Profile

RECENT = 100
"""Alerts that a rule's silence after one is looked up in."""


def review(backend: Backend, monitor: Monitor, profile: Profile, version: str) -> None:
    """Judge the newest windows, if they are of this version; the newest one then says what the state is."""
    store = backend.need("monitors")
    windows = store.windows(monitor.name, limit=horizon(monitor))
    if not windows or windows[-1].model_version != version:
        return
    drop_unasked(backend, monitor)
    parts = {
        segment.name: store.windows(monitor.name, segment=segment.name, limit=len(windows))
        for segment in monitor.segments
    }
    known = {alert.id: alert for alert in store.alerts(monitor.name, limit=RECENT)}  # over lately: some rules wait then
    known |= {alert.id: alert for alert in store.alerts(monitor.name, open_only=True)}
    for alert in evaluate(monitor, profile, windows, list(known.values()), segments=parts):
        store.put_alert(alert)
    restate(backend, monitor.name)


def drop_unasked(backend: Backend, monitor: Monitor) -> None:
    """Resolve the open alerts of rules and segments that are no longer there: no window would ever end them."""
    store, rules = backend.need("monitors"), rules_of(monitor)
    parts = {"", *(segment.name for segment in monitor.segments)}
    now = int(time.time() * 1000)
    for alert in store.alerts(monitor.name, open_only=True):
        # What columns are like is told by who reads the rows, and turned off there.
        if not alert.rule or alert.metric.startswith(PREFIX):
            continue
        if alert.segment in parts and any(_asks(rule, alert) for rule in rules):
            continue
        text = f"{alert.text}. Resolved: nothing asks for it any more"
        store.put_alert(msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=now, text=text))


def _asks(rule: Rule, alert: Alert) -> bool:
    same = rule.metric in (PERFORMANCE, alert.metric)
    return rule.name == alert.rule and same and rule.covers(alert.segment)
