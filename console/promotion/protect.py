"""Aliases that only a promotion, a rollback or an undo may move: whoever else tries is told so.

A policy protects an alias by `protected = true`, or by wanting approvals for it. The guard stands before the registry
of every session and of the protocol server, so that a client of MLflow or a deletion cannot go round the gates.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from backends.contract import Backend, ModelRegistry, Mutation, Refused
from backends.entities import AliasMove

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

    def delete_version(self, model: str, version: str, mutation: Mutation) -> None:
        self._keep(model, self._registry.version(model, version).aliases, f"taken away with v{version}")
        self._registry.delete_version(model, version, mutation)

    def delete(self, model: str, mutation: Mutation) -> None:
        self._keep(model, tuple(self._registry.get(model).aliases), "taken away with its model")
        self._registry.delete(model, mutation)

    def _keep(self, model: str, aliases: tuple[str, ...], what: str) -> None:
        from console.promotion.policy import policy_for

        for alias in aliases:
            policy = policy_for(self._backend, model, alias)
            if policy.protected or policy.approvals:
                by = f" ({', '.join(policy.sources)})" if policy.sources else ""
                raise Refused(
                    f"alias {alias} of {model} is protected by the policy{by}, so it is not {what}; nothing was "
                    f"changed. Promote another version (model promote {model} VERSION --alias {alias}), or roll back."
                )
