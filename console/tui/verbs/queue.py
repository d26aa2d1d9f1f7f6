"""What waits to be run: its order, and the pause of it all."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from backends.contract import Invalid
from backends.entities import Run, RunQueue
from console.safe import safe_text
from console.tui import ink
from console.tui.dialogs import Confirm, Field, Form, sentences
from console.tui.lines import Line

if TYPE_CHECKING:
    from console.tui.here import Here

SHOWN = 12


async def show(here: Here) -> None:
    """The queue with its reasons, and the question whether it is to be paused or to go on."""
    launcher = here.backend.need("launcher")

    def look() -> tuple[RunQueue, dict[str, str], str]:
        from console.cluster import queue_words

        found: RunQueue = launcher.queue()
        runs = here.backend.need("runs")
        names = {each.run: runs.get(each.run).name for each in found.waiting[:SHOWN]}
        return found, names, queue_words(here.backend, found)

    queue, names, words = await here.app.look_up(look)
    lines = [Line([(safe_text(words, 200), "head")])]
    if queue.taken:
        lines.append(Line([(safe_text(queue.taken, 100), "dim")]))
    if queue.unheard:
        why = next(iter(queue.unheard.values()))
        lines += sentences(f"Nothing is heard of {len(queue.unheard)} that ran: {safe_text(why, 200)}")
    for each in queue.waiting[:SHOWN]:
        name = ink.fit(safe_text(f"{names[each.run]} {each.run[:4]}", 28), 30)
        lines.append(Line([(name, ""), (f"{each.priority:>5}  ", "dim"), (safe_text(each.why, 120), "dim")]))
    if len(queue.waiting) > SHOWN:
        lines.append(Line([(f"and {len(queue.waiting) - SHOWN} more: mlops-console run queue", "dim")]))
    if queue.paused is None:
        deed, about = "pause", "Paused, nothing further begins, also after a restart; what runs goes on."
    else:
        deed, about = "resume", f"It was paused by {queue.paused.actor}. {queue.paused.reason}".strip()
    yes = await here.app.ask(Confirm(f"{deed.capitalize()} the queue", [*lines, *sentences(about)], deed, reason=True))
    if yes is None:
        return
    assert here.session is not None  # noqa: S101 the action needs a launcher, so there is a session
    session = here.session

    def change() -> None:
        mutation = session.mutation(yes.reason, uuid.uuid4().hex)
        launcher.resume(mutation) if deed == "resume" else launcher.pause(mutation)

    await here.app.carry_out(change)
    here.app.tell("the queue is paused; :queue resumes it" if deed == "pause" else "the queue goes on")


async def priority(here: Here) -> None:
    run = here.selected
    assert isinstance(run, Run)  # noqa: S101 or the action were not available
    given = here.argument
    if not given:

        def check(values: dict[str, str]) -> str:
            return "" if _number(values["priority"]) is not None else "a whole number is wanted, such as 5 or -5"

        fields = [Field("priority", "priority", "0", "the higher begins first; -1000 to 1000")]
        values = await here.app.ask(Form(f"Priority of {safe_text(run.name, 40)}", fields, "move", check=check))
        if values is None:
            return
        given = values["priority"]
    number = _number(given)
    if number is None:
        raise Invalid(f"priority {given}: a whole number is wanted, such as 5 or -5", "priority")
    assert here.session is not None  # noqa: S101
    session = here.session
    mutation = session.mutation(key=uuid.uuid4().hex)
    await here.app.carry_out(lambda: session.backend.need("launcher").prioritise(run.id, number, mutation))
    here.app.tell(f"{run.name} {run.id[:4]} has priority {number}")


def _number(text: str) -> int | None:
    try:
        return int(text.strip())
    except ValueError:
        return None
