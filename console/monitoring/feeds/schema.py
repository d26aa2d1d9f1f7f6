"""A batch whose columns are not those of training is an event with a text, and an alert until the columns are back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from backends.contract import Backend
from backends.entities import Alert, AlertState, Monitor, Window
from console.monitoring.alarms.alerts import alert_id, rules_of
from console.monitoring.alarms.schema_rules import PREFIX, is_silent, rule_for

if TYPE_CHECKING:
    from console.monitoring.feeds.batch import SchemaEvent

RECENT = 200
"""Alerts that a rule's silence after one is looked up in."""


def note_events(
    backend: Backend, monitor: Monitor, events: Sequence[SchemaEvent], window: Window, columns: Sequence[str]
) -> None:
    """Open an alert per odd column, count on one that is open, and resolve those whose column is as trained again.
    What the policy's rules about `schema` turn off is not told."""
    store, rules = backend.need("monitors"), rules_of(monitor)
    current = {
        alert.metric: alert for alert in store.alerts(monitor.name, open_only=True) if alert.metric.startswith(PREFIX)
    }
    odd = {PREFIX + event.column: event for event in events if not rule_for(rules, event.kind).off}
    for metric, event in odd.items():
        alert = current.get(metric)
        if alert is not None:
            severity = rule_for(rules, event.kind).severity
            store.put_alert(
                msgspec.structs.replace(alert, text=event.text, windows=alert.windows + 1, severity=severity)
            )
            continue
        rule = rule_for(rules, event.kind)
        if rule.quiet_ms:
            over = [
                each.resolved_at or 0
                for each in store.alerts(monitor.name, limit=RECENT)
                if each.metric == metric and each.state is AlertState.RESOLVED
            ]
            if is_silent(rule, over, window.start):
                continue
        store.put_alert(
            Alert(
                id=alert_id(monitor.name, metric, window.model_version, window.start),
                monitor=monitor.name,
                metric=metric,
                state=AlertState.FIRING,
                opened_at=window.start,
                text=event.text,
                severity=rule.severity,
                rule=rule.name,
                runbook=rule.runbook,
            )
        )
    off = {PREFIX + event.column for event in events} - set(odd)
    for metric, alert in current.items():
        if metric in off:
            text = f"{alert.text} Resolved: the policy has turned it off."
            store.put_alert(
                msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=window.end, text=text)
            )
        elif metric not in odd and (metric.removeprefix(PREFIX) in columns or metric == PREFIX + monitor.time_column):
            text = f"{alert.text} Resolved: the column is as in training again."
            store.put_alert(
                msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=window.end, text=text)
            )
