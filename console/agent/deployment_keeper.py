"""One deployment held to what it is wanted to be: its server started, watched, told of changes, started again, drained.

The server outlives the agent and the console. What stands on disk (`server.json`, the status in the store) is enough
for the next agent to go on from any moment at which this one may be killed.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from backends.contract import Backend
from backends.entities import Deployment, DeploymentState, DeploymentStatus, DeploymentWish, Served
from backends.local.process_identity import is_alive, send_signal
from backends.local.settle import now
from console.agent import server_process
from console.agent.deployment_guard import Watchman
from console.agent.retry import Backoff
from console.agent.server_process import ServerRecord
from console.agent.service_windows import ServiceRecorder
from console.serving.deployment import live
from console.serving.deployment.place import folder_of, launched_with, spec_of
from console.serving.spec import ServingSpec
from console.serving.state import State

T = TypeVar("T")

LOOK_S: Final = 1.0
"""How often a server that answers is asked how it is."""
STARTING_S: Final = 0.1
STEADY_S: Final = 60.0
"""A server that ran this long may be started again at once."""
LOOPS: Final = 3
"""A server that ended so often within `STEADY_S` of its start is in a crash loop."""
UNHEARD_S: Final = 10.0
"""After so long without an answer its status says so."""
SILENT_S: Final = 60.0
"""A living server that has not answered for so long is ended and started again."""


class Errand(Generic[T]):
    """A question or command to a server, asked in a thread: however long it takes, the agent goes on."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.result: T | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), name="deployment errand", daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self.result = call()
        except Exception as error:  # told where the end of the errand is noticed
            self.error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()


