"""Parts of a monitor's rows: the list, a form for another, the protected columns, and the worst parts by themselves."""

from __future__ import annotations

import re
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from backends.contract import Conflict, Invalid, Refused
from backends.entities import Alert, Column, Monitor, Segment
from console.safe import safe_text
from console.tui.dialogs import Confirm, Field, Form, sentences
from console.tui.verbs.models import session_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.entities import Estimate, Progress
    from console.monitoring.reasons.found_slices import Slice, Slices
    from console.tui.here import Here
    from console.tui.segments_screen import Wish

READ_ONLY = "this console is read-only; nothing was changed"


def monitor_name(here: Here) -> str:
    """Of the monitor that is entered, selected, or that the selected alert is of."""
    chosen = here.selected
    assert isinstance(chosen, Alert | Monitor)  # noqa: S101 or the action were not available
    return chosen.monitor if isinstance(chosen, Alert) else chosen.name


async def show(here: Here) -> None:
    """The list, until it is left; what is asked for there is done, and the list shown again."""
    from console.monitoring.counted.segment_standing import segments_standing
    from console.tui.segments_screen import SegmentsScreen

    name, at = monitor_name(here), ""

    def look() -> tuple[Monitor, Any, dict[str, Estimate]]:
        store = here.backend.need("monitors")
        found = store.get(name)
        newest = store.windows(name, limit=1)
        return found, segments_standing(here.backend, found), newest[-1].bias if newest else {}

    while True:
        monitor, standing, bias = await here.app.look_up(look)
        wish: Wish | None = await here.app.push_screen_wait(
            SegmentsScreen(monitor, standing, bias, at)  # type: ignore[arg-type]
        )
        if wish is None:
            return
        at = f"segment:{wish.segment.name}" if wish.segment is not None else at
        if wish.do == "look" and wish.segment is not None:
            _look_at(here, wish.segment.name)
            return
        if wish.do == "slices":
            await slices(here)
        elif here.read_only:
            here.app.tell(READ_ONLY, severity="warning")
        elif wish.do == "new":
            made = await _add(here, name)
            at = f"segment:{made}" if made else at
        elif wish.do == "protect":
            await protect(here)
        elif wish.do == "remove" and wish.segment is not None:
            await _remove(here, name, wish.segment)


def _look_at(here: Here, segment: str) -> None:
    from console.tui.panes.monitor import MonitorPane
    from console.tui.verbs.watching import turn

    if isinstance(here.view, MonitorPane) and here.view.inside:
        turn(here, segment=segment, at=None)
    else:
        here.app.tell(f"go into the monitor and press z: {segment} is among its segments")


async def add(here: Here) -> None:
    """`:newsegment`: the form alone."""
    await _add(here, monitor_name(here))


async def _add(here: Here, monitor: str, segment: Segment | None = None) -> str:
    """Ask for a name and a condition until they are taken; the name, or empty where it was left."""
    from console.monitoring.counted.segments import NAME, add_segment, read_segment

    session = session_of(here)
    columns = await here.app.look_up(lambda: _columns(here, monitor))
    names = ", ".join(column.name for column in columns)
    values = {"name": segment.name if segment else "", "where": segment.where if segment else "", "reason": ""}
    trouble = ""

    def check(filled: dict[str, str]) -> str:
        if not NAME.fullmatch(filled["name"].strip()):
            return "a name has letters, digits, blanks, '.', '_' and '-', first a letter or digit, at most 60"
        try:
            read_segment(Segment(name=filled["name"].strip(), where=filled["where"]), columns)
        except Invalid as error:
            return str(error)
        return ""

    while True:
        said = f"Rows where the condition holds are counted beside the whole, from the next batch on. Columns: {names}"
        lines = [*sentences(said), *([*sentences(trouble)] if trouble else [])]
        fields = [
            Field("name", "name", values["name"], "what it is called, e.g. north"),
            Field("where", "condition", values["where"], "region = north and age > 40"),
            Field("reason", "why", values["reason"], "kept in the journal; may be empty"),
        ]
        title = f"Another segment of {safe_text(monitor, 40)}"
        filled = await here.app.ask(Form(title, fields, "count it", lines=lines, check=check))
        if filled is None:
            return ""
        values = {key: value.strip() for key, value in filled.items()}
        wanted = Segment(name=values["name"], where=values["where"])
        mutation = session.mutation(values["reason"], uuid.uuid4().hex)
        try:
            await here.app.carry_out(partial(add_segment, session.backend, monitor, wanted, mutation))
        except (Conflict, Invalid) as error:
            trouble = str(error)
            continue
        here.app.tell(f"{monitor} counts {wanted.name} from the next batch on; z shows it")
        _refresh(here)
        return wanted.name


