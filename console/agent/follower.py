"""Runs at one cluster, from the queue to their end: handed over, asked after, their log and their end kept here.

A thread of the agent, since a cluster may take its time to answer. What it knows of a run is in the run's folder, so
that the next agent goes on; what the cluster says once is kept, since it forgets.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, BackendError, Conflict, Engine, NotFound
from backends.entities import Job, JobState, LauncherRef, Request, Run, RunStatus
from backends.local.cluster_launcher import HAND_OVER
from backends.local.handed import Handed, handed, write_handed
from backends.local.job_log import JobLog
from backends.local.run_folder import RunExit, RunFolder
from backends.local.run_queue import pause_of
from backends.local.settle import now, settle
from console.agent.followed import Followed, stopped_by, verdict
from console.agent.handing import job_of
from console.agent.retry import Backoff

TICK_S: Final = 0.2
"""Between two looks into the logs while somebody looks on; these cost no request."""
QUIET_TICK_S: Final = 1.0
LOOKED_S: Final = 30.0
"""So long after somebody looked the cluster is asked as often as it allows."""
SELDOM_S: Final = 15.0
"""Between two looks at the cluster when nobody looks on."""
AT_ONCE: Final = 100
"""Runs that are handed over together."""
GONE_LOOKS: Final = 3
"""So often in a row the cluster must not know a job before its run counts as lost."""
DRAIN_S: Final = 10.0
"""How long after a job's end the rest of its log is waited for."""


