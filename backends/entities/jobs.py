"""Runs that a cluster carries out: what it is handed, and what it says of it."""

from __future__ import annotations

from backends.entities.record import Millis, Record
from backends.entities.requests import Needs
from backends.entities.runs import RunStatus


class LauncherRef(Record, frozen=True, kw_only=True):
    """Which engine runs are launched on: what a context says of it. It holds no secret."""

    url: str
    """`ray+https://head:8265`, `slurm:`, …; the word before the first `+`, `.` or `:` names the engine."""
    username: str = ""
    token_env: str = ""
    token_file: str = ""
    token_command: str = ""
    options: dict[str, str] = {}


class Job(Record, frozen=True, kw_only=True):
    """A run as an engine is handed it. Its id is the job's name there, so that a repeat is the same job."""

    run: str
    name: str
    """Of the run, for people who look at the engine's own lists."""
    folder: str
    """Where its files are laid out on this machine. An engine whose machines share its disks runs it there."""
    entry: tuple[str, ...]
    """The command, relative to the folder that holds `manifest.json`; its first word is the engine's Python."""
    files: dict[str, str] = {}
    """What is laid into that folder where the disks are not shared: name → text."""
    parts: dict[str, str] = {}
    """Larger files and folders that are laid there too, uploaded once by content: name → local path."""
    needs: Needs = Needs()
    options: dict[str, str] = {}
    """What the recipe says to this engine: partition, time limit, custom resources."""
    max_seconds: float = 0.0
    sweep: str = ""
    """The sweep that it is a trial of: an engine that knows arrays may keep such jobs together."""


class JobState(Record, frozen=True, kw_only=True):
    """What an engine says of a job."""

    status: RunStatus
    """queued, running, or how it ended; lost where a machine or the engine's memory of it went."""
    reason: str = ""
    """Of a waiting one why it waits, in the engine's own words; of an ended one what it says of the end."""
    exit_code: int | None = None
    began_at: Millis | None = None
    ended_at: Millis | None = None
    where: str = ""
    """The machine it runs on."""
    given_up: bool = False
    """The engine let go of it before it began, though nothing is wrong with it: it is to be handed over anew."""