async def _remove(here: Here, monitor: str, segment: Segment) -> None:
    from console.monitoring.counted.segments import remove_segment

    session = session_of(here)
    text = f"{segment.where}: it is counted no longer. Its windows stay, and its name is not free again."
    yes = await here.app.ask(
        Confirm(f"Remove segment {safe_text(segment.name, 40)}", sentences(text), "remove", reason=True)
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    await here.app.carry_out(lambda: remove_segment(session.backend, monitor, segment.name, mutation))
    here.app.tell(f"{monitor} counts {segment.name} no longer")
    _refresh(here)


async def protect(here: Here) -> None:
    """The columns whose groups are compared, in place of those before; none compares none."""
    from console.monitoring.counted.segments import protect_columns

    session, monitor = session_of(here), monitor_name(here)
    found = await here.app.look_up(lambda: here.backend.need("monitors").get(monitor))
    columns = await here.app.look_up(lambda: _columns(here, monitor))
    value, trouble = here.argument.strip() or ", ".join(found.protected), ""
    names = ", ".join(column.name for column in columns)
    said = f"The answers are compared between the groups of these columns, from the next batch on. Features: {names}"
    while True:
        fields = [
            Field("columns", "columns", value, "with commas between; empty compares none"),
            Field("reason", "why", "", "kept in the journal; may be empty"),
        ]
        lines = [*sentences(said), *([*sentences(trouble)] if trouble else [])]
        title = f"Protected columns of {safe_text(monitor, 40)}"
        filled = await here.app.ask(Form(title, fields, "compare", lines=lines))
        if filled is None:
            return
        value = filled["columns"]
        chosen = tuple(part.strip() for part in value.split(",") if part.strip())
        mutation = session.mutation(filled["reason"].strip(), uuid.uuid4().hex)
        try:
            after = await here.app.carry_out(partial(protect_columns, session.backend, monitor, chosen, mutation))
        except Invalid as error:
            trouble = str(error)
            continue
        said_after = f"the groups of {', '.join(after.protected)}" if after.protected else "no groups"
        here.app.tell(f"{monitor} compares {said_after} from the next batch on")
        _refresh(here)
        return


async def slices(here: Here) -> None:
    """The worst parts, found among the sampled rows; enter on one makes it a segment."""
    from console.monitoring.reasons.why_offloaded import slices_offloaded
    from console.tui.panes.monitor import MonitorPane
    from console.tui.slices_screen import SlicesScreen

    monitor, found, at = monitor_name(here), None, ""
    since = until = None
    title = f"Worst slices of {monitor}"
    view = here.view.view if isinstance(here.view, MonitorPane) else None
    if view is not None and view.look.at is not None and view.newest is not None:
        from console.monitoring.read import when

        since, until = view.newest.start, view.newest.end
        title += f", {view.kind} {when(since, view.kind)}"

    def search(progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> Slices:
        return slices_offloaded(
            here.backend, monitor, since=since, until=until, on_progress=progress, cancel=stopped
        )  # fmt: skip

    while True:
        segments = (await here.app.look_up(lambda: here.backend.need("monitors").get(monitor))).segments
        screen = SlicesScreen(title, search, segments, found, at)
        chosen: Slice | None = await here.app.push_screen_wait(screen)  # type: ignore[arg-type]
        if chosen is None:
            return
        found, at = screen.found, f"slice:{chosen.where}"
        if here.read_only:
            here.app.tell(READ_ONLY, severity="warning")
            continue
        await _add(here, monitor, Segment(name=named(chosen.where), where=chosen.where))


def named(where: str) -> str:
    """A name that a condition suggests: `carrier = hermes and weight > 5` is `carrier hermes weight 5`."""
    words = re.sub(r"[^A-Za-z0-9._ -]+", " ", re.sub(r"\band\b", " ", where))
    return " ".join(words.split()).lstrip("._ -")[:60].strip()


def _columns(here: Here, monitor: str) -> tuple[Column, ...]:
    found = here.backend.need("monitors").get(monitor)
    version = here.backend.need("registry").version(found.model, f"@{found.alias}")
    if version.signature is None:
        raise Refused(f"{version.ref} has no signature, so its columns are not known; register it with one")
    return tuple(version.signature.inputs)


def _refresh(here: Here) -> None:
    if here.view is not None:
        here.view.refresh_data()
