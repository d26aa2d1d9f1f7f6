"""Triggers, stepped: a look whenever something changed or is due, and a thread for each firing that has work to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from backends.contract import Backend, Unreachable
from backends.entities import Firing, FiringState, Trigger
from console.agent.retry import Backoff

BEAT_S = 1.0
"""Between two looks at a run that a firing waits for."""
ATTEMPTS = 6
"""So often a step is tried that ends with what nobody foresaw."""


class Triggers:
    """Looks, begins and carries on; the room `console.triggers` decides."""

    def __init__(self, backend: Backend, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._say = say
        self._threads: dict[str, threading.Thread] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._ticks_at: float | None = None
        self._settled = False
        self._clock: object = None

    @property
    def patience(self) -> float | None:
        """Seconds until the next look though nothing changed; None where nothing is to be looked for."""
        return None if self._ticks_at is None else max(self._ticks_at - time.monotonic(), 0.0)

    def step(self) -> None:
        if self._backend.triggers is None or not self._any():
            self._ticks_at = None
            return
        from console.triggers.carry import settle
        from console.triggers.clock import Clock
        from console.triggers.round import LOOK_S, look

        if not isinstance(self._clock, Clock):
            self._clock = Clock()
        if not self._settled:
            # What ended while the last agent was killed may be the failure too many.
            for trigger in self._backend.triggers.page(limit=1000).items:
                settle(self._backend, trigger.name)
            self._settled = True
        self._threads = {name: thread for name, thread in self._threads.items() if thread.is_alive()}
        found = look(self._backend, self._clock, self._say)
        for trigger, firing in found.running:
            if firing.id not in self._threads and self._backoffs.setdefault(firing.id, Backoff()).due:
                self._start(trigger, firing)
        waits = []
        if found.running or found.waiting:
            waits.append(BEAT_S)
        if found.folders:
            waits.append(LOOK_S)
        if found.next_at is not None:
            waits.append(max((found.next_at - self._clock()) / 1000, 0.05))
        self._ticks_at = time.monotonic() + min(waits) if waits else None

    def _any(self) -> bool:
        """One row tells whether there is anything to do: most workspaces have no trigger."""
        assert self._backend.triggers is not None  # noqa: S101
        return bool(self._backend.triggers.page(limit=1).items)

    def _start(self, trigger: Trigger, firing: Firing) -> None:
        """Apart from the agent's own course: checks and imports take their time, and runs must not wait."""
        thread = threading.Thread(target=self._carry, args=(trigger, firing), name=f"firing {firing.id}", daemon=True)
        self._threads[firing.id] = thread
        thread.start()

    def _carry(self, trigger: Trigger, firing: Firing) -> None:
        from console.triggers.carry import carry_on, end

        backoff = self._backoffs[firing.id]
        try:
            now = self._backend.need("triggers").firing(firing.id)
            after = carry_on(self._backend, trigger, now)
        except Exception as error:  # the end of a thread that nobody would hear of
            pause = backoff.failed()
            said = f"trigger {trigger.name}: firing {firing.id[:8]} at {firing.step}: {type(error).__name__}: {error}"
            if isinstance(error, Unreachable) or backoff.failures < ATTEMPTS:
                self._say(f"{said}; tried again in {pause:.0f} s")
                return
            self._say(f"{said}; given up")
            now = self._backend.need("triggers").firing(firing.id)
            after = end(self._backend, trigger, now, FiringState.FAILED, f"{now.step}: {type(error).__name__}: {error}")
        else:
            backoff.succeeded()
        if after.state.ended:
            self._backoffs.pop(firing.id, None)
            self._say(f"trigger {trigger.name}: firing {firing.id[:8]} {after.state}: {after.reason}")
