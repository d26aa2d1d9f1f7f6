"""Where work is asked for and launched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from backends.contract.errors import BackendError
from backends.contract.mutation import Mutation
from backends.entities import Capacity, ClusterRoom, Job, JobState, LaunchSpec, LogChunk, Needs, Request, RunQueue


class RequestQueue(Protocol):
    """Durable work for the agent."""

    def add(self, kind: str, payload: dict[str, Any], *, key: str, created_by: str, priority: int = 0) -> Request:
        """A second request with the same key is the first one."""
        ...

    def claim(self, by: str, kinds: Sequence[str] = (), *, request: str = "") -> Request | None:
        """The next waiting request by priority, then age; atomically ours. With `request`, that one if it waits."""
        ...

    def finish(self, request: str, *, error: str = "") -> None: ...

    def release(self, request: str) -> None:
        """Back to waiting: for what an agent that died had claimed."""
        ...

    def cancel(self, request: str) -> bool:
        """True when it was still waiting."""
        ...

    def prioritise(self, request: str, priority: int) -> bool:
        """True when it was still waiting, and so has its new place."""
        ...

    def list(
        self, *, states: Sequence[str] = ("waiting", "claimed"), kind: str = "", limit: int = 200
    ) -> tuple[Request, ...]: ...


class Launcher(Protocol):
    """Runs commands on an engine, each under a run's id."""

    engine: str
    """Its name: `local`, `ray`, …; the run keeps it."""

    def submit(self, spec: LaunchSpec, mutation: Mutation) -> None:
        """Accept the command. Repeating it for the same run does nothing."""
        ...

    def cancel(self, run: str, mutation: Mutation) -> None:
        """Ask for the end of the whole process tree; a queued run is stopped at once."""
        ...

    def log(self, run: str, *, start: int = 0, limit: int = 65_536) -> LogChunk:
        """From byte `start`; a negative start counts from the end."""
        ...

    def capacity(self) -> Capacity: ...

    def fits(self, needs: Needs, options: Mapping[str, str]) -> int | None:
        """How many such runs a cluster carries out at once, were they alone there; None where that is not known, and
        for this machine. `options` are a recipe's `[launch]`."""
        ...

    def queue(self) -> RunQueue:
        """What waits and why, in the order in which it will begin."""
        ...

    def prioritise(self, run: str, priority: int, mutation: Mutation) -> None:
        """Move a waiting run: the higher goes first. Conflict when it has begun."""
        ...

    def pause(self, mutation: Mutation) -> None:
        """Begin nothing further until `resume`. Conflict when it is paused."""
        ...

    def resume(self, mutation: Mutation) -> None:
        """Conflict when it is not paused."""
        ...


class Engine(Protocol):
    """A cluster that jobs are handed to: the part of a launcher that differs from one kind of cluster to the next.

    The workspace's agent calls it, from one thread that may wait: it submits, looks, copies the log, and keeps how the
    run ended; whatever the engine forgets later. Every verb may raise Unreachable, Unauthorized: then it is asked again
    by itself. A package offers one as an entry point of the group `mlops_console.launchers`, a function
    `(LauncherRef) -> Engine` that asks nothing yet.
    """

    name: str
    """As `Launcher.engine`."""
    place: str
    """Which cluster, in words for people: no secret, no scheme."""
    shared: bool
    """Its machines see this machine's disks under the same paths: nothing has to be shipped."""
    python: str
    """The interpreter there."""
    look_s: float
    """How often it is asked after jobs while somebody waits, at most, in seconds."""

    def probe(self) -> str:
        """One question; what answered, with its version."""
        ...

    def submit(self, jobs: Sequence[Job]) -> Mapping[str, str | BackendError]:
        """run → the engine's name for its job, or why it was not taken. A job that is there already is that one."""
        ...

    def look(self, jobs: Mapping[str, str]) -> Mapping[str, JobState]:
        """run → its state, for run → the engine's name. A job that the engine does not know is left out; one that it
        has `given_up` is submitted once more under its run, and is then begun as if it had not been there."""
        ...

    def log(self, run: str, job: str, start: int) -> bytes:
        """What the job printed from byte `start` on, as far as is there; empty for nothing further yet. At once."""
        ...

    def stop(self, jobs: Mapping[str, str]) -> None:
        """Ask for their end; those that have ended, or are not known, are passed over."""
        ...

    def room(self) -> ClusterRoom: ...

    def fits(self, needs: Needs, options: Mapping[str, str], room: ClusterRoom) -> int:
        """How many jobs that ask for so much have a place at once, were all of its room free. It asks nothing."""
        ...

    def close(self) -> None: ...
