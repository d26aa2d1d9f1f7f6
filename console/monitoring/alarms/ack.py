"""A person answers an alert, and the monitor's own word follows at once."""

from __future__ import annotations

import re
from contextlib import nullcontext

import msgspec

from backends.contract import Backend, Invalid, Mutation
from backends.entities import ANY, Alert, Millis, Mute
from backends.entities.triggers import ACTOR
from console.monitoring.alarms.alerts import monitor_state
from console.monitoring.folder import locked, monitor_folder

_UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}


def ack_alert(backend: Backend, alert: str, mutation: Mutation) -> Alert:
    """Say that a person has seen it. Raises NotFound, or Conflict where it is taken or over already."""
    acked: Alert = backend.need("monitors").ack_alert(alert, mutation)
    return _followed(backend, acked)


def unack_alert(backend: Backend, alert: str, mutation: Mutation) -> Alert:
    """Give it back, so that it calls for somebody again. Raises NotFound, or Conflict where nobody has taken it."""
    given: Alert = backend.need("monitors").unack_alert(alert, mutation)
    return _followed(backend, given)


def resolve_alert(backend: Backend, alert: str, mutation: Mutation) -> Alert:
    """Say that it is over. Raises NotFound, or Conflict where it is already."""
    over: Alert = backend.need("monitors").resolve_alert(alert, mutation)
    return _followed(backend, over)


def mute(backend: Backend, wanted: Mute, mutation: Mutation) -> Mute:
    """Tell nobody of what it covers until it ends. Raises NotFound without the monitor, Invalid without a future."""
    made: Mute = backend.need("monitors").mute(wanted, mutation)
    follow(backend, made.monitor)
    return made


def unmute(backend: Backend, muted: Mute, mutation: Mutation) -> None:
    """End a mute early. Raises NotFound where it is not in force."""
    backend.need("monitors").unmute(muted.monitor, muted.rule, muted.segment, mutation)
    follow(backend, muted.monitor)


def mute_of(alert: Alert, until: Millis, *, whole: bool = False) -> Mute:
    """The mute of an alert's rule and segment, or of all that its monitor says."""
    if whole:
        return Mute(monitor=alert.monitor, until=until)
    # Of columns each by itself: a rule about them is about all.
    rule = alert.metric if alert.metric.startswith("schema.") else alert.rule or alert.metric
    return Mute(monitor=alert.monitor, rule=rule, segment=alert.segment or ANY, until=until)


def mute_span(text: str) -> Millis:
    """`30m`, `2h`, `3 d`, `1w`. Invalid where it is none of these."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([mhdw])\s*", text)
    if found is None or float(found[1]) <= 0:
        raise Invalid(f"for how long is wanted like 30m, 2h, 3d or 1w, and is {text[:40]!r}", "for")
    return round(float(found[1]) * _UNITS[found[2]])


def _followed(backend: Backend, alert: Alert) -> Alert:
    follow(backend, alert.monitor)
    return alert


def follow(backend: Backend, monitor: str) -> None:
    """`restate`, unless a scorer is at it. An alert of a trigger has no windows to bring up to date."""
    if monitor.startswith(ACTOR):
        return
    # A scorer that adds to the same window meanwhile must not be written over.
    with locked(monitor_folder(backend, monitor)) if backend.home is not None else nullcontext():
        restate(backend, monitor)


def restate(backend: Backend, monitor: str) -> None:
    """Bring the newest window, and with it the monitor, to the state that its open alerts give."""
    store = backend.need("monitors")
    windows = store.windows(monitor, limit=1)
    if not windows:
        return
    state = monitor_state(store.alerts(monitor, open_only=True), windows[-1])
    if state is not windows[-1].state:
        store.add_window(msgspec.structs.replace(windows[-1], state=state))