class Follower(threading.Thread):
    """All runs of one launcher's url."""

    def __init__(
        self, backend: Backend, workspace: Path, ref: LauncherRef, engine: Engine, me: str,
        say: Callable[[str], None], conclude: Callable[[Run], None],
    ) -> None:  # fmt: skip
        super().__init__(name=f"runs at {engine.place}", daemon=True)
        self._backend = backend
        self._runs = backend.need("runs")
        self._requests = backend.need("requests")
        self._workspace = workspace
        self._ref = ref
        self._engine = engine
        self._me = me
        self._say = say
        self._conclude = conclude
        self._jobs: dict[str, Followed] = {}
        self._wake = threading.Event()
        self._ending = False
        self._look_at = 0.0
        self._look_s = engine.look_s
        self._trouble = Backoff(first=2.0, longest=SELDOM_S)
        self._told_trouble = ""

    @property
    def following(self) -> int:
        return len(self._jobs)

    def wake(self) -> None:
        """Something may have been put into the queue."""
        self._wake.set()

    def end(self) -> None:
        """Jobs go on without us."""
        self._ending = True
        self._wake.set()
        self.join(5.0)
        self._engine.close()

    def adopt(self, request: Request) -> None:
        """Go on with a run that an earlier agent had claimed. Before the thread is started."""
        self._take(request)

    # ------------------------------------------------------------ its course

    def run(self) -> None:
        while not self._ending:
            try:
                self._round()
            except Exception as error:  # the store is away: nothing is lost, everything stands in the folders
                self._failed(f"{type(error).__name__}: {error}")
            self._wake.wait(self._patience())
            self._wake.clear()

    def _patience(self) -> float:
        if not self._jobs:
            return SELDOM_S
        tick = TICK_S if self._watched() else QUIET_TICK_S
        return max(tick, self._trouble.due_at - time.monotonic()) if self._trouble.failures else tick

    def _watched(self) -> bool:
        """Whether somebody looks on, or a run is about to begin or to end."""
        try:
            looked = (self._workspace / "looked").stat().st_mtime
        except FileNotFoundError:
            looked = 0.0
        return time.time() - looked < LOOKED_S or any(
            each.state is not None or now() - each.told.handed_at < LOOKED_S * 1000 for each in self._jobs.values()
        )

    def _round(self) -> None:
        self._claim()
        if not self._trouble.due:
            return
        try:
            self._hand_over()
            self._stop()
            if time.monotonic() >= self._look_at and any(each.told.job for each in self._jobs.values()):
                self._look()
            self._read()
        except BackendError as away:
            self._failed(str(away))
            return
        if self._trouble.failures:
            self._trouble.succeeded()
            self._say(f"{self._engine.place} answers again")
            self._tell_trouble("")

    def _failed(self, why: str) -> None:
        pause = self._trouble.failed()
        if why != self._told_trouble:
            self._say(f"{self._engine.place}: {why}; asked again in {pause:.0f} s, and on")
        self._tell_trouble(why)

    def _tell_trouble(self, why: str) -> None:
        self._told_trouble = why
        for each in self._jobs.values():
            each.tell(trouble=why)

    # ------------------------------------------------------------ handing over

    def _claim(self) -> None:
        if pause_of(self._workspace) is not None:
            return
        waiting = self._requests.list(states=("waiting",), kind=HAND_OVER, limit=AT_ONCE)
        for request in waiting:
            if request.payload.get("launcher") != self._ref.url:
                continue
            ours = self._requests.claim(self._me, (HAND_OVER,), request=request.id)
            if ours is not None:
                self._take(ours)

    def _take(self, request: Request) -> None:
        run = str(request.payload.get("run", ""))
        try:
            folder = RunFolder.of(self._workspace, run)
            if folder.spec() is None:
                raise NotFound(f"run {run} has no spec.json in {folder.path}")
            found: Run = self._runs.get(run)
        except BackendError as wrong:
            self._say(f"hand-over of {run or '?'} given up: {wrong}")
            self._requests.finish(request.id, error=str(wrong))
            return
        if found.status.ended:
            self._conclude(found)
            self._requests.finish(request.id)
            return
        told = handed(folder)
        if told is None:
            told = Handed()
            write_handed(folder, told)
        told = msgspec.structs.replace(told, stop_sent=False)  # the engine may have been asked by another agent's
        self._jobs[run] = Followed(folder, request.id, JobLog(folder, self._backend, told))

    def _hand_over(self) -> None:
        fresh = [each for each in self._jobs.values() if not each.told.job and each.state is None]
        jobs: list[Job] = []
        for each in fresh[:AT_ONCE]:
            if each.folder.exit() is not None:
                self._end(each)
                continue
            if each.folder.stop() is not None:
                self._engine.stop({each.folder.run: each.folder.run})  # its hand-over may have been heard
                self._finish(each, JobState(status=RunStatus.STOPPED))
                continue
            try:
                jobs.append(self._job(each))
            except BackendError as refused:
                if isinstance(refused, Conflict | NotFound) or not _passes(refused):
                    self._finish(each, JobState(status=RunStatus.FAILED, reason=str(refused)))
                else:
                    raise
        if not jobs:
            return
        for run, answer in self._engine.submit(jobs).items():
            each = self._jobs[run]
            if isinstance(answer, BackendError):
                self._finish(each, JobState(status=RunStatus.FAILED, reason=f"not accepted: {answer}"))
                continue
            each.tell(job=answer, handed_at=now(), trouble="")
            self._say(f"run {run}: handed to {self._engine.place} as {answer}")
        self._look_s, self._look_at = self._engine.look_s, 0.0

    def _job(self, each: Followed) -> Job:
        spec = each.folder.spec()
        assert spec is not None, "claimed without a spec"  # noqa: S101
        run = self._runs.get(each.folder.run)
        return job_of(self._backend, self._engine, self._ref, each.folder, spec, run)

    def _stop(self) -> None:
        wanted = {
            run: each.told.job
            for run, each in self._jobs.items()
            if each.told.job and not each.told.stop_sent and each.state is None and self._stop_wanted(each)
        }
        if not wanted:
            return
        self._engine.stop(wanted)
        for run in wanted:
            self._jobs[run].tell(stop_sent=True)
            self._jobs[run].log.note(f"{stopped_by(self._jobs[run].folder)}; told to {self._engine.place}")
        self._look_s, self._look_at = self._engine.look_s, 0.0

    def _stop_wanted(self, each: Followed) -> bool:
        return each.folder.stop() is not None

    # ------------------------------------------------------------ asking after them

    def _look(self) -> None:
        asked = {run: each.told.job for run, each in self._jobs.items() if each.told.job and each.state is None}
        states = self._engine.look(asked) if asked else {}
        changed = False
        for run in asked:
            each = self._jobs[run]
            state = states.get(run)
            if state is None:
                self._not_known(each)
                changed = True
                continue
            each.unknown = 0
            before = each.told
            if state.given_up:
                each.tell(job="", status=RunStatus.QUEUED, reason=state.reason)
                changed = True
                self._say(f"run {run}: {state.reason}")
                continue
            if state.status is RunStatus.RUNNING:
                self._begin(each, state)
            elif state.status.ended:
                each.state, each.ended_at = state, time.monotonic()
            each.tell(
                status=RunStatus.RUNNING if state.status.ended else state.status,
                reason=state.reason if state.status is RunStatus.QUEUED else "",
                where=state.where or each.told.where,
            )
            changed = changed or each.told.status is not before.status or each.state is not None
        fast = changed or self._watched()
        self._look_s = self._engine.look_s if fast else min(self._look_s * 1.5, max(SELDOM_S, self._engine.look_s))
        self._look_at = time.monotonic() + self._look_s

    def _begin(self, each: Followed, state: JobState) -> None:
        if each.told.began:
            return
        try:
            self._runs.start(each.folder.run)
        except Conflict:  # it is being stopped
            pass
        each.tell(began=True)
        where = f" on {state.where}" if state.where else ""
        self._say(f"run {each.folder.run}: runs{where}")

    def _not_known(self, each: Followed) -> None:
        each.unknown += 1
        if each.unknown >= GONE_LOOKS or each.log.ended is not None:
            each.state = JobState(
                status=RunStatus.LOST,
                reason=f"{self._engine.place} does not know it any more: it was started anew, or has forgotten it; "
                f"again with: mlops-console run retry {each.folder.run[:8]}",
            )
            each.ended_at = time.monotonic()

    # ------------------------------------------------------------ what they say

    def _read(self) -> None:
        for each in list(self._jobs.values()):
            if not each.told.job or not each.backoff.due:
                continue
            try:
                self._read_one(each)
            except BackendError as away:
                if _passes(away):
                    raise
                pause = each.backoff.failed()
                self._say(f"run {each.folder.run}: {away}; looked at again in {pause:.0f} s")

    def _read_one(self, each: Followed) -> None:
        run = each.folder.run
        fresh = False
        # Once the job said how it ended there is no more: asking would have some engines send all of it again.
        while each.log.ended is None and (data := self._engine.log(run, each.told.job, each.log.read_to)):
            each.log.take(data)
            fresh = True
        if fresh:
            each.last_byte = time.monotonic()
            self._runs.hear(run, now())
            if not each.told.began and each.state is None:
                self._begin(each, JobState(status=RunStatus.RUNNING))
                each.tell(status=RunStatus.RUNNING, reason="")
            each.log.keep()
        if each.log.ended is not None and each.state is None:
            self._look_at = 0.0  # the cluster will say so in a moment
        if each.state is not None and (
            each.log.ended is not None or time.monotonic() - max(each.ended_at, each.last_byte) > self._drain_s(each)
        ):
            self._finish(each, each.state)

    def _drain_s(self, each: Followed) -> float:
        """A job whose machine is gone says nothing more; one that never began, hardly."""
        assert each.state is not None, "only what has ended is drained"  # noqa: S101
        ran = each.told.began or each.state.status is RunStatus.FINISHED
        return DRAIN_S if ran and each.state.status is not RunStatus.LOST else 1.0

    # ------------------------------------------------------------ their end

    def _finish(self, each: Followed, state: JobState) -> None:
        """exit.json, then the store: whoever is killed between has the next one go on."""
        status, reason, code = verdict(each, state, self._engine.place)
        each.folder.write_exit(
            RunExit(
                run=each.folder.run, status=status, ended_at=state.ended_at or now(), exit_code=code,
                reason=" ".join(reason.split())[:500], log_lost=each.log.log.lost,
            )
        )  # fmt: skip
        each.state = state
        self._end(each)

    def _end(self, each: Followed) -> None:
        run = each.folder.run
        with each.folder.lock() as ours:
            if not ours:
                return
            found = self._runs.get(run)
            if found.status is RunStatus.QUEUED and not each.told.began:
                ended = each.folder.exit()
                if ended is not None and ended.status is RunStatus.FINISHED:
                    self._runs.start(run)
            ended_run = settle(each.folder, self._backend, lambda text: self._say(f"run {run}: {text}"))
        self._conclude(ended_run)
        self._requests.finish(each.request)
        each.log.close()
        del self._jobs[run]
        self._say(f"run {run}: {ended_run.status.value}" + (f": {ended_run.reason}" if ended_run.reason else ""))


def _passes(error: BackendError) -> bool:
    """Whether it is the way to the cluster or to the store that failed: that passes."""
    from backends.contract import Unauthorized, Unreachable

    return isinstance(error, Unreachable | Unauthorized)
