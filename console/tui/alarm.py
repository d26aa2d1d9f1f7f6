"""What an open console does when an alert is new: a toast, and the bell where the configuration wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.contract import BackendError
from console.safe import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.entities import Alert
    from console.alerting.channels import Channel
    from console.tui.app import ConsoleApp

MOST = 3
"""Toasts of one burst; the rest is a number."""


class Alarm:
    """Which alerts this console has told of. What was open when it began is on the screen already."""

    def __init__(self) -> None:
        self._heard: set[str] | None = None
        self._session: object = None

    def hear(self, app: ConsoleApp, session: object, alerts: Sequence[Alert]) -> None:
        """Tell of those that are new."""
        ids = {alert.id for alert in alerts}
        if self._session is not session or self._heard is None:
            self._session, self._heard = session, ids
            return
        fresh = [alert for alert in alerts if alert.id not in self._heard]
        # One that is over may come again under the same id, and is news then.
        self._heard = ids
        if fresh:
            self._tell(app, fresh)

    def _tell(self, app: ConsoleApp, fresh: Sequence[Alert]) -> None:
        told = [alert for alert in fresh if any(_takes(channel, alert) for channel in _channels())]
        for alert in told[:MOST]:
            kind = "error" if alert.severity == "critical" else "warning"
            app.tell(f"{safe_text(alert.monitor, 40)}: {safe_text(alert.text, 300)}", severity=kind)
        if len(told) > MOST:
            app.tell(f"{len(told) - MOST} more alerts; 1 shows what needs you", severity="warning")
        if any(alert.severity in channel.bell and _takes(channel, alert) for channel in _channels() for alert in told):
            app.bell()


def _channels() -> tuple[Channel, ...]:
    from console.alerting.channels import SCREEN
    from console.config import load_config

    try:
        found = tuple(channel for channel in load_config().notify if channel.kind == "console")
    except BackendError:  # the configuration's trouble is told where it is read for its own sake
        found = ()
    return found or (SCREEN,)


def _takes(channel: Channel, alert: Alert) -> bool:
    from backends.entities import AlertEvent, Happening

    return channel.takes(Happening(id=alert.id, event=AlertEvent.FIRED, at=alert.opened_at, alert=alert))
