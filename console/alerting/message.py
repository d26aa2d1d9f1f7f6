"""What people and programs are told: the words of a delivery, and its JSON."""

from __future__ import annotations

from typing import Any

from backends.entities import AlertEvent, Delivery, Happening
from console.safe import safe_text

WORDS = {
    AlertEvent.FIRED: "fires",
    AlertEvent.WORSENED: "is worse",
    AlertEvent.RESOLVED: "is resolved",
    AlertEvent.UNMUTED: "is no longer muted and still open",
    AlertEvent.TEST: "is a test",
}
SHOWN = 20
"""Alerts of a burst that are told in full."""


def subject(delivery: Delivery) -> str:
    """One line: which monitor, what happened; of a burst, how many."""
    first = delivery.happenings[0]
    if len(delivery.happenings) == 1:
        return line(first)
    monitors = list(dict.fromkeys(each.alert.monitor for each in delivery.happenings))
    more = f" and {len(monitors) - 3} more" if len(monitors) > 3 else ""
    return f"{len(delivery.happenings)} alerts changed: {safe_text(', '.join(monitors[:3]), 120)}{more}"


def line(happening: Happening) -> str:
    alert = happening.alert
    segment = f" ({safe_text(alert.segment, 40)})" if alert.segment else ""
    what = f"{safe_text(alert.metric, 60)}{segment} {WORDS[happening.event]}"
    return f"[{alert.severity}] {safe_text(alert.monitor, 60)}: {what}"


def body(delivery: Delivery) -> str:
    """Several lines of plain text."""
    parts = []
    for happening in delivery.happenings[:SHOWN]:
        alert = happening.alert
        lines = [line(happening), safe_text(alert.text, 2000)]
        if alert.note:
            lines.append(f"note: {safe_text(alert.note, 500)}")
        if alert.runbook:
            lines.append(f"runbook: {safe_text(alert.runbook, 500)}")
        if happening.event is not AlertEvent.TEST:
            lines.append(f"alert {alert.id[:8]}: mlops-console alert show {alert.id[:8]}")
        parts.append("\n".join(lines))
    if len(delivery.happenings) > SHOWN:
        parts.append(f"and {len(delivery.happenings) - SHOWN} more: mlops-console alert list")
    return "\n\n".join(parts)


def payload(delivery: Delivery, workspace: str) -> dict[str, Any]:
    """The JSON of webhooks and commands. `text` is what Slack and its like show; `id` is the same at every try, so that
    a receiver can drop what it has."""
    return {
        "text": _slack(body(delivery)),
        "id": delivery.id,
        "workspace": workspace,
        "alerts": [
            {
                "event_id": happening.id,
                "event": str(happening.event),
                "at": happening.at,
                "id": happening.alert.id,
                "monitor": happening.alert.monitor,
                "rule": happening.alert.rule or happening.alert.metric,
                "metric": happening.alert.metric,
                "segment": happening.alert.segment,
                "severity": happening.alert.severity,
                "state": str(happening.alert.state),
                "opened_at": happening.alert.opened_at,
                "resolved_at": happening.alert.resolved_at,
                "text": happening.alert.text,
                "runbook": happening.alert.runbook,
            }
            for happening in delivery.happenings
        ],
    }


def _slack(text: str) -> str:
    """Slack obeys three letters; with them it would make links and call people."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
