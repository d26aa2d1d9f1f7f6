"""What every step is given, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from backends.contract import Backend, Mutation
from backends.entities import Firing, FiringState, Record, Trigger


class Work(msgspec.Struct, frozen=True):
    """A firing under way."""

    backend: Backend
    trigger: Trigger
    firing: Firing

    def mutation(self, part: str) -> Mutation:
        """Under this trigger's name, for its cause; the key is the firing's and the step's, so that a repeated step
        changes nothing twice."""
        reason = f"{self.firing.cause} (firing {self.firing.id[:8]})"
        return Mutation(actor=self.trigger.actor, reason=reason, key=f"trigger:{self.firing.id}:{part}")


class Done(Record, frozen=True, kw_only=True):
    """The step is behind us; `changes` are what the firing learned by it."""

    said: str = ""
    changes: dict[str, Any] = msgspec.field(default_factory=dict)


class End(Record, frozen=True, kw_only=True):
    """The firing is over, before its last step."""

    state: FiringState
    reason: str


class Wait(Record, frozen=True, kw_only=True):
    """Not yet: ask again. `changes` are kept meanwhile."""

    changes: dict[str, Any] = msgspec.field(default_factory=dict)


Step = Callable[[Work], Done | End | Wait]
"""What it raises of the contract's errors ends the firing: Refused as refused, all else as
failed; Unreachable is tried again."""
