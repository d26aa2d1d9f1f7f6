"""Asking why a monitor is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from backends.entities import Alert, Monitor, Progress
from console.tui.actions.registry import BY_ID
from console.tui.frame import progress_spans

if TYPE_CHECKING:
    from console.monitoring.reasons.why import Why
    from console.tui.here import Here


async def show_why(here: Here) -> None:
    """Of the alert or the monitor that is selected. What stored windows tell is read in a thread and stands at once;
    the sampled rows are looked at meanwhile, in a process of their own."""
    from console.monitoring.happened import mark_of
    from console.monitoring.reasons.why import why  # with what it needs of the store: only once somebody asks
    from console.monitoring.reasons.why_offloaded import explain_offloaded
    from console.tui.panes.monitor import MonitorPane
    from console.tui.why_screen import WhyScreen

    chosen = here.selected
    assert isinstance(chosen, Alert | Monitor)  # noqa: S101 or the action were not available
    assert here.session is not None  # noqa: S101
    backend = here.session.backend
    name, alert = (chosen.monitor, chosen.id) if isinstance(chosen, Alert) else (chosen.name, "")
    line = progress_spans(f"{name}: why", Progress(at=0, stage="reading windows"))
    here.app.say_work(line)
    try:
        found = await here.app.look_up(lambda: why(backend, name, alert=alert))
    finally:
        here.app.say_work(())
    if isinstance(here.view, MonitorPane):
        here.view.mark_onset(found.monitor, mark_of(found.onset))

    def search(progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> Why:
        return explain_offloaded(backend, name, alert=alert, on_progress=progress, cancel=stopped)

    def later(action: str) -> Callable[[], None]:
        return lambda: here.app.perform(BY_ID[action])

    do = {key: (BY_ID[action].label, later(action)) for key, action in (("a", "ack"), ("b", "rollback"))}
    here.app.push_screen(WhyScreen(found, here.app.size.width, do, search))
