"""Runs that a cluster carries out: laid out and asked for as local ones are; the agent hands them over, and follows.

What this launcher tells comes from the run's folder, where the agent keeps log, state and end: the cluster may forget.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backends.contract import BackendError, Conflict, Engine, Invalid, Journal, Mutation, RequestQueue, RunStore
from backends.contract.work import Launcher
from backends.entities import (
    Capacity,
    LauncherRef,
    LaunchSpec,
    LogChunk,
    Needs,
    Request,
    RunQueue,
    RunStatus,
    WaitingRun,
)
from backends.local import run_queue
from backends.local.agent_presence import living_agent, ring_bell
from backends.local.handed import handed, notice_of, write_engine
from backends.local.run_folder import RunFolder, StopRequest
from backends.local.run_log import read_log
from backends.local.settle import now
from backends.local.slots import launch_payload

HAND_OVER: Final = "run.submit"
"""Kind of the durable request by which a run is handed to a cluster; its payload is {"run": id, "launcher": url}. It
stays claimed for as long as the agent follows the run."""
ROOM_S: Final = 10.0
"""How long what the cluster said of its room is repeated."""
PATIENCE_S: Final = 3.0
"""How long its first answer is waited for."""
MOST: Final = 10_000


def hand_over_key(run: str) -> str:
    """Idempotency key: one run is handed over once."""
    return f"{HAND_OVER}:{run}"


class ClusterLauncher:
    """The launcher of a context that names an engine. Sweeps' controllers, which do no work, stay on this machine."""

    def __init__(
        self, workspace: Path, ref: LauncherRef, engine: Engine, local: Launcher, runs: RunStore,
        requests: RequestQueue, journal: Journal | None,
    ) -> None:  # fmt: skip
        self.engine = engine.name
        self.ref = ref
        self._workspace = workspace
        self._cluster = engine
        self._local = local
        self._runs = runs
        self._requests = requests
        self._journal = journal
        self._room: Capacity | None = None
        self._room_at = -ROOM_S
        self._asking = threading.Lock()
        self._answered = threading.Event()

    def submit(self, spec: LaunchSpec, mutation: Mutation) -> None:
        """Accept the command. Repeating it for the same run does nothing."""
        if spec.control:
            self._local.submit(spec, mutation)
            return
        if not spec.argv:
            raise Invalid(f"run {spec.run}: a command is wanted, argv is empty; give at least the program", "argv")
        folder = RunFolder.of(self._workspace, spec.run)
        self._runs.get(spec.run)  # NotFound before anything is laid down
        if folder.spec() is None:
            folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_engine(folder, self.ref)  # before the spec: from that on it would be taken for a local run
        folder.lay_out(spec)
        self._request(spec, mutation.actor)

    def _request(self, spec: LaunchSpec, actor: str) -> Request:
        return self._requests.add(
            HAND_OVER,
            {**launch_payload(spec.run, spec.needs), "launcher": self.ref.url},
            key=hand_over_key(spec.run),
            created_by=actor,
            priority=spec.priority,
        )

    def cancel(self, run: str, mutation: Mutation) -> None:
        """Ask for the end of the run; one that was not handed over is stopped at once. Repeating it does nothing."""
        found = self._runs.get(run)
        folder = RunFolder.of(self._workspace, found.id)
        if notice_of(folder) is None:
            self._local.cancel(run, mutation)
            return
        if found.status.ended:
            return
        spec = folder.spec()
        first = folder.stop() is None
        folder.write_stop(StopRequest(actor=mutation.actor, at=now(), reason=mutation.reason))
        if first and self._journal is not None:
            self._journal.record(
                mutation.action or "run.stop", found.id, mutation,
                before={"status": found.status.value}, after={"status": "stopping"},
            )  # fmt: skip
        if spec is None or self._requests.cancel(self._request(spec, mutation.actor).id):
            said = f": {mutation.reason}" if mutation.reason else ""
            self._runs.end(found.id, RunStatus.STOPPED, reason=f"stopped by {mutation.actor} before it began{said}")
            return
        try:
            self._runs.mark_stopping(found.id)
        except Conflict:  # it waits at the cluster, or has ended meanwhile: the file tells the agent
            pass
        ring_bell(self._workspace)

    def log(self, run: str, *, start: int = 0, limit: int = 65_536) -> LogChunk:
        """From byte `start`; a negative start counts from the end."""
        try:
            folder = RunFolder.of(self._workspace, run)
        except Invalid:  # the unique beginning of an id
            folder = RunFolder.of(self._workspace, self._runs.get(run).id)
        if notice_of(folder) is None:
            return self._local.log(run, start=start, limit=limit)
        self.seen()
        ended = folder.exit() is not None or self._runs.get(folder.run).status.ended
        return read_log(folder.log, start=start, limit=limit, ended=ended)

    def seen(self) -> None:
        """Somebody looks: the agent asks the cluster more often for a while."""
        mark = self._workspace / "looked"
        try:
            mark.touch()
        except OSError:  # a full disk: it is asked more seldom
            pass

    def capacity(self) -> Capacity:
        """The cluster's room as it was last heard, and our runs there; it never waits long."""
        room = self._heard()
        states = Counter(request.state.value for request in self._ours())
        return Capacity(
            slots=room.slots, running=states["claimed"], queued=states["waiting"], most=None, place=self._cluster.place,
            room=room.room, note=room.note,
        )  # fmt: skip

    def fits(self, needs: Needs, options: Mapping[str, str]) -> int | None:
        room = self._heard().room
        return None if room is None else self._cluster.fits(needs, options, room)

    def _heard(self) -> Capacity:
        """As of some seconds ago; the cluster is asked in the background, and nobody waits long for it."""
        if time.monotonic() - self._room_at >= ROOM_S and self._asking.acquire(blocking=False):
            self._room_at = time.monotonic()
            self._answered.clear()
            threading.Thread(target=self._ask, name=f"room of {self._cluster.place}", daemon=True).start()
        if self._room is None:
            self._answered.wait(PATIENCE_S)
        return self._room or Capacity(slots=1, running=0, queued=0, note=f"{self._cluster.place} has not answered yet")

    def _ask(self) -> None:
        before = self._room
        try:
            room = self._cluster.room()
            self._room = Capacity(slots=max(1, int(room.total.cpu)), running=0, queued=0, room=room)
        except BackendError as away:
            self._room = Capacity(
                slots=before.slots if before else 1, running=0, queued=0, room=before.room if before else None,
                note=str(away),
            )  # fmt: skip
        finally:
            self._asking.release()
            self._answered.set()

    def _ours(self) -> list[Request]:
        found = self._requests.list(kind=HAND_OVER, limit=MOST)
        return [each for each in found if each.payload.get("launcher") == self.ref.url]

    def queue(self) -> RunQueue:
        """What waits and why: first what is not handed over, in its order; then what waits at the cluster."""
        self.seen()
        idle = living_agent(self._workspace) is None
        paused = run_queue.pause_of(self._workspace)
        running: list[str] = []
        waiting: list[WaitingRun] = []
        unheard: dict[str, str] = {}
        for request in self._ours():
            run = str(request.payload.get("run", ""))
            told = handed(RunFolder.of(self._workspace, run))
            if told is not None and told.status is not RunStatus.QUEUED:
                running.append(run)
                if told.trouble:
                    unheard[run] = told.trouble
                continue
            if told is not None and told.trouble:
                why = told.trouble
            elif told is not None:
                why = told.reason or f"it waits at {self._cluster.place}"
            elif paused is not None:
                why = f"the queue is paused by {paused.actor}" + (f": {paused.reason}" if paused.reason else "")
            elif idle:
                why = "no agent runs to hand it over: mlops-console agent start"
            else:
                why = f"it is about to be handed to {self._cluster.place}"
            waiting.append(
                WaitingRun(run=run, priority=request.priority, since=request.created_at, by=request.created_by, why=why)
            )
        held = self._local.queue()
        return RunQueue(
            slots=max(1, len(running)), running=(*running, *held.running), waiting=(*waiting, *held.waiting),
            paused=paused, unheard=unheard, taken=held.taken if held.running or held.waiting else "",
        )  # fmt: skip

    def prioritise(self, run: str, priority: int, mutation: Mutation) -> None:
        """Move a run that is not handed over yet. Conflict when it is: the cluster orders its own queue."""
        if priority not in run_queue.PRIORITIES:
            raise Invalid(f"priority {priority}: wanted -1000 to 1000; 0 is what a run has by itself", "priority")
        found = self._runs.get(run)
        request = next((each for each in self._ours() if each.payload.get("run") == found.id), None)
        if request is None:
            self._local.prioritise(run, priority, mutation)
            return
        if not self._requests.prioritise(request.id, priority):
            raise Conflict(
                f"run {found.name} ({found.id[:4]}) has been handed to {self._cluster.place}, which orders its own "
                "queue; nothing was changed."
            )
        if self._journal is not None:
            self._journal.record(
                mutation.action or "run.prioritise", found.id, mutation,
                before={"priority": request.priority}, after={"priority": priority},
            )  # fmt: skip

    def pause(self, mutation: Mutation) -> None:
        """Hand nothing further over until `resume`; what was handed over goes on."""
        run_queue.pause(self._workspace, self._journal, mutation)

    def resume(self, mutation: Mutation) -> None:
        """Hand over again."""
        run_queue.resume(self._workspace, self._journal, mutation)
