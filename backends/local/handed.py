"""What a run's folder says of its cluster: which one it goes to, and how it stands there.

`engine.json` is written when the run is asked for; `handed.json` by the agent alone, from the hand-over on. It is what
the next agent goes on from, and what is known of a run that the cluster has forgotten.
"""

from __future__ import annotations

from typing import Final

import msgspec

from backends.entities import LauncherRef, Millis, Record, RunStatus
from backends.local.run_folder import RunFolder, write_whole

ENGINE: Final = "engine.json"
HANDED: Final = "handed.json"


class Handed(Record, frozen=True, kw_only=True):
    """How a run stands at its cluster, as the agent last heard."""

    job: str = ""
    """The engine's name for it; empty while it could not be handed over."""
    status: RunStatus = RunStatus.QUEUED
    reason: str = ""
    """Why it waits, in the engine's own words."""
    where: str = ""
    trouble: str = ""
    """Why it could not be handed over or asked after lately."""
    handed_at: Millis = 0
    log_at: int = 0
    """How many bytes of the job's own log were taken."""
    printed: int = 0
    """Bytes that they became in the run's log."""
    said: int = 0
    """Lines that they became in its spool."""
    stop_sent: bool = False
    began: bool = False
    """The store knows that it runs."""


def write_engine(folder: RunFolder, ref: LauncherRef) -> None:
    write_whole(folder.path / ENGINE, msgspec.json.encode(ref))


def notice_of(folder: RunFolder) -> LauncherRef | None:
    """The engine that the run goes to; None for a run of this machine."""
    try:
        return msgspec.json.decode((folder.path / ENGINE).read_bytes(), type=LauncherRef)
    except FileNotFoundError:
        return None


def handed(folder: RunFolder) -> Handed | None:
    """How it stands there; None where the agent has not begun with it."""
    try:
        return msgspec.json.decode((folder.path / HANDED).read_bytes(), type=Handed)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:  # a power cut tore it: the engine knows the run by its id
        return Handed()


def write_handed(folder: RunFolder, told: Handed) -> None:
    write_whole(folder.path / HANDED, msgspec.json.encode(told))


def note_handed(folder: RunFolder, told: Handed) -> None:
    """As `write_handed`, without a sync: for what may be read from the engine again after a power cut."""
    temporary = folder.path / f".{HANDED}.new"
    temporary.write_bytes(msgspec.json.encode(told))
    temporary.replace(folder.path / HANDED)
