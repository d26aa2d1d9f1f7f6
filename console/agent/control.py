"""Start the agent of a workspace, ask after it, end it, read its log. Light to import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from backends.contract import Unreachable
from backends.entities import Millis, Record
from backends.local.agent_presence import living_agent, ring_bell
from backends.local.command_process import PROGRESS_FD
from backends.local.process_identity import is_alive, send_signal
from backends.local.process_tree import AGENT_MARK, RUN_MARK
from backends.local.protocol_access import living_server

START_S = 60.0
"""How long a start may take before it counts as failed; a second on a quiet machine, and a login node may be none."""
STOP_S = 10.0


class AgentStatus(Record, frozen=True):
    """What can be said of a workspace's agent."""

    running: bool
    pid: int | None = None
    since: Millis | None = None
    version: str = ""
    slots: int = 0
    runs: int = 0
    """Runs that it watches."""
    queued: int = 0
    serves: str = ""
    """Where it serves the MLflow protocol."""
    note: str = ""
    """What a person should know, e.g. that its version is another than the console's."""


@cache
def own_version() -> str:
    """The version of this program."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mlops-console")
    except PackageNotFoundError:  # run from a bare checkout
        return "unknown"


def agent_status(workspace: Path) -> AgentStatus:
    """Whether an agent runs, and what it is doing; costs well under a millisecond."""
    agent = living_agent(workspace)
    if agent is None:
        return AgentStatus(running=False)
    serves = living_server(workspace)
    note = ""
    if agent.version != own_version():
        note = (
            f"the agent is of version {agent.version}, this console of {own_version()}: "
            "stop the agent, the next start takes this version; running runs go on"
        )
    return AgentStatus(
        running=True,
        pid=agent.process.pid,
        since=agent.since,
        version=agent.version,
        slots=agent.slots,
        runs=agent.runs,
        queued=agent.queued,
        serves=serves.url if serves is not None else "",
        note=note,
    )


def ensure_agent(workspace: Path, *, slots: int | None = None) -> AgentStatus:
    """Start the agent if none runs, and wait until it answers; one that runs is told to look. Called by several at
    once, one agent starts.

    Raises Unreachable with the end of its log where it does not come up.
    """
    status = agent_status(workspace)
    if status.running:
        ring_bell(workspace)
        return status
    process = _spawn(workspace, slots)
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        status = agent_status(workspace)
        if status.running:
            return status
        code = process.poll()
        if code not in (None, 0):  # 0: another one has the lock and is about to answer
            break
        time.sleep(0.02)
    said = agent_log(workspace, limit=2000).strip().splitlines()
    raise Unreachable(
        f"the agent of {workspace} did not start" + (f": {said[-1]}" if said else "") + "; see agent.log there"
    )


def ensure_protocol(workspace: Path) -> None:
    """Start the agent if none runs, and wait until it serves the MLflow protocol."""
    ensure_agent(workspace)
    until = time.monotonic() + START_S
    while living_server(workspace) is None:
        if time.monotonic() > until:
            raise Unreachable(
                f"the agent of {workspace} runs and does not serve the MLflow protocol; see agent.log there"
            )
        time.sleep(0.02)


def ensure_tracking(workspace: Path) -> None:
    """The agent runs, and serves the MLflow protocol where it is what commands log to."""
    from backends.connect import server_of_runs

    if server_of_runs(workspace) is None:
        ensure_protocol(workspace)
    else:
        ensure_agent(workspace)


def _spawn(workspace: Path, slots: int | None) -> subprocess.Popen[bytes]:
    """Detached: its own session, no terminal, nothing of the caller's that could hold it back or take it along."""
    environment = {key: value for key, value in os.environ.items() if key not in (RUN_MARK, PROGRESS_FD)}
    environment[AGENT_MARK] = str(workspace)
    command = [sys.executable, "-m", "console.agent", "--workspace", str(workspace.absolute())]
    if slots is not None:
        command += ["--slots", str(slots)]
    with (workspace / "agent.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def stop_agent(workspace: Path) -> AgentStatus:
    """End the agent; its runs go on. It may be killed at any moment, so after `STOP_S` it is."""
    agent = living_agent(workspace)
    if agent is not None:
        send_signal(agent.process, signal.SIGTERM)
        until = time.monotonic() + STOP_S
        while is_alive(agent.process):
            if time.monotonic() > until:
                send_signal(agent.process, signal.SIGKILL)
            time.sleep(0.02)
    return agent_status(workspace)


def agent_log(workspace: Path, *, limit: int = 65_536) -> str:
    """The newest lines of the agent's log, at most `limit` bytes."""
    text = b""
    for name in ("agent.log", "agent.log.1"):
        try:
            text = (workspace / name).read_bytes() + text if len(text) < limit else text
        except FileNotFoundError:
            continue
    if len(text) > limit:
        text = text[-limit:]
        text = text[text.find(b"\n") + 1 :]
    return text.decode("utf-8", "replace")
