"""Runs from the queue to their supervisors, and from their supervisors to their end."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from backends.contract import Backend, BackendError, NotFound
from backends.entities import Request, Run, RunStatus
from backends.local.launcher import CONTROL
from backends.local.run_folder import RunExit, RunFolder
from backends.local.run_queue import LAUNCH, MOST, pause_of
from backends.local.settle import STORE_AWAY, Standing, now, settle, settle_abandoned, standing
from backends.local.slots import Slots, free_gpus, needs_of, reasons
from backends.local.spawn import Spare
from console.agent.registrations import request_registration
from console.agent.retry import Backoff

STARTS = 5
"""So often a supervisor may fail to begin before the run counts as failed."""
LOOKED_AT = 200
"""Of those that wait, the first: behind more than are looked past nothing begins before its turn."""
STEADY_S = 60.0
"""A supervisor that was at work for so long has not failed to take over."""


@dataclass
class Watch:
    """One run that was claimed and has not come to its end."""

    folder: RunFolder
    request: str
    """Id of its claimed request, or empty for a run found without one."""
    control: bool = False
    """It takes no slot."""
    supervisor: subprocess.Popen[bytes] | None = None
    """None where an earlier agent started it."""
    backoff: Backoff = field(default_factory=Backoff)
    sent_at: float = 0.0
    """When a supervisor was last sent to a command that had lost its own, on the monotonic clock."""


class Launches:
    """Starts supervisors within the slots and follows every run to its end."""

    def __init__(self, backend: Backend, workspace: Path, me: str, slots: Slots, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._requests = backend.need("requests")
        self._workspace = workspace
        self._me = me
        self._slots = slots
        self._say = say
        self._watches: dict[str, Watch] = {}
        self._spare = Spare(workspace)

    @property
    def running(self) -> int:
        return len(self._watches)

    def watched(self, run: str) -> bool:
        return run in self._watches

    @property
    def patience(self) -> float | None:
        """Seconds until somebody has to be looked after without any sign; None for nobody."""
        waits = []
        for watch in self._watches.values():
            pause = watch.backoff.due_at - time.monotonic()
            if pause > 0:
                waits.append(max(pause, 0.05))
            elif watch.supervisor is None:  # of a child we hear when it ends
                waits.append(2.0)
        if pause_of(self._workspace) is not None:  # it is resumed by a file, which the store's token does not tell
            waits.append(1.0)
        if self._spare.patience is not None:
            waits.append(self._spare.patience)
        return min(waits, default=None)

    def step(self) -> None:
        """Look after every watched run, then claim as far as slots are free."""
        for run, watch in list(self._watches.items()):
            if watch.backoff.due:
                self._guarded(run, watch)
        while (request := self._requests.claim(self._me, (CONTROL,))) is not None:
            self.take(request)
        while pause_of(self._workspace) is None and (request := self._next()) is not None:
            self.take(request)
        self._spare.prepare()

    def end(self) -> None:
        """Runs go on without us; what waits for one does not."""
        self._spare.end()

    def _next(self) -> Request | None:
        """The first that waits and fits, ours by now."""
        if sum(not watch.control for watch in self._watches.values()) >= self._slots.runs:
            return None  # those without a request as well, which the queue does not know
        waiting = self._requests.list(states=("waiting",), kind=LAUNCH, limit=LOOKED_AT)
        if not waiting:
            return None
        claimed = self._requests.list(states=("claimed",), kind=LAUNCH, limit=MOST)
        for each, why in zip(waiting, reasons(waiting, claimed, self._slots), strict=True):
            if why:
                continue
            request: Request | None = self._requests.claim(self._me, (LAUNCH,), request=each.id)
            if request is not None:
                return request
        return None

    def _give_gpus(self, request: Request, folder: RunFolder) -> None:
        """Down in the run's folder before it begins, so that the next agent knows whose they are."""
        count = needs_of(request).gpu
        if not count or folder.gpus():
            return
        claimed = self._requests.list(states=("claimed",), kind=LAUNCH, limit=MOST)
        others = [str(each.payload.get("run", "")) for each in claimed if each.id != request.id]
        taken = [each for run in others for each in RunFolder.of(self._workspace, run).gpus()]
        gpus = free_gpus(self._slots, taken, count)
        folder.grant(gpus)
        self._say(f"run {folder.run}: gpu {', '.join(gpus)}")

    def take(self, request: Request) -> None:
        """Follow a request that is claimed, from wherever its run stands."""
        run = str(request.payload.get("run", ""))
        try:
            folder = RunFolder.of(self._workspace, run)
            if folder.spec() is None:
                raise NotFound(f"run {run} has no spec.json in {folder.path}")
            status = self._backend.need("runs").get(run).status
            self._give_gpus(request, folder)
        except BackendError as wrong:
            self._say(f"launch of {run or '?'} given up: {wrong}")
            self._requests.finish(request.id, error=str(wrong))
            return
        watch = self._watches[run] = Watch(folder, request.id, control=request.kind == CONTROL)
        if status.ended:
            self._conclude(run, watch)
        else:
            self._guarded(run, watch)

    def adopt(self, run: str) -> None:
        """Follow a run that has begun and has no request."""
        folder = RunFolder.of(self._workspace, run)
        spec = folder.spec()
        watch = self._watches[run] = Watch(folder, "", control=spec is not None and spec.control)
        self._guarded(run, watch)

    def _guarded(self, run: str, watch: Watch) -> None:
        """One run that cannot be looked after must not keep the others waiting."""
        try:
            self._look_after(run, watch)
        except Exception as error:
            pause = watch.backoff.failed()
            self._say(f"run {run}: {type(error).__name__}: {error}; tried again in {pause:.0f} s")

    def _look_after(self, run: str, watch: Watch) -> None:
        if watch.supervisor is not None and watch.supervisor.poll() is None:
            return
        stands = standing(watch.folder)
        if stands is Standing.SUPERVISED:
            watch.supervisor = None
        elif stands is Standing.UNSTARTED:
            self._start(run, watch)
        elif stands is Standing.ORPHANED:
            self._send_another(run, watch)
        else:
            self._settle(run, watch, stands)

    def _start(self, run: str, watch: Watch) -> None:
        if watch.supervisor is not None:
            code, watch.supervisor = watch.supervisor.returncode, None
            if code != STORE_AWAY and watch.backoff.failures >= STARTS:
                reason = f"its supervisor could not begin: {_last_line(watch.folder.path / 'supervisor.log')}"
                watch.folder.write_exit(RunExit(run=run, status=RunStatus.FAILED, ended_at=now(), reason=reason[:500]))
                self._look_after(run, watch)
                return
            pause = watch.backoff.failed()
            self._say(f"run {run}: its supervisor ended with {code} before it began; tried again in {pause:.0f} s")
            return
        watch.supervisor = self._spare.spawn(watch.folder)
        self._say(f"run {run}: supervisor {watch.supervisor.pid} started")

    def _send_another(self, run: str, watch: Watch) -> None:
        """A supervisor for a command that has lost its own; one that fails again and again ends the run."""
        if time.monotonic() - watch.sent_at > STEADY_S:
            watch.backoff.succeeded()
        before, watch.supervisor = watch.supervisor, None
        failed = before is not None and before.returncode not in (-signal.SIGKILL, STORE_AWAY)
        if failed and watch.backoff.failures >= STARTS:
            self._settle(run, watch, Standing.ABANDONED)
            return
        watch.supervisor = self._spare.spawn(watch.folder)
        watch.sent_at = time.monotonic()
        watch.backoff.failed()
        self._say(f"run {run}: its supervisor is gone, its command is not; supervisor {watch.supervisor.pid} goes on")

    def _settle(self, run: str, watch: Watch, stands: Standing) -> None:
        with watch.folder.lock() as ours:
            if not ours:  # another is at it
                watch.backoff.failed()
                return
            bring = settle if stands is Standing.ENDED else settle_abandoned
            bring(watch.folder, self._backend, lambda text: self._say(f"run {run}: {text}"))
        self._conclude(run, watch)

    def _conclude(self, run: str, watch: Watch) -> None:
        """What follows an end, then the end of the request: in this order, so that a crash between repeats it."""
        ended: Run = self._backend.need("runs").get(run)
        follow_up(self._backend, ended, self._say)
        if watch.request:
            self._requests.finish(watch.request)
        del self._watches[run]
        self._say(f"run {run}: {ended.status.value}" + (f": {ended.reason}" if ended.reason else ""))


def follow_up(backend: Backend, ended: Run, say: Callable[[str], None]) -> None:
    """What a run's end brings about: its model registered, the recipe's retries. What cannot be started again is said,
    and keeps no end from being one."""
    from console.training.command_run import attempt_again

    request_registration(backend, ended)
    try:
        again = attempt_again(backend, ended)
    except BackendError as error:
        say(f"run {ended.id}: not tried again: {error}")
        return
    if again is not None:
        say(f"run {ended.id}: tried again as {again.id}")


def _last_line(path: Path) -> str:
    lines = path.read_bytes()[-4096:].decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else "it said nothing"
