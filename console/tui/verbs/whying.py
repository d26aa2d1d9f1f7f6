"""Asking why a monitor is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from backends.entities import Alert, Monitor
from console.safe import safe_text
from console.tui.actions.registry import BY_ID

if TYPE_CHECKING:
    from console.tui.here import Here


async def show_why(here: Here) -> None:
    """Of the alert or the monitor that is selected; read in a thread, for it merges many windows."""
    from console.monitoring.reasons.why import why  # with what it needs of the store: only once somebody asks
    from console.tui.why_screen import WhyScreen

    chosen = here.selected
    assert isinstance(chosen, Alert | Monitor)  # noqa: S101 or the action were not available
    assert here.session is not None  # noqa: S101
    backend = here.session.backend
    name, alert = (chosen.monitor, chosen.id) if isinstance(chosen, Alert) else (chosen.name, "")
    here.app.tell(f"{safe_text(name, 40)}: looking for what changed …")
    found = await here.app.look_up(lambda: why(backend, name, alert=alert))

    def later(action: str) -> Callable[[], None]:
        return lambda: here.app.perform(BY_ID[action])

    do = {key: (BY_ID[action].label, later(action)) for key, action in (("a", "ack"), ("b", "rollback"))}
    here.app.push_screen(WhyScreen(found, here.app.size.width, do))
