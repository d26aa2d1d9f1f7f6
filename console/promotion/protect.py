"""Aliases that only a promotion, a rollback or an undo may move: whoever else tries is told so.

A policy protects an alias by `protected = true`, or by wanting approvals for it. The guard stands before the registry
of every session and of the protocol server, so that no client of MLflow, deletion or other name goes round the gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from backends.contract import Backend, ModelRegistry, Mutation, Refused
from backends.entities import AliasChange, AliasMove, Model

JUDGED: Final = ("model.promote", "model.rollback", "model.undo")
"""Actions that this room names when it moves an alias itself."""


def guarded(backend: Backend) -> Backend:
    """The same backend, its protected aliases kept."""
    if backend.registry is None:
        return backend
    return msgspec.structs.replace(backend, registry=cast("ModelRegistry", _Guarded(backend)))


class _Guarded:
    """The registry, but for what would take a protected alias away from its version."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._registry = backend.need("registry")

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._registry, verb)

    def set_alias(
        self, model: str, alias: str, version: str | None, *, expected: str | None, mutation: Mutation
    ) -> AliasMove:
        if mutation.action not in JUDGED:
            self._keep(model, (alias,), "moved")
        move: AliasMove = self._registry.set_alias(model, alias, version, expected=expected, mutation=mutation)
        return move

    def set_aliases(self, model: str, changes: Sequence[AliasChange], *, mutation: Mutation) -> tuple[AliasMove, ...]:
        if mutation.action not in JUDGED:
            self._keep(model, tuple(change.alias for change in changes), "moved")
        moves: tuple[AliasMove, ...] = self._registry.set_aliases(model, changes, mutation=mutation)
        return moves

    def rename(self, model: str, name: str, mutation: Mutation) -> Model:
        """Callers of a protected alias lose it by its model's other name; and under a name with other rules an alias
        would stand where none was promoted."""
        aliases = tuple(self._registry.get(model).aliases)
        instead = "Take the rule out of the policy for as long as it is renamed"
        self._keep(model, aliases, "taken away with its model's name", instead)
        self._keep(name, aliases, f"set by giving {model} this name", instead)
        renamed: Model = self._registry.rename(model, name, mutation)
        return renamed

    def delete_version(self, model: str, version: str, mutation: Mutation) -> None:
        self._keep(model, self._registry.version(model, version).aliases, f"taken away with v{version}")
        self._registry.delete_version(model, version, mutation)

    def delete(self, model: str, mutation: Mutation) -> None:
        self._keep(model, tuple(self._registry.get(model).aliases), "taken away with its model")
        self._registry.delete(model, mutation)

    def _keep(self, model: str, aliases: tuple[str, ...], what: str, instead: str = "") -> None:
        from console.promotion.policy import policy_for

        for alias in aliases:
            policy = policy_for(self._backend, model, alias)
            if policy.protected or policy.approvals:
                promote = f"Promote another version (model promote {model} VERSION --alias {alias}), or roll back"
                by = f" ({', '.join(policy.sources)})" if policy.sources else ""
                raise Refused(
                    f"alias {alias} of {model} is protected by the policy{by}, so it is not {what}; nothing was "
                    f"changed. {instead or promote}."
                )
