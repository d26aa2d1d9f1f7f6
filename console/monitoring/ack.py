"""A person takes an alert, and the monitor's own word follows at once."""

from __future__ import annotations

from contextlib import nullcontext

import msgspec

from backends.contract import Backend, Mutation
from backends.entities import Alert
from console.monitoring.alerts import monitor_state
from console.monitoring.folder import locked, monitor_folder


def ack_alert(backend: Backend, alert: str, mutation: Mutation) -> Alert:
    """Say that a person has seen it. Raises NotFound, or Conflict where it is taken or over already."""
    store = backend.need("monitors")
    acked: Alert = store.ack_alert(alert, mutation)
    # A scorer that adds to the same window meanwhile must not be written over.
    with locked(monitor_folder(backend, acked.monitor)) if backend.home is not None else nullcontext():
        restate(backend, acked.monitor)
    return acked


def restate(backend: Backend, monitor: str) -> None:
    """Bring the newest window, and with it the monitor, to the state that its open alerts give."""
    store = backend.need("monitors")
    windows = store.windows(monitor, limit=1)
    if not windows:
        return
    state = monitor_state(store.alerts(monitor, open_only=True), windows[-1])
    if state is not windows[-1].state:
        store.add_window(msgspec.structs.replace(windows[-1], state=state))
