"""Where triggers and their firings are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from backends.contract.mutation import Mutation
from backends.contract.paging import START, Page
from backends.entities import Firing, FiringState, Millis, Trigger, TriggerState, TriggerStatus


class TriggerStore(Protocol):
    """Triggers, where each stands, and every time that one fired."""

    def page(self, *, at: str = START, limit: int = 100) -> Page[Trigger]:
        """By name."""
        ...

    def get(self, name: str) -> Trigger: ...

    def put(self, trigger: Trigger, mutation: Mutation) -> Trigger:
        """Make or change a definition. Times and status are the store's to say, but for a new one's status."""
        ...

    def delete(self, name: str, mutation: Mutation) -> None:
        """The trigger with its firings. Refused while one of them is under way."""
        ...

    def turn(self, name: str, state: TriggerState, mutation: Mutation) -> Trigger:
        """Pause, resume or stop it, with the mutation's reason. A resumed one starts with no failures counted, and
        looks only at what comes from then on (`status.cursor` and such are the caller's to set by `observe`)."""
        ...

    def observe(self, name: str, status: TriggerStatus) -> bool:
        """Keep where it stands; not journaled. Its state, reason and since stay: `turn` alone changes those. False
        when it says what was kept already."""
        ...

    def fire(self, firing: Firing, status: TriggerStatus) -> bool:
        """Begin a firing and keep where its trigger stands, both or none. False, and nothing is changed but the
        status, where a firing of this id is there."""
        ...

    def put_firing(self, firing: Firing) -> None:
        """Bring a firing up to date. NotFound where it is not there."""
        ...

    def firing(self, firing: str) -> Firing: ...

    def firings(
        self,
        trigger: str = "",
        *,
        states: Sequence[FiringState] = (),
        since: Millis | None = None,
        limit: int = 200,
    ) -> tuple[Firing, ...]:
        """Newest first; of one trigger if named."""
        ...
