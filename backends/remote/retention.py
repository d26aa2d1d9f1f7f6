"""What of a sidecar could go: not a run that became a version in the registry beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from backends.contract import Mutation, RetentionStore
from backends.entities.holdings import Freed, Going, Holdings, Part, Room


class RegisteredStay:
    """`RetentionStore`. `registered` gives the version that a run became."""

    def __init__(self, beside: RetentionStore, registered: Callable[[], Mapping[str, str]]) -> None:
        self._beside = beside
        self._registered = registered

    def holdings(self, *, idle_s: float = 3600.0) -> Holdings:
        known = self._registered()
        found = self._beside.holdings(idle_s=idle_s)
        runs = tuple(
            msgspec.structs.replace(held, needed=held.needed or f"registered as {known[held.run]}")
            if held.run in known
            else held
            for held in found.runs
        )
        return msgspec.structs.replace(found, runs=runs)

    def room(self, run: str) -> Room | None:
        return self._beside.room(run)

    def remove(
        self,
        going: Sequence[Going],
        mutation: Mutation,
        *,
        told: Callable[[int], object] | None = None,
        idle_s: float = 3600.0,
    ) -> Freed:
        """Asked again just before: somebody may have registered one of them meanwhile."""
        known = self._registered()
        stays = [each for each in going if each.target in known and each.part not in (Part.DATA, Part.LEFTOVER)]
        freed = self._beside.remove([each for each in going if each not in stays], mutation, told=told, idle_s=idle_s)
        left = tuple(f"run {each.name or each.target[:8]} stays: registered as {known[each.target]}." for each in stays)
        return msgspec.structs.replace(freed, left=(*freed.left, *left))
