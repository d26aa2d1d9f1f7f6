"""The configured policy, applied once a day; nothing where none is configured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from backends.contract import Backend, Mutation
from backends.entities import Millis, Record
from backends.local.database import now
from backends.local.run_folder import write_whole
from console.config import Context, load_config
from console.retention.policy import RetentionPolicy
from console.wording import plural, size

DAY_MS = 86_400_000
LOOK_S = 600.0
"""So often it is looked whether a day is over and what the configuration says."""
STATE = "retention.json"


class Applied(Record, frozen=True, kw_only=True):
    """When a policy was applied last, and what it gave."""

    at: Millis
    policy: str
    gone: int = 0
    bytes: int = 0


class Retention:
    """Applies the policy of the context that names this workspace."""

    def __init__(self, backend: Backend, workspace: Path, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._workspace = workspace
        self._say = say
        self._look_at = 0.0
        self._work: threading.Thread | None = None

    def step(self) -> None:
        if time.monotonic() < self._look_at or (self._work is not None and self._work.is_alive()):
            return
        self._look_at = time.monotonic() + LOOK_S
        context = policy_context(self._workspace)
        if context is None or context.retention is None or not context.retention.cleans:
            return
        if not self._due(context.retention):
            return
        # Beside the agent's own course: to look through a large workspace takes its time, and runs must not wait.
        self._work = threading.Thread(target=self._apply, args=(context.retention,), name="retention", daemon=True)
        self._work.start()

    def _due(self, policy: RetentionPolicy) -> bool:
        """A day after the last time, or once the policy says something else."""
        last = last_applied(self._workspace)
        return last is None or now() - last.at >= DAY_MS or last.policy != policy.words()

    def _apply(self, policy: RetentionPolicy) -> None:
        from console.retention.apply import carry_out, preview

        words = policy.words()
        try:
            found = preview(self._backend, policy.limits())
            mutation = Mutation(actor="agent", reason=f"policy {words}")
            freed = carry_out(self._backend, found, mutation) if found.going else None
            gone, given = (freed.gone, freed.bytes) if freed is not None else (0, 0)
            applied = Applied(at=now(), policy=words, gone=gone, bytes=given)
            write_whole(self._workspace / STATE, msgspec.json.encode(applied))
        except Exception as error:  # a thread's end that nobody hears of
            self._say(f"retention: {type(error).__name__}: {error}; tried again in {LOOK_S / 60:.0f} minutes")
            return
        self._say(f"retention ({words}): {plural(gone, 'thing')} removed, {size(given)} given back")
        for why in freed.left if freed is not None else ():
            self._say(f"retention: {why}")


def last_applied(workspace: Path) -> Applied | None:
    """When a policy was last applied here, or None."""
    try:
        return msgspec.json.decode((workspace / STATE).read_bytes(), type=Applied)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def policy_context(workspace: Path) -> Context | None:
    """The context with a policy that works on this directory, unless it is read-only."""
    for context in load_config().contexts.values():
        directory = context.directory
        if (
            context.retention is not None
            and directory is not None
            and directory.expanduser().absolute() == workspace.absolute()
            and not context.read_only
        ):
            return context
    return None
