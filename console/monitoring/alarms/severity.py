"""How much an alert asks of a person. One rule for screen, command line and monitors."""

from __future__ import annotations

from collections.abc import Iterable

from backends.entities import Alert, AlertState

CRITICAL = "critical"
"""Quality is lost: somebody must act."""
WARN = "warn"
"""Something moved; whether it matters is for labels, or a person, to say."""
INFO = "info"
"""Good to know."""


def is_firing(alert: Alert) -> bool:
    """Critical, and nobody took or muted it yet."""
    return alert.severity == CRITICAL and _calls(alert)


def is_warning(alert: Alert) -> bool:
    """Open and untaken, but a warning only."""
    return alert.severity != CRITICAL and _calls(alert)


def is_muted(alert: Alert) -> bool:
    """Open and untaken, and nobody is told for now."""
    return alert.state is AlertState.FIRING and alert.muted_until is not None


def _calls(alert: Alert) -> bool:
    return alert.state is AlertState.FIRING and alert.muted_until is None


def alert_word(alert: Alert) -> str:
    """The word for an alert: `firing`, `warn`, `muted`, `acked` or `resolved`."""
    return "muted" if is_muted(alert) else "warn" if is_warning(alert) else str(alert.state)


def by_urgency(alerts: Iterable[Alert]) -> list[Alert]:
    """What fires first, then warnings, then what somebody took; in each the order as given."""
    return sorted(alerts, key=lambda alert: 0 if is_firing(alert) else 1 if is_warning(alert) else 2)
