"""Where work is asked for and launched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from backends.contract.mutation import Mutation
from backends.entities import Capacity, LaunchSpec, LogChunk, Request, RunQueue


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
