"""Every monitor's older windows merged, once an hour, and what nobody asks for any more let go, once a day: beside the
agent's own course, in small steps with longer rests between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from backends.contract import Backend, Mutation, NotFound, all_pages
from backends.entities import Monitor
from console.config import load_config

LOOK_S = 3600.0
DAY_S = 86_400.0
REST = 4.0
"""A step's own time, so often: a pass takes a fifth of a processor at most."""
LONGEST_REST_S = 1.0


class Ended(Exception):
    """The agent ends, and a pass with it."""


class MonitorRetention:
    """Carries out what `Monitor.keep` and the context's configuration say."""

    def __init__(self, backend: Backend, workspace: Path, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._workspace = workspace
        self._say = say
        self._look_at = 0.0
        self._forgot_at: float | None = None
        self._work: threading.Thread | None = None
        self._ending = threading.Event()
        self._step_began = 0.0

    def step(self) -> None:
        if self._backend.monitors is None or time.monotonic() < self._look_at:
            return
        if self._work is not None and self._work.is_alive():
            return
        self._look_at = time.monotonic() + LOOK_S
        self._work = threading.Thread(target=self._pass, name="monitor retention", daemon=True)
        self._work.start()

    def end(self) -> None:
        """A pass ends at its next step."""
        self._ending.set()

    def _pass(self) -> None:
        # Imported here: the agent need not know what windows are made of until it has monitors.
        forget = self._forgot_at is None or time.monotonic() - self._forgot_at >= DAY_S
        try:
            store = self._backend.need("monitors")
            says = kept_by_store(self._workspace)
            self._step_began = time.monotonic()
            for monitor in list(all_pages(lambda at: store.page(at=at, limit=500))):
                self._one(monitor, says, forget)
            self._others(says)
        except Ended:
            return
        except Exception as error:  # a thread's end that nobody hears of
            self._say(f"monitor retention: {type(error).__name__}: {error}; tried again in {LOOK_S / 60:.0f} minutes")
            return
        if forget:
            self._forgot_at = time.monotonic()

    def _one(self, monitor: Monitor, says: Mapping[str, str], forget: bool) -> None:
        from console.monitoring.compaction.passing import carry_out, keep_of

        try:
            keep = keep_of(monitor, says)
            mutation = Mutation(actor="agent", reason=f"keeps {keep.words()}")
            done = carry_out(self._backend, monitor, keep, mutation, rest=self._rest, forget=forget)
        except NotFound:  # it was deleted meanwhile
            return
        if done.any:
            self._say(f"monitor {monitor.name}: {done.words()}")
        for note in done.merged.notes:
            self._say(f"monitor {monitor.name}: {note}")

    def _others(self, says: Mapping[str, str]) -> None:
        """Services that no monitor is about."""
        from console.retention.monitors import read_keep

        store = self._backend.need("monitors")
        watched = {monitor.deployment for monitor in all_pages(lambda at: store.page(at=at, limit=500))}
        for source, _ in store.service_sources():
            if source not in watched and not source.startswith("monitor:"):
                from console.monitoring.compaction.passing import compact_services

                compact_services(self._backend, source, read_keep(says), rest=self._rest)

    def _rest(self) -> None:
        """Called after every step: others who write, and the agent itself, have the time in between."""
        took = time.monotonic() - self._step_began
        if self._ending.wait(min(took * REST, LONGEST_REST_S)):
            raise Ended
        self._step_began = time.monotonic()


def kept_by_store(workspace: Path) -> Mapping[str, str]:
    """What the context that works on this directory says of monitors."""
    for context in load_config().contexts.values():
        directory = context.directory
        if (
            context.retention is not None
            and directory is not None
            and directory.expanduser().absolute() == workspace.absolute()
        ):
            return context.retention.monitors
    return {}
