"""Let a service's newest windows open, change and resolve the alerts of monitors that are about it. Plain Python."""

from __future__ import annotations

from backends.contract import Backend, all_pages
from backends.entities import Monitor
from console.monitoring.alarms.ack import follow
from console.monitoring.alarms.alerts import evaluate_service, horizon, rules_of

RECENT = 100
"""Alerts that a rule's silence after one is looked up in."""


def review_service(backend: Backend, source: str) -> list[str]:
    """The monitors whose alerts changed. source: as `ServiceWindow.source`."""
    store = backend.need("monitors")
    changed = []
    for monitor in all_pages(lambda at: store.page(at=at, limit=500)):
        if source not in (monitor.deployment, f"monitor:{monitor.name}") or not _asks(monitor):
            continue
        services = store.services(source, limit=horizon(monitor))
        known = {alert.id: alert for alert in store.alerts(monitor.name, limit=RECENT)}
        known |= {alert.id: alert for alert in store.alerts(monitor.name, open_only=True)}
        found = evaluate_service(monitor, services, list(known.values()))
        for alert in found:
            store.put_alert(alert)
        if found:
            follow(backend, monitor.name)
            changed.append(monitor.name)
    return changed


def _asks(monitor: Monitor) -> bool:
    return bool(monitor.rules) and any(rule.metric.startswith("service.") for rule in rules_of(monitor))
