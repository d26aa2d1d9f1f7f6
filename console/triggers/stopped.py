"""A trigger that stopped itself calls for a person: an alert beside those of monitors, told along the same channels,
until the trigger is resumed or deleted.

Its monitor is `trigger:NAME`, the name that the journal has for what the trigger does. May be called at any time, and
again: the alert follows from where the trigger stands.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from backends.contract import Backend, NotFound
from backends.entities import Alert, AlertState, Trigger, TriggerState
from backends.entities.triggers import ACTOR
from console.triggers.clock import real_now

METRIC: Final = "stopped"


def alert_of(trigger: Trigger, cause: str, text: str) -> Alert:
    """The alert of one stop; `cause` is the firing that was the failure too many."""
    subject = f"{trigger.actor}\0{trigger.created_at}\0{cause}"
    return Alert(
        id=hashlib.sha256(subject.encode()).hexdigest()[:16],
        monitor=trigger.actor,
        metric=METRIC,
        rule=METRIC,
        state=AlertState.FIRING,
        opened_at=real_now(),
        text=f"trigger {trigger.name} stopped itself: {text.rstrip('.')}. It does nothing until it is resumed: "
        f"mlops-console trigger resume {trigger.name}",
        severity="critical",
    )


def speak_up(backend: Backend, trigger: Trigger, cause: str, text: str) -> None:
    """Open the alert, unless it is there."""
    if backend.monitors is None:
        return
    made = alert_of(trigger, cause, text)
    if all(each.id != made.id for each in backend.monitors.alerts(trigger.actor)):
        backend.monitors.put_alert(made)


def fall_silent(backend: Backend, name: str) -> None:
    """Resolve the alerts of a trigger that acts again, or is gone."""
    if backend.monitors is None or backend.triggers is None:
        return
    try:
        state = str(backend.triggers.get(name).status.state)
    except NotFound:
        state = "deleted"
    if state == TriggerState.STOPPED:
        return
    for alert in backend.monitors.alerts(f"{ACTOR}{name}", open_only=True):
        text = f"{alert.text}. Resolved: it is {state}"
        backend.monitors.put_alert(
            msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=real_now(), text=text)
        )
