"""Who changes something, why, and under which key."""

from __future__ import annotations

import msgspec

from backends.entities import GateResult


class Mutation(msgspec.Struct, frozen=True):
    """Who changes something and why. There is no way to change anything without one.

    `key` makes the change idempotent: a second call with the same key does nothing and returns what the first one made.
    """

    actor: str
    reason: str = ""
    key: str = ""
    action: str = ""
    """Journal action where the verb's own is not the whole story, e.g. `model.rollback` for a `set_alias`."""
    gates: tuple[GateResult, ...] = ()
    undoes: str = ""
    """Id of the journal entry that this takes back."""

    def named(self, action: str) -> Mutation:
        """The same under this journal action, unless it has one already."""
        return self if self.action else msgspec.structs.replace(self, action=action)

    def __post_init__(self) -> None:
        if not self.actor.strip():
            raise ValueError("a mutation needs an actor")