class Keeper:
    """Of one deployment, for the life of an agent."""

    def __init__(self, backend: Backend, workspace: Path, name: str, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._store = backend.need("deployments")
        self._name = name
        self._say_all = say
        self._folder = folder_of(workspace, name)
        self._backoff = Backoff(longest=120.0)
        self._server: ServerRecord | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._started_at = 0.0
        self._heard_at = 0.0
        self._look_at = 0.0
        self._drain_until = 0.0
        """Not 0 while it is being ended."""
        self._errand: Errand[State] | None = None
        self._seen: State | None = None
        self._told_revision = 0
        """Not 0 while the errand tells the server of this revision."""
        self._last_told = 0
        self._tellings = Backoff(first=2.0, longest=60.0)
        self._refused = ""
        self._tried = 0
        """Revision of the definition that starts were last tried with."""
        self._adopted = False
        self._restarts = 0
        self._watchman = Watchman(backend, self._folder, self._say)
        self._recorder = ServiceRecorder(backend, name, self._say)

    # ------------------------------------------------------------ what the agent asks

    @property
    def alive(self) -> bool:
        return self._server is not None

    @property
    def patience(self) -> float | None:
        at = time.monotonic()
        if self._server is None:
            return max(0.1, self._backoff.due_at - at) if self._backoff.failures else None
        if self._drain_until or self._errand is not None or not self._url:
            return STARTING_S
        return max(0.05, self._look_at - at)

    def step(self, deployment: Deployment) -> None:
        """Do what is due. Called often; costs little where nothing is."""
        if not self._adopted:
            self._adopt(deployment)
        if self._server is not None and not self._lives():
            self._died(deployment)
        if self._drain_until:
            self._draining()
        elif deployment.desired is DeploymentWish.STOPPED:
            if self._server is not None:
                self._drain(deployment, "")
            else:
                self._backoff.succeeded()
                self._tell(deployment, DeploymentState.STOPPED, revision=deployment.revision)
        elif self._server is None:
            self._start(deployment)
        elif self._server.launched != launched_with(deployment):
            self._drain(deployment, "it is started anew with what was changed")
        elif not self._url:
            self._starting(deployment)
        elif time.monotonic() >= self._look_at or self._errand is not None:
            self._look(deployment)

    # ------------------------------------------------------------ processes

    def _adopt(self, deployment: Deployment) -> None:
        """What an earlier agent left: a living server, or the memory of one that ended too often."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._server = server_process.find(self._folder)
        if self._server is not None:
            self._started_at = self._heard_at = time.monotonic()
            pid = self._server.process.pid if self._server.process is not None else 0
            self._say(f"server {pid} found running")
        if deployment.status.state is DeploymentState.CRASH_LOOP:
            self._backoff.failures = LOOPS
            self._tried = deployment.revision
        self._restarts = deployment.status.restarts
        self._adopted = True

    def _lives(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self._server is not None and self._server.process is not None and is_alive(self._server.process)

    def _start(self, deployment: Deployment) -> None:
        if deployment.revision != self._tried:  # changed by a person: what failed before may go well
            self._tried = deployment.revision
            self._backoff.succeeded()
        if not self._backoff.due:
            return
        self._end_leftovers()
        self._process, self._server = server_process.spawn(
            self._spec(deployment), self._folder, launched_with(deployment)
        )
        self._url, self._refused = "", ""
        self._started_at = self._heard_at = time.monotonic()
        self._tellings.succeeded()
        self._seen, self._told_revision = None, 0
        self._say(f"server {self._process.pid} started")
        failing = self._backoff.failures >= LOOPS
        self._tell(
            deployment,
            DeploymentState.CRASH_LOOP if failing else DeploymentState.STARTING,
            reason=deployment.status.reason if failing else "",
            tail=deployment.status.tail if failing else (),
            revision=deployment.revision,
        )

    def _end_leftovers(self) -> None:
        """Workers of a dead server finish what they answer; they may hold the port, so they have two seconds."""
        until = time.monotonic() + 2
        while server_process.marked(self._folder) and time.monotonic() < until:
            time.sleep(0.05)
        killed = server_process.end_leftovers(self._folder)
        if killed:
            self._say(f"{killed} processes that its last server left were ended")

    def _died(self, deployment: Deployment) -> None:
        """It ended by itself, or was killed; while it was being drained that was wanted."""
        words = server_process.ended_words(self._process)
        said = server_process.why_not(self._folder)
        lived = time.monotonic() - self._started_at
        self._server, self._process, self._url, self._errand, self._seen = None, None, "", None, None
        if self._drain_until:
            self._drain_until = 0.0
            self._end_leftovers()
            self._say("server drained and ended")
            if deployment.desired is DeploymentWish.STOPPED:
                self._restarts = 0
                self._tell(deployment, DeploymentState.STOPPED, revision=deployment.revision)
            return
        if lived > STEADY_S:
            self._backoff.succeeded()
        pause = self._backoff.failed()
        tail = server_process.last_lines(self._folder)
        self._restarts += 1
        loop = self._backoff.failures >= LOOPS
        last = said or (tail[-1] if tail else "")
        reason = f"{words}{f': {last}' if last else ''}"
        self._say(f"{reason}; started again in {pause:.0f} s")
        self._tell(
            deployment,
            DeploymentState.CRASH_LOOP if loop else DeploymentState.STARTING,
            reason=f"{f'{self._backoff.failures} times in a row: ' if loop else ''}{reason}",
            tail=tail,
        )

    def _drain(self, deployment: Deployment, why: str) -> None:
        spec = self._spec(deployment)
        self._drain_until = time.monotonic() + spec.limits.drain_seconds + 15
        if self._server is not None and self._server.process is not None:
            send_signal(self._server.process, signal.SIGTERM)
        self._say(f"server asked to end{f': {why}' if why else ''}")
        self._tell(deployment, DeploymentState.DRAINING, reason=why)

    def _draining(self) -> None:
        if self._server is None:
            self._drain_until = 0.0
        elif time.monotonic() > self._drain_until:
            self._say("server did not end in time; killed")
            self._kill()

    def _kill(self) -> None:
        if self._server is not None and self._server.process is not None:
            send_signal(self._server.process, signal.SIGKILL)

    # ------------------------------------------------------------ a living server

    def _starting(self, deployment: Deployment) -> None:
        self._url = server_process.ready_url(self._folder)
        if self._url:
            self._look(deployment)
        elif time.monotonic() - self._started_at > self._spec(deployment).limits.load_seconds + 60:
            self._say("server does not get ready; killed")
            self._kill()

    def _look(self, deployment: Deployment) -> None:
        """Ask how it is, and tell it of changes: one errand at a time."""
        assert self._server is not None  # noqa: S101 the caller knows
        socket = self._server.socket
        if self._errand is not None:
            if not self._errand.done:
                return
            errand, self._errand = self._errand, None
            if self._told_revision:
                self._told(errand.error)
            if errand.result is not None:
                self._heard(deployment, errand.result)
            elif not self._told_revision:
                self._unheard(deployment, errand.error)
            self._told_revision = 0
            return
        self._look_at = time.monotonic() + LOOK_S
        server_process.shrink(self._folder)
        if self._seen is None or live.matches(self._seen, deployment) or not self._may_tell(deployment):
            self._errand = Errand(lambda: live.state(socket))
            return
        self._told_revision = self._last_told = deployment.revision
        seconds = self._spec(deployment).limits.load_seconds + 30
        self._errand = Errand(lambda: live.bring_up(socket, deployment, timeout=seconds))

    def _may_tell(self, deployment: Deployment) -> bool:
        """What was refused is told again later; what a person changed meanwhile at once."""
        if self._last_told != deployment.revision:
            self._tellings.succeeded()
        return self._tellings.due

    def _told(self, error: Exception | None) -> None:
        self._look_at = 0.0
        if error is None:
            self._refused = ""
            self._tellings.succeeded()
            self._say(f"server has revision {self._told_revision}")
        else:
            self._refused = f"the change was not taken: {error}"
            pause = self._tellings.failed()
            self._say(f"{self._refused}; told again in {pause:.0f} s")

    def _heard(self, deployment: Deployment, found: State) -> None:
        at = time.monotonic()
        self._heard_at, self._seen = at, found
        if at - self._started_at > STEADY_S and self._backoff.failures:
            self._backoff.succeeded()
        taken = live.matches(found, deployment)
        if taken:
            self._refused = ""
        else:
            self._look_at = 0.0
        self._tell(
            deployment,
            DeploymentState.SERVING,
            reason=self._refused or live.trouble_of(found),
            served=live.served_of(found),
            revision=deployment.revision if taken else None,
        )
        self._watchman.look(deployment, found)
        self._recorder.hear(found)

    def _unheard(self, deployment: Deployment, error: Exception | None) -> None:
        silent = time.monotonic() - self._heard_at
        if silent > SILENT_S:
            self._say(f"server has not answered for {silent:.0f} s; killed")
            self._kill()
        elif silent > UNHEARD_S:
            self._tell(deployment, DeploymentState.SERVING, reason=str(error))

    # ------------------------------------------------------------ telling

    def _spec(self, deployment: Deployment) -> ServingSpec:
        return spec_of(self._backend, deployment, self._folder)

    def _tell(
        self,
        deployment: Deployment,
        state: DeploymentState,
        *,
        reason: str = "",
        tail: tuple[str, ...] = (),
        served: tuple[Served, ...] | None = None,
        revision: int | None = None,
    ) -> None:
        """Keep what is seen in the store, where it is new."""
        before = deployment.status
        process = self._server.process if self._server is not None else None
        status = DeploymentStatus(
            state=state,
            since=before.since if before.state is state and before.since is not None else now(),
            url=self._url,
            pid=process.pid if process is not None else None,
            served=served if served is not None else (before.served if self._server is not None else ()),
            revision=before.revision if revision is None else revision,
            restarts=self._restarts,
            reason=reason,
            tail=tail,
        )
        if status != before:
            self._store.observe(self._name, status)

    def _say(self, text: str) -> None:
        self._say_all(f"deployment {self._name}: {text}")
