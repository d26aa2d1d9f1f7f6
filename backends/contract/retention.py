"""What could go for good, and its going."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from backends.contract.mutation import Mutation
from backends.entities.holdings import Freed, Going, Holdings, Room


class RetentionStore(Protocol):
    """What could go for good, and its going. Which of it goes is the caller's rule."""

    def holdings(self, *, idle_s: float = 3600.0) -> Holdings:
        """What is there and what needs it. Files that nothing names count as left over after `idle_s` without a
        write: somebody may be about to name them."""
        ...

    def room(self, run: str) -> Room | None:
        """What a run takes on the disk; None where another store keeps its files."""
        ...

    def remove(
        self,
        going: Sequence[Going],
        mutation: Mutation,
        *,
        told: Callable[[int], object] | None = None,
        idle_s: float = 3600.0,
    ) -> Freed:
        """Remove for good, each with its journal entry before its files. What is needed by now stays, and is told;
        what is gone already is passed over, so that it may be repeated after a crash. `told` hears how many of `going`
        are dealt with, and may raise to end it there."""
        ...
