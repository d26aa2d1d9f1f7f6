"""How long a monitor keeps what: looked at, changed, and carried out at once."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from backends.contract import Invalid
from console.safe import safe_text
from console.tui.dialogs import Confirm, Field, Form, sentences
from console.tui.verbs.models import session_of
from console.tui.verbs.segments import READ_ONLY, monitor_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.entities import Monitor
    from console.monitoring.compaction.passing import Pass
    from console.retention.monitors import Keep
    from console.tui.here import Here
    from console.tui.retention_screen import Kept

NOTES = {
    "minutes": "windows of a minute; older ones are merged into their hour",
    "hours": "windows of an hour, and batches; older ones are merged into their day",
    "days": "windows of a day; older ones go for good",
    "scored": "scored rows by id, which late labels are put to",
    "samples": "sampled rows, for examples and slices",
    "ids": "by what files are known, so that none counts twice",
}


async def show(here: Here) -> None:
    """What is kept, until it is left; what is asked for there is done, and it is shown again."""
    from console.tui.retention_screen import RetentionScreen

    name = monitor_name(here)
    while True:
        kept = await here.app.look_up(lambda: _kept(here, name))
        wish: str | None = await here.app.push_screen_wait(RetentionScreen(name, kept))  # type: ignore[arg-type]
        if wish is None:
            return
        if here.read_only:
            here.app.tell(READ_ONLY, severity="warning")
        elif wish == "edit":
            await _edit(here, name)
        elif wish == "now":
            await _at_once(here, name, kept.ahead)
        elif kept.own:
            await _set(here, name, {})


def _said(here: Here) -> Mapping[str, str]:
    """What the context says for monitors that say nothing."""
    policy = session_of(here).context.retention
    return policy.monitors if policy is not None else {}


def _times(here: Here, name: str) -> tuple[Monitor, Keep]:
    from console.monitoring.compaction.passing import keep_of

    found: Monitor = here.backend.need("monitors").get(name)
    return found, keep_of(found, _said(here))


def _kept(here: Here, name: str) -> Kept:
    from console.monitoring.compaction.passing import last_pass, preview
    from console.monitoring.compaction.room import room_of
    from console.tui.retention_screen import Kept

    found, keep = _times(here, name)
    return Kept(
        room=room_of(here.backend, found, keep),
        ahead=preview(here.backend, found, keep),
        last=last_pass(here.backend, name),
        own=bool(found.keep),
    )


async def _edit(here: Here, name: str) -> None:
    """All the times in a form; what was not touched stays as the context says."""
    from console.retention.monitors import read_keep, said

    found, keep = await here.app.look_up(lambda: _times(here, name))
    held = {what: said(getattr(keep, what)) for what in NOTES}

    def wanted(values: Mapping[str, str]) -> dict[str, str]:
        changed = {what: values[what].strip() for what in NOTES if values[what].strip() != held[what]}
        return {**found.keep, **changed}

    def check(values: dict[str, str]) -> str:
        try:
            read_keep(_said(here), wanted(values))
        except Invalid as error:
            return str(error)
        return ""

    fields = [Field(what, what, held[what], note) for what, note in NOTES.items()]
    said_before = "Times such as 2 d, 12 h, 90 d or 3 y, or always. Nothing is merged or let go before the next pass."
    title = f"What {safe_text(name, 40)} keeps"
    values = await here.app.ask(Form(title, fields, "keep it so", lines=sentences(said_before), check=check))
    if values is None:
        return
    after = wanted(values)
    if after == found.keep:
        here.app.tell("nothing was changed")
        return
    await _set(here, name, after)


async def _set(here: Here, name: str, keep: dict[str, str]) -> None:
    from console.monitoring.create import set_keep

    session = session_of(here)
    mutation = session.mutation("", uuid.uuid4().hex)
    await here.app.carry_out(lambda: set_keep(session.backend, name, keep, mutation))
    words = ", ".join(f"{what} {text}" for what, text in keep.items())
    here.app.tell(f"{name} keeps {words or 'what the context says'}")


async def _at_once(here: Here, name: str, ahead: Pass) -> None:
    """What the agent would do with its next pass; with the name typed where something goes for good."""
    from console.monitoring.compaction.passing import carry_out

    if not ahead.any:
        here.app.tell(f"{name}: {ahead.words()}")
        return
    yes = await here.app.ask(
        Confirm(
            f"Merge and let go: {safe_text(name, 40)}",
            sentences(f"{ahead.words()}."),
            "do it",
            word=name if ahead.gone.any else "",
        )
    )
    if yes is None:
        return
    session = session_of(here)
    mutation = session.mutation("at once, from the screen", uuid.uuid4().hex)

    def deed() -> Pass:
        found, keep = _times(here, name)
        return carry_out(session.backend, found, keep, mutation)

    done = await here.app.carry_out(deed)
    here.app.tell(f"{name}: {done.words()}")
    if here.view is not None:
        here.view.refresh_data()
