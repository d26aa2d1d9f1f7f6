"""Runs commands on this machine: lays out the run's folder and asks the agent, through the queue, to start it."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path

from backends.contract import Conflict, Invalid, Journal, Mutation, NotFound, Refused, RequestQueue, RunStore
from backends.entities import Capacity, LaunchSpec, LogChunk, Needs, Request, Run, RunQueue, RunStatus
from backends.local import run_queue
from backends.local.agent_presence import living_agent
from backends.local.process_identity import send_signal
from backends.local.run_folder import RunFolder, StopRequest
from backends.local.run_log import read_log
from backends.local.run_queue import LAUNCH
from backends.local.settle import Standing, now, standing
from backends.local.slots import launch_payload, read_slots

ELSEWHERE_S = 30.0
CONTROL = "run.control"
"""As `LAUNCH`, of a run that takes no slot."""
LAUNCHES = (LAUNCH, CONTROL)


def kind_of(spec: LaunchSpec) -> str:
    return CONTROL if spec.control else LAUNCH


def launch_key(run: str) -> str:
    """Idempotency key of a run's launch: one run is launched once."""
    return f"{LAUNCH}:{run}"


class LocalLauncher:
    """The launcher of a workspace. It starts nothing itself: the agent does, as far as its slots allow."""

    engine = "local"

    def __init__(self, workspace: Path, runs: RunStore, requests: RequestQueue, journal: Journal | None = None) -> None:
        self._workspace = workspace
        self._runs = runs
        self._requests = requests
        self._journal = journal
        self._asked: dict[str, tuple[float, bool]] = {}

    def submit(self, spec: LaunchSpec, mutation: Mutation) -> None:
        """Accept the command. Repeating it for the same run does nothing."""
        if not spec.argv:
            raise Invalid(f"run {spec.run}: a command is wanted, argv is empty; give at least the program", "argv")
        why = spec.needs.beyond(read_slots(self._workspace).most)
        if why:
            raise Refused(f"run {spec.run[:8]} can never begin: {why}; ask for less, or give the workspace more")
        folder = RunFolder.of(self._workspace, spec.run)
        self._runs.get(spec.run)  # NotFound before anything is laid down
        folder.lay_out(spec)
        self._request(spec, mutation.actor)
        agent = living_agent(self._workspace)
        if (
            agent is not None
        ):  # it looks twice a second by itself; this sign wakes it, and harms none that does not know it
            send_signal(agent.process, signal.SIGCHLD)

    def _request(self, spec: LaunchSpec, actor: str) -> Request:
        return self._requests.add(
            kind_of(spec),
            launch_payload(spec.run, spec.needs),
            key=launch_key(spec.run),
            created_by=actor,
            priority=spec.priority,
        )

    def cancel(self, run: str, mutation: Mutation) -> None:
        """Ask for the end of the whole process tree; a queued run is stopped at once. Repeating it does nothing.

        The wish is kept as a file, as the run's status and sent as a signal: each alone is enough.
        """
        found = self._runs.get(run)
        folder = RunFolder.of(self._workspace, found.id)
        if found.status.ended:
            return
        spec = folder.spec()
        if spec is None:
            self._stop_unsubmitted(found, mutation)
            return
        first = folder.stop() is None
        folder.write_stop(StopRequest(actor=mutation.actor, at=now(), reason=mutation.reason))
        if first and self._journal is not None:
            self._journal.record(
                mutation.action or "run.stop",
                found.id,
                mutation,
                before={"status": found.status.value},
                after={"status": "stopping"},
            )
        if self._requests.cancel(self._request(spec, mutation.actor).id):
            self._end(found, mutation)
            return
        try:
            self._runs.mark_stopping(found.id)
        except Conflict:  # claimed but not begun, or ended meanwhile: the file tells its supervisor
            pass
        meta = folder.meta()
        if meta is not None:
            send_signal(meta.supervisor, signal.SIGTERM)

    def _stop_unsubmitted(self, run: Run, mutation: Mutation) -> None:
        if run.status is not RunStatus.QUEUED:
            raise Refused(
                f"run {run.name or run.id} was not started by this launcher, so it cannot be stopped from here: "
                "stop it where it was started"
            )
        self._end(run, mutation)

    def _end(self, run: Run, mutation: Mutation) -> None:
        reason = f"stopped by {mutation.actor} before it began" + (f": {mutation.reason}" if mutation.reason else "")
        self._runs.end(run.id, RunStatus.STOPPED, reason=reason)

    def log(self, run: str, *, start: int = 0, limit: int = 65_536) -> LogChunk:
        """From byte `start`; a negative start counts from the end."""
        folder = self._folder(run)
        return read_log(folder.log, start=start, limit=limit, ended=self._ended(folder))

    def _folder(self, run: str) -> RunFolder:
        try:
            folder = RunFolder.of(self._workspace, run)
        except Invalid:  # the unique beginning of an id
            return RunFolder.of(self._workspace, self._runs.get(run).id)
        if not folder.path.exists():
            self._elsewhere(run)
        return folder

    def _ended(self, folder: RunFolder) -> bool:
        match standing(folder):
            case Standing.SUPERVISED:
                return False
            case Standing.ENDED:
                return True
        try:
            if not folder.path.exists():
                return self._elsewhere(folder.run)
            return self._runs.get(folder.run).status.ended
        except NotFound:
            return True

    def _elsewhere(self, run: str) -> bool:
        """Whether a run that was not started here has ended. Who follows its log asks every second, and its store may
        be a server: that is asked less often."""
        at, ended = self._asked.get(run, (-ELSEWHERE_S, False))
        if time.monotonic() - at >= ELSEWHERE_S:
            ended = self._runs.get(run).status.ended
            self._asked = {run: (time.monotonic(), ended)}
        return ended

    def fits(self, needs: Needs, options: Mapping[str, str]) -> int | None:  # noqa: ARG002 nothing depends on them here
        return None

    def capacity(self) -> Capacity:
        claimed = self._requests.list(states=("claimed",), kind=LAUNCH, limit=10_000)
        waiting = self._requests.list(states=("waiting",), kind=LAUNCH, limit=10_000)
        most = read_slots(self._workspace).most
        return Capacity(slots=self._slots(), running=len(claimed), queued=len(waiting), most=most)

    def _slots(self) -> int:
        agent = living_agent(self._workspace)
        return read_slots(self._workspace).runs if agent is None else agent.slots

    def queue(self) -> RunQueue:
        """What waits and why, in the order in which it will begin."""
        return run_queue.queue(self._workspace, self._requests, self._slots())

    def prioritise(self, run: str, priority: int, mutation: Mutation) -> None:
        """Move a waiting run: the higher goes first, within -1000 to 1000. Conflict when it has begun."""
        if priority not in run_queue.PRIORITIES:
            raise Invalid(f"priority {priority}: wanted -1000 to 1000; 0 is what a run has by itself", "priority")
        found = self._runs.get(run)
        waiting = self._requests.list(states=("waiting",), kind=LAUNCH, limit=run_queue.MOST)
        request = next((each for each in waiting if each.payload.get("run") == found.id), None)
        if request is None or not self._requests.prioritise(request.id, priority):
            raise Conflict(
                f"run {found.name} ({found.id[:4]}) is {found.status.value} and does not wait in the queue; "
                "nothing was changed."
            )
        if self._journal is not None:
            self._journal.record(
                mutation.action or "run.prioritise",
                found.id,
                mutation,
                before={"priority": request.priority},
                after={"priority": priority},
            )

    def pause(self, mutation: Mutation) -> None:
        """Begin nothing further until `resume`; what runs goes on."""
        run_queue.pause(self._workspace, self._journal, mutation)

    def resume(self, mutation: Mutation) -> None:
        """Begin what waits again."""
        run_queue.resume(self._workspace, self._journal, mutation)
