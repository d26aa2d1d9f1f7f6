"""A batch whose columns are not those of training is an event with a text, and an alert until the columns are back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from backends.contract import Backend
from backends.entities import Alert, AlertState, Monitor, Window
from console.monitoring.alarms.alerts import alert_id
from console.monitoring.alarms.severity import WARN

if TYPE_CHECKING:
    from console.monitoring.feeds.batch import SchemaEvent

PREFIX = "schema."


def note_events(
    backend: Backend, monitor: Monitor, events: Sequence[SchemaEvent], window: Window, columns: Sequence[str]
) -> None:
    """Open an alert per odd column, count on one that is open, and resolve those whose column is as trained again."""
    store = backend.need("monitors")
    current = {
        alert.metric: alert for alert in store.alerts(monitor.name, open_only=True) if alert.metric.startswith(PREFIX)
    }
    odd = {PREFIX + event.column: event for event in events}
    for metric, event in odd.items():
        alert = current.get(metric)
        if alert is not None:
            store.put_alert(msgspec.structs.replace(alert, text=event.text, windows=alert.windows + 1))
            continue
        store.put_alert(
            Alert(
                id=alert_id(monitor.name, metric, window.model_version, window.start),
                monitor=monitor.name,
                metric=metric,
                state=AlertState.FIRING,
                opened_at=window.start,
                text=event.text,
                severity=WARN,
            )
        )
    for metric, alert in current.items():
        if metric not in odd and (metric.removeprefix(PREFIX) in columns or metric == PREFIX + monitor.time_column):
            text = f"{alert.text} Resolved: the column is as in training again."
            store.put_alert(
                msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=window.end, text=text)
            )
