"""`python -m console.agent --workspace DIR [--slots N]`: be the agent of a workspace, unless another is."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from backends.contract import Backend, BackendError
from backends.local.agent_presence import living_agent
from backends.local.process_tree import AGENT_MARK
from console.agent.control import START_S
from console.agent.diary import Diary
from console.training.recipe_chain import CHAIN


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m console.agent", description="The agent of a workspace.")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--slots", type=int, default=0, help="how many runs at once")
    given = parser.parse_args()
    workspace: Path = given.workspace.absolute()
    if not _locked(workspace):
        return 0
    os.environ[AGENT_MARK] = str(workspace)
    os.environ.pop(CHAIN, None)  # who started it may be a run; what it starts is not of that run
    diary = Diary(workspace / "agent.log")
    from backends.connect import open_workspace
    from console.agent.capacity import capacity_of
    from console.agent.work import Agent
    from console.promotion.protect import guarded

    try:
        opened = msgspec.structs.replace(open_workspace(workspace), approvals=_approvals(workspace))
        backend = guarded(_launching(opened, workspace, diary.say))
    except BackendError as wrong:
        diary.say(f"agent {os.getpid()} cannot start: {wrong}")
        return 1
    slots = capacity_of(workspace, diary.say)
    if given.slots > 0:
        slots = msgspec.structs.replace(slots, runs=given.slots)
    diary.say(f"agent {os.getpid()} starts in {workspace}, {slots.runs} slots")
    Agent(backend, workspace, slots, diary.say).run()
    backend.close()
    return 0


def _locked(workspace: Path) -> bool:
    """Hold the workspace's lock until this process ends; False where another agent has it and can be seen to run.

    A killed agent counts as dead as soon as its main thread is gone; the lock goes with its last one, a little later.
    """
    lock = os.open(workspace / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + START_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if living_agent(workspace) is not None or time.monotonic() > until:
                os.close(lock)
                return False
        time.sleep(0.02)


def _launching(backend: Backend, workspace: Path, say: Callable[[str], None]) -> Backend:
    """What the agent itself starts, a trigger's training say, goes where the context's runs go."""
    from backends.launchers import launching
    from console.agent.jobs import launcher_ref

    try:
        return launching(backend, launcher_ref(workspace, say))
    except BackendError as wrong:
        say(f"runs that the agent starts are launched on this machine: {wrong}")
        return backend


def _approvals(workspace: Path) -> int:
    """The most that any context of this workspace wants: its clients by protocol are held to it too."""
    from console.config import load_config

    return max((each.approvals for each in load_config().contexts.values() if each.directory == workspace), default=0)


if __name__ == "__main__":
    sys.exit(main())
