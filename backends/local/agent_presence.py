"""Who works through a workspace's queue at this moment: the file `agent.json`, written by the agent, read by anyone."""

from __future__ import annotations

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
