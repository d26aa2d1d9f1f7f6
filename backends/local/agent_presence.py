"""Who works through a workspace's queue at this moment: the file `agent.json`, written by the agent, read by anyone;
and its bell, `agent.bell`, which anyone rings who has put something into the queue."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from backends.entities import Millis, Record
from backends.local.process_identity import ProcessIdentity, is_alive
from backends.local.run_folder import write_whole


class AgentPresence(Record, frozen=True):
    """What the running agent says of itself."""

    process: ProcessIdentity
    since: Millis
    version: str
    slots: int
    runs: int = 0
    queued: int = 0


def presence_path(workspace: Path) -> Path:
    return workspace / "agent.json"


def write_presence(workspace: Path, presence: AgentPresence) -> None:
    write_whole(presence_path(workspace), msgspec.json.encode(presence))


def living_agent(workspace: Path) -> AgentPresence | None:
    """The agent that runs now; the file that a killed one left behind does not count."""
    try:
        presence = msgspec.json.decode(presence_path(workspace).read_bytes(), type=AgentPresence)
    except (FileNotFoundError, msgspec.DecodeError):  # another version's file: its agent cannot be spoken of
        return None
    return presence if is_alive(presence.process) else None


def hang_bell(workspace: Path) -> int | None:
    """The agent's end of its bell; None where the file system has no pipes. It looks by itself as well."""
    path = _bell_path(workspace)
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        pass
    except OSError:
        return None
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def ring_bell(workspace: Path) -> None:
    """Have the agent look at once. Without it what was put down is found a little later."""
    with suppress(OSError):  # no agent hears (ENXIO, ENOENT), or it has been rung often enough (EAGAIN)
        bell = os.open(_bell_path(workspace), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(bell, b"\0")
        finally:
            os.close(bell)


def _bell_path(workspace: Path) -> Path:
    return workspace / "agent.bell"
