"""Turning a monitor: how long its stretches are, which one is shown, against what, of which rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backends.contract import Invalid
from console.monitoring.ranges import ALL, stretches
from console.tui.dialogs import Choose

if TYPE_CHECKING:
    from console.monitoring.read import Look, MonitorView
    from console.tui.here import Here
    from console.tui.panes.monitor import MonitorPane


def _pane(here: Here) -> MonitorPane:
    from console.tui.panes.monitor import MonitorPane

    assert isinstance(here.view, MonitorPane)  # noqa: S101 or the action were not available
    return here.view


def turn(here: Here, **changes: object) -> None:
    """Look at the monitor with these fields of its look changed."""
    pane = _pane(here)
    look: Look = msgspec.structs.replace(pane.look, **changes)
    pane.look_at(look)


def longer(here: Here) -> None:
    _step(here, 1)


def shorter(here: Here) -> None:
    _step(here, -1)


def _step(here: Here, by: int) -> None:
    pane = _pane(here)
    view = pane.view
    if view is None:
        return
    kinds = stretches(view.monitor.window)
    at = min(len(kinds) - 1, max(0, kinds.index(pane.look.stretch or kinds[0]) + by))
    _show_by(here, view, kinds[at])


def by(here: Here) -> None:
    """`:by week`."""
    view = _pane(here).view
    if view is None:
        return
    kinds = stretches(view.monitor.window)
    wanted = here.argument.strip() or kinds[0]
    if wanted not in kinds:
        raise Invalid(f"windows of a {view.monitor.window} are shown by {', '.join(kinds)}, not by {wanted}", "by")
    _show_by(here, view, wanted)


def _show_by(here: Here, view: MonitorView, kind: str) -> None:
    """What was looked at in the past is what the new stretch holds; the newest stays the newest."""
    from console.monitoring.ranges import bounds

    at = None
    if not view.last and view.newest is not None and kind != ALL:
        at = bounds(kind, view.newest.start)[0] if kind != view.monitor.window else view.newest.start
    turn(here, stretch="" if kind == view.monitor.window else kind, at=at)


def earlier(here: Here) -> None:
    _move(here, -1)


def later(here: Here) -> None:
    _move(here, 1)


def _move(here: Here, by_: int) -> None:
    pane = _pane(here)
    view = pane.view
    if view is None or view.newest is None or not view.windows:
        return
    starts = [window.start for window in view.windows]
    here_ = pane.look.at if pane.look.at is not None else view.newest.start  # what was asked for last
    at = starts.index(here_) if here_ in starts else len(starts) - 1
    wanted = at + by_
    if wanted < 0 and not view.first_read:
        turn(here, at=starts[0] - 1)
    elif wanted < 0:
        here.app.tell("this is all of it" if view.kind == ALL else f"this is the first {view.kind}")
    elif wanted < len(starts):
        turn(here, at=None if wanted == len(starts) - 1 and view.last_read else starts[wanted])
    elif not view.last_read:
        turn(here, at=view.windows[-1].end)


def newest(here: Here) -> None:
    turn(here, at=None)


def against(here: Here) -> None:
    turn(here, previous=not _pane(here).look.previous)


def chart(here: Here) -> None:
    _pane(here).next_chart(here.argument.strip())


async def segment(here: Here) -> None:
    """All rows, or those of a segment by its name."""
    pane = _pane(here)
    view = pane.view
    if view is None:
        return
    names = [each.name for each in view.monitor.segments]
    wanted = here.argument.strip()
    if wanted and wanted not in (*names, "all"):
        raise Invalid(f"{view.monitor.name} has no segment {wanted!r}; it has {', '.join(names) or 'none'}", "segment")
    if not wanted:
        if not names:
            here.app.tell(
                f"{view.monitor.name} has no segments yet; B makes one, f finds the worst parts",
                severity="warning",
            )
            return
        wanted = await here.app.ask(_choice(view)) or ""
        if not wanted:
            return
    turn(here, segment="" if wanted == "all" else wanted, at=None)


def _choice(view: MonitorView) -> Choose:
    rows = [("all", "all rows", ""), *((each.name, each.name, each.where) for each in view.monitor.segments)]
    return Choose("Show which rows", rows)
