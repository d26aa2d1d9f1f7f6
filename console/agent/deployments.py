"""Every deployment held to what it is wanted to be."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from backends.contract import Backend, all_pages
from backends.entities import Deployment
from console.agent.deployment_keeper import Keeper
from console.agent.retry import Backoff


class Deployments:
    """One keeper for each. One that fails must not keep the others waiting."""

    def __init__(self, backend: Backend, workspace: Path, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._workspace = workspace
        self._say = say
        self._keepers: dict[str, Keeper] = {}
        self._trouble: dict[str, Backoff] = {}

    @property
    def serving(self) -> int:
        """How many servers run."""
        return sum(keeper.alive for keeper in self._keepers.values())

    @property
    def patience(self) -> float | None:
        """Seconds until one has to be looked at though nothing changed; None for never."""
        waits = [keeper.patience for keeper in self._keepers.values()]
        found = [wait for wait in waits if wait is not None]
        found += [max(0.1, each.due_at - time.monotonic()) for each in self._trouble.values() if each.failures]
        return min(found, default=None)

    def step(self) -> None:
        store = self._backend.deployments
        if store is None:
            return
        wanted: dict[str, Deployment] = {each.name: each for each in all_pages(lambda at: store.page(at=at, limit=500))}
        for name in [name for name in self._keepers if name not in wanted]:
            # Only what is stopped can be deleted: there is no process to end.
            del self._keepers[name]
            self._trouble.pop(name, None)
        for name, deployment in wanted.items():
            keeper = self._keepers.get(name)
            if keeper is None:
                keeper = self._keepers[name] = Keeper(self._backend, self._workspace, name, self._say)
            trouble = self._trouble.setdefault(name, Backoff(longest=30.0))
            if not trouble.due:
                continue
            try:
                keeper.step(deployment)
            except Exception as error:
                pause = trouble.failed()
                self._say(f"deployment {name}: {type(error).__name__}: {error}; looked at again in {pause:.0f} s")
            else:
                trouble.succeeded()
