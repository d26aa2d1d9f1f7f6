"""Work that was asked for: requests, the queue, and what is launched."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

from backends.entities.record import Millis, Record


class RequestState(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Request(Record, frozen=True, kw_only=True):
    """A durable piece of work for the agent. The database is the queue."""

    id: str
    kind: str
    payload: dict[str, Any]
    state: RequestState
    created_at: Millis
    created_by: str = ""
    priority: int = 0
    claimed_by: str = ""
    claimed_at: Millis | None = None
    ended_at: Millis | None = None
    attempts: int = 0
    error: str = ""


RESOURCES = ("cpu", "memory", "gpu")
"""The fields of `Needs`."""


def amount(resource: str, value: float) -> str:
    """`2 cpu`, `4 GB of memory`, `1 gpu`."""
    return f"{value / 1e9:.3g} GB of memory" if resource == "memory" else f"{value:g} {resource}"


class Needs(Record, frozen=True, kw_only=True):
    """What a run has to have to itself before it begins; what it does not say it needs nothing of."""

    cpu: float = 0.0
    """Cores."""
    memory: int = 0
    """Bytes."""
    gpu: int = 0
    """Whole cards; which, the run is told in CUDA_VISIBLE_DEVICES."""

    def of(self, resource: str) -> float:
        """How much of one of `RESOURCES`."""
        value: float = getattr(self, resource)
        return value

    def times_in(self, total: Needs) -> float:
        """How many with these have room at once where there is so much; infinity for one that needs nothing."""
        asked = [each for each in RESOURCES if self.of(each)]
        return min((total.of(each) // self.of(each) for each in asked), default=math.inf)

    def beyond(self, most: Needs) -> str:
        """Why a run with these can never begin where there is so much, with the figures; empty when it can."""
        for each in RESOURCES:
            if self.of(each) > most.of(each):
                verb = "is" if each == "memory" else "are"
                return f"it needs {amount(each, self.of(each))}, and there {verb} {amount(each, most.of(each))} in all"
        return ""


class ClusterRoom(Record, frozen=True, kw_only=True):
    """What a cluster has, and how much of it is taken, as far as the engine says."""

    nodes: int
    total: Needs
    taken: Needs = Needs()
    others: dict[str, str] = {}
    """Partitions, custom resources: name → `2 of 8`."""
    totals: dict[str, float] = {}
    """Of the same what there is in all, in numbers: of partitions their cores."""
    note: str = ""
    """What a person should know: nodes that are down, nobody admitted."""


class Capacity(Record, frozen=True, kw_only=True):
    """What a launcher can take."""

    slots: int
    running: int
    queued: int
    most: Needs | None = None
    """All that it has to give out; None where it does not go by needs."""
    place: str = ""
    """Which cluster; empty for this machine."""
    room: ClusterRoom | None = None
    """What the cluster has, as it was last heard."""
    note: str = ""
    """Why nothing is known of it."""


class QueuePause(Record, frozen=True, kw_only=True):
    """Who let nothing further begin, and why."""

    actor: str
    at: Millis
    reason: str = ""


class WaitingRun(Record, frozen=True, kw_only=True):
    """A run that has not begun."""

    run: str
    priority: int
    """The higher goes first; of the same, the older."""
    since: Millis
    by: str
    why: str
    """What it waits for, as a sentence."""


class RunQueue(Record, frozen=True, kw_only=True):
    """What an engine runs, and what waits, in the order in which it will begin."""

    slots: int
    running: tuple[str, ...]
    waiting: tuple[WaitingRun, ...]
    paused: QueuePause | None = None
    taken: str = ""
    """How much of what there is has been given out, in words."""
    unheard: dict[str, str] = {}
    """Of those that run the ones that nothing is heard of at present, each with why: they may have ended meanwhile."""

    def why(self, run: str) -> str:
        """What a run waits for, or why nothing is heard of it; else empty."""
        return next((each.why for each in self.waiting if each.run == run), self.unheard.get(run, ""))


class LaunchSpec(Record, frozen=True, kw_only=True):
    """A command to run on an engine, under an existing run's id."""

    run: str
    argv: tuple[str, ...]
    env: dict[str, str] = {}
    """Added to the engine's own environment. Never secrets."""
    cwd: str = ""
    inputs: dict[str, str] = {}
    """Files of this machine that it reads: local path → name under `inputs/` of its folder where disks are not shared.
    Arguments and variables that hold the path are told the other."""
    options: dict[str, str] = {}
    """What the recipe says to a cluster under [launch]: partition, time limit, custom resources."""
    files: dict[str, str] = {}
    """Small text files to lay into the run's folder before the start: name → content."""
    priority: int = 0
    grace_s: float = 10.0
    """How long a stop waits between SIGTERM and SIGKILL."""
    control: bool = False
    """It does no work itself but has others do it: it takes no slot, and waits for none."""
    tracking: bool = False
    """The command logs over the MLflow protocol: it is given address, run and token when it starts."""
    max_seconds: float = 0.0
    """After so long it is stopped, and has failed; 0 for no limit."""
    max_memory: int = 0
    """Bytes of resident memory that its processes may take together; 0 for no limit."""
    nice: int = 0
    """0 to 19: how far it stands back behind other processes."""
    needs: Needs = Needs()
    sample_s: float | None = None
    """Seconds between two samples of what machine and processes take; 0 for none. None: often at first, then less."""
