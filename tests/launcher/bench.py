"""A workspace whose runs go to one engine, for the suite that every launcher passes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from backends.connect import connect
from backends.contract import Backend, Mutation, all_pages
from backends.entities import LauncherRef, LaunchSpec, Needs, Run, RunStatus
from backends.local.agent_presence import living_agent
from backends.query import Compare, Key, Query
from console.agent import agent_log, ensure_protocol, stop_agent

ME = Mutation("someone@somewhere", "a test")


def until(condition: Callable[[], object], what: str = "it", seconds: float = 180.0) -> None:
    """Wait for something to come true. Generous: the machine may be busy."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to pass"
        time.sleep(0.05)


class Bench:
    """An engine with an agent. What differs between engines is overridden."""

    engine = "local"
    beyond: Needs = Needs(gpu=1)
    """More than is free, and not more than the launcher accepts."""
    waits = "gpu"
    """In the words in which the engine says why such a run waits."""
    fragile: Mapping[str, str] = {}
    """Options by which a run goes where `break_node` breaks."""
    parallel = 3
    """So many trials of a sweep begin at once, and no more find room."""
    spread = ""
    """Lines of a recipe by which they go to where `break_node` breaks, and elsewhere."""
    forgets = False
    """A head that was killed knows nothing of its jobs when it is there again."""
    ships = False
    """Files are uploaded: paths are others there."""

    def __init__(self, workspace: Path, launcher: LauncherRef | None = None) -> None:
        self.workspace = workspace
        self.ref = launcher
        self.backend: Backend = connect("bench", f"local:{workspace}", launcher=launcher)
        self.runs = self.backend.need("runs")
        self.launcher = self.backend.need("launcher")
        ensure_protocol(workspace)

    def close(self) -> None:
        stop_agent(self.workspace)
        self.backend.close()

    # ------------------------------------------------------------ what tests ask of it

    def submit(
        self, *argv: str, cwd: str = "", needs: Needs | None = None, tracking: bool = False,
        env: Mapping[str, str] | None = None, options: Mapping[str, str] | None = None, name: str = "a run",
        max_seconds: float = 0.0,
    ) -> str:  # fmt: skip
        """The id of a new run of this command."""
        run: Run = self.runs.create(name=name, engine=self.launcher.engine, mutation=ME)
        self.launcher.submit(
            LaunchSpec(
                run=run.id, argv=argv, cwd=cwd, needs=needs or Needs(), tracking=tracking, env=dict(env or {}),
                options=dict(options or {}), grace_s=2.0, max_seconds=max_seconds,
            ),
            ME,
        )  # fmt: skip
        return run.id

    def script(self, code: str, **more: object) -> str:
        """A run of this Python."""
        return self.submit(sys.executable, "-c", code, **more)  # type: ignore[arg-type]

    def get(self, run: str) -> Run:
        found: Run = self.runs.get(run)
        return found

    def in_queue(self, run: str) -> bool:
        """Whether it waits, or is still held by the agent."""
        return any(each.payload.get("run") == run for each in self.backend.need("requests").list(limit=10_000))

    def log(self, run: str) -> str:
        """All of it that is kept here."""
        return str(self.launcher.log(run, limit=10_000_000).text)

    def wait(self, run: str, status: RunStatus | None = None, seconds: float = 240.0) -> Run:
        """Until it has ended, or stands so."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(run)
            if found.status is status or (status is None and found.status.ended):
                return found
            late = time.monotonic() > deadline or (status is not None and found.status.ended)
            assert not late, f"{found.status} {found.reason}\n{self.log(run)}\n{agent_log(self.workspace, limit=3000)}"
            time.sleep(0.05)

    def lost_of(self, sweep: str) -> set[str]:
        """Runs of a sweep that were lost with their machine."""
        children = Query(where=Compare(Key("attribute", "parent"), "=", sweep))
        found = all_pages(lambda at: self.runs.page(children, at=at, limit=1_000, columns=[]))
        return {each.id for each in found if each.status is RunStatus.LOST}

    # ------------------------------------------------------------ what differs

    def listing(self, run: str) -> str:
        """All that others are shown of the job by the engine."""
        raise NotImplementedError

    def break_node(self, run: str) -> None:
        """Take away, without a word, what the run runs on."""
        raise NotImplementedError

    def mend_node(self) -> None:
        """What `break_node` took is there again."""

    def crash(self) -> None:
        """Kill, without a word, what gives out the work."""
        raise NotImplementedError

    def revive(self) -> None:
        """It is there again."""
        raise NotImplementedError

    def kill_agent(self) -> None:
        """The workspace's agent, without a word."""
        found = living_agent(self.workspace)
        assert found is not None
        os.kill(found.process.pid, signal.SIGKILL)
        until(lambda: living_agent(self.workspace) is None, "its end")

    def cut(self) -> None:
        """No way to the engine any more, until `mend`."""

    def mend(self) -> None:
        """The way is there again."""
