"""Alerts that fire in the context's metrics store, on the overview: asked for beside everything else, and only while
somebody looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.contract import BackendError
from backends.entities import SourceAlert
from console.safe import safe_text
from console.services.telling import alert_text
from console.tui import ink, state
from console.tui.lines import Line
from console.wording import age

if TYPE_CHECKING:
    from backends.contract import MetricSource

EVERY_S = 30.0
"""Between two questions: rules there are judged once in 15 s to a minute."""
SHOWN = 20


@dataclass(frozen=True)
class Outside:
    """What was heard last."""

    alerts: tuple[SourceAlert, ...] = ()
    """Those that fire."""
    trouble: str = ""
    """Why nothing could be heard."""


class OutsideAlerts:
    """Asks in a thread of its own: a store that does not answer holds up no look at the workspace."""

    def __init__(self) -> None:
        self.heard = Outside()
        self._asked_at: float | None = None
        self._work: threading.Thread | None = None

    def ask(self, source: MetricSource | None) -> None:
        """Ask where it is time to; the answer is in `heard` once it has come."""
        at = time.monotonic()
        if source is None or (self._asked_at is not None and at - self._asked_at < EVERY_S):
            return
        if self._work is not None and self._work.is_alive():
            return
        self._asked_at = at
        self._work = threading.Thread(target=self._hear, args=(source,), name="alerts outside", daemon=True)
        self._work.start()

    def _hear(self, source: MetricSource) -> None:
        try:
            found = source.alerts()
        except BackendError as error:
            self.heard = Outside(trouble=str(error))
        else:
            self.heard = Outside(tuple(alert for alert in found if alert.state == "firing")[:SHOWN])


def outside_lines(heard: Outside, now: int, width: int) -> list[Line]:
    """A line for each, marked as not the console's own; and one where the store does not answer."""
    lines = []
    for alert in heard.alerts:
        word = "firing" if alert.severity in ("critical", "page", "error") else "warn"
        lines.append(
            Line(
                [
                    state.span(word, f"{word:<8}"),
                    (" " + ink.fit(safe_text(alert.name), 16) + " ", ""),
                    (safe_text(alert_text(alert), max(20, width - 60)), ""),
                    ("  metrics store", "dim"),
                    (f"  {age(alert.since, now)}", "dim"),
                ],
                f"outside:{alert.id}",
                alert,
            )
        )
    if heard.trouble:
        said = safe_text(heard.trouble, max(20, width - 30))
        lines.append(Line([state.span("warn", f"{'warn':<8}"), (" " + ink.fit("metrics", 16) + " ", ""), (said, "")]))
    return lines


def details(alert: SourceAlert, width: int) -> Sequence[Line]:
    """All that is known of it."""
    from console.tui.lines import wrapped
    from console.wording import local_time, number

    facts = {
        "alert": alert.name,
        "state": f"{alert.state}{f', {alert.severity}' if alert.severity else ''}",
        "since": local_time(alert.since),
        "what": alert_text(alert),
        "value": number(alert.value) if alert.value is not None else "",
        **alert.labels,
    }
    lines: list[Line] = []
    for name, value in facts.items():
        if value:
            lines += wrapped(f"{safe_text(name, 20):<12} {safe_text(value, 2_000)}", width - 2, "", " ")
    return [*lines, *wrapped("It fires by a rule of the metrics store, and is answered there.", width - 2, "dim", " ")]
