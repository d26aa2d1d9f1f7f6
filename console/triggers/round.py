"""One look at all triggers: what fires, what may begin. Cheap where nothing does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from backends.contract import Backend, BackendError, NotFound, all_pages
from backends.entities import Firing, FiringState, Millis, Trigger, TriggerState
from console.triggers.carry import begin
from console.triggers.causes import due
from console.triggers.clock import Clock

OPEN: Final = (FiringState.WAITING, FiringState.RUNNING)
LOOK_S: Final = 5.0
"""Between two looks at a folder, which tells nobody of what lands in it."""


class Round:
    """What a look found."""

    def __init__(self) -> None:
        self.running: list[tuple[Trigger, Firing]] = []
        """Under way, to be carried on."""
        self.waiting = 0
        self.next_at: Millis | None = None
        """When the next schedule is due."""
        self.folders = False
        """Whether a folder is watched."""


def look(backend: Backend, clock: Clock, say: Callable[[str], None]) -> Round:
    """Fire what is called for, begin what may, and say what is under way and when to look again."""
    store, found = backend.need("triggers"), Round()
    triggers = {each.name: each for each in all_pages(lambda at: store.page(at=at, limit=500))}
    if not triggers:
        return found
    for trigger in triggers.values():
        if trigger.status.state is TriggerState.ACTIVE:
            _fire(backend, trigger, clock, say, found)
    open_ones = list(reversed(store.firings(states=OPEN, limit=1000)))  # as they came
    running = [each for each in open_ones if each.state is FiringState.RUNNING]
    for firing in open_ones:
        if firing.trigger not in triggers:
            continue
        trigger = store.get(firing.trigger)
        if firing.state is FiringState.WAITING:
            firing = begin(backend, trigger, firing, running, clock)
            if firing.state is FiringState.WAITING:
                found.waiting += 1
                continue
            if firing.state.ended:
                say(f"trigger {trigger.name}: firing {firing.id[:8]} {firing.state}: {firing.reason}")
                continue
            running.append(firing)
            say(f"trigger {trigger.name}: firing {firing.id[:8]} begins: {firing.cause}")
        found.running.append((trigger, firing))
    return found


def _fire(backend: Backend, trigger: Trigger, clock: Clock, say: Callable[[str], None], found: Round) -> None:
    store = backend.need("triggers")
    try:
        firings, status = due(backend, trigger, clock())
    except NotFound as error:  # of one trigger that names what is gone; the others go on
        say(f"trigger {trigger.name}: {error}")
        return
    except BackendError as error:
        say(f"trigger {trigger.name} cannot be looked at: {error}")
        return
    for number, firing in enumerate(firings):
        # What was seen is kept with the last of them: killed before it, the next look finds the same ones again.
        store.fire(firing, status if number == len(firings) - 1 else trigger.status)
    if not firings and status != trigger.status:
        store.observe(trigger.name, status)
    found.folders |= bool(trigger.when.folder)
    if status.next_at is not None:
        found.next_at = status.next_at if found.next_at is None else min(found.next_at, status.next_at)
