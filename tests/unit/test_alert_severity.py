from __future__ import annotations

import msgspec
import pytest

from backends.entities import Alert, AlertState
from console.monitoring.alarms.severity import alert_word, by_urgency, is_firing


def alert(name: str, severity: str, state: AlertState = AlertState.FIRING) -> Alert:
    return Alert(id=name, monitor="m", metric="auc", state=state, opened_at=1, text="t", severity=severity)


@pytest.mark.parametrize(
    ("severity", "state", "word"),
    [
        ("critical", AlertState.FIRING, "firing"),
        ("warn", AlertState.FIRING, "warn"),
        ("critical", AlertState.ACKED, "acked"),
        ("warn", AlertState.ACKED, "acked"),
        ("critical", AlertState.RESOLVED, "resolved"),
        ("warn", AlertState.RESOLVED, "resolved"),
    ],
)
def test_only_a_critical_alert_fires(severity: str, state: AlertState, word: str) -> None:
    assert alert_word(alert("a", severity, state)) == word


@pytest.mark.parametrize(("state", "word"), [(AlertState.FIRING, "muted"), (AlertState.ACKED, "acked")])
def test_a_muted_alert_does_not_fire(state: AlertState, word: str) -> None:
    muted = msgspec.structs.replace(alert("a", "critical", state), muted_until=9)
    assert alert_word(muted) == word
    assert not is_firing(muted)


def test_what_fires_comes_before_what_warns_and_what_is_taken() -> None:
    given = [
        alert("taken", "critical", AlertState.ACKED),
        alert("w1", "warn"),
        alert("c", "critical"),
        alert("w2", "warn"),
    ]
    assert [each.id for each in by_urgency(given)] == ["c", "w1", "w2", "taken"]
