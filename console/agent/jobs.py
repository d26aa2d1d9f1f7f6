"""Which clusters have runs of this workspace: a follower for each, begun when the first run goes there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backends.contract import Backend, BackendError
from backends.entities import LauncherRef, Request, Run
from backends.launchers import launching, open_engine
from backends.local.cluster_launcher import HAND_OVER, MOST
from backends.local.handed import notice_of
from backends.local.run_folder import RunFolder
from console.agent.follower import Follower
from console.config import load_config


def launcher_ref(workspace: Path, say: Callable[[str], None]) -> LauncherRef | None:
    """The cluster that the workspace's context names; the last one's where several do."""
    try:
        contexts = load_config().contexts.values()
    except BackendError as wrong:
        say(f"runs are launched on this machine: {wrong}")
        return None
    named = [
        each.launcher_ref
        for each in contexts
        if each.directory is not None and each.directory.resolve() == workspace.resolve()
    ]
    return next((ref for ref in reversed(named) if ref is not None), None)


class Jobs:
    """The agent's part that looks after runs at clusters."""

    def __init__(
        self, backend: Backend, workspace: Path, me: str, say: Callable[[str], None],
        conclude: Callable[[Backend, Run], None],
    ) -> None:  # fmt: skip
        self._backend = backend
        self._requests = backend.need("requests")
        self._workspace = workspace
        self._me = me
        self._say = say
        self._conclude = conclude
        self._followers: dict[str, Follower] = {}
        self._taken_over = False

    @property
    def following(self) -> int:
        return sum(each.following for each in self._followers.values())

    def watched(self, run: str) -> bool:
        """Whether a cluster has it, or is about to be given it."""
        return notice_of(RunFolder.of(self._workspace, run)) is not None

    def step(self) -> None:
        """Begin a follower where a run waits for a cluster that has none, and let each look into the queue."""
        if not self._taken_over:
            for request in self._requests.list(states=("claimed",), kind=HAND_OVER, limit=MOST):
                self._adopt(request)
            for each in self._followers.values():
                each.start()
            self._taken_over = True
        for request in self._requests.list(states=("waiting",), kind=HAND_OVER, limit=MOST):
            if str(request.payload.get("launcher", "")) not in self._followers:
                follower = self._follower(request)
                if follower is not None:
                    follower.start()
        for each in self._followers.values():
            each.wake()

    def _adopt(self, request: Request) -> None:
        follower = self._followers.get(str(request.payload.get("launcher", ""))) or self._follower(request)
        if follower is not None:
            follower.adopt(request)

    def _follower(self, request: Request) -> Follower | None:
        run = str(request.payload.get("run", ""))
        try:
            ref = notice_of(RunFolder.of(self._workspace, run))
            if ref is None:
                raise BackendError(f"run {run} has no engine.json")
            engine = open_engine(ref)
        except BackendError as wrong:
            self._say(f"hand-over of {run or '?'} given up: {wrong}")
            self._give_up(request, run, str(wrong))
            return None
        there = launching(self._backend, ref)
        made = Follower(
            self._backend, self._workspace, ref, engine, self._me, self._say, lambda ended: self._conclude(there, ended)
        )
        self._followers[ref.url] = made
        return made

    def _give_up(self, request: Request, run: str, why: str) -> None:
        """A run that no engine here can take has failed: nobody else will begin it."""
        from backends.entities import RunStatus

        if request.state.value == "waiting" and self._requests.claim(self._me, request=request.id) is None:
            return
        self._requests.finish(request.id, error=why)
        try:
            self._backend.need("runs").end(run, RunStatus.FAILED, reason=why)
        except BackendError as also:
            self._say(f"run {run}: {also}")

    def end(self) -> None:
        for each in self._followers.values():
            each.end()
