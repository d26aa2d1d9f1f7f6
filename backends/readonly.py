"""A backend that changes nothing: each verb that would is refused, and a verb that nobody listed does not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec

from backends.contract import Backend, Refused

READING: Final[dict[str, frozenset[str]]] = {
    "datasets": frozenset({"page", "get", "versions", "version", "path"}),
    "definitions": frozenset({"page", "versions", "get"}),
    "reports": frozenset({"latest", "page"}),
    "experiments": frozenset({"page", "get"}),
    "runs": frozenset({"page", "count", "get", "latest", "points", "keys", "experiments", "series"}),
    "logged_models": frozenset({"page", "get", "outputs"}),
    "artifacts": frozenset({"list", "children", "open", "verify"}),
    "registry": frozenset({"page", "get", "versions", "version", "holders", "search", "history"}),
    "journal": frozenset({"page", "get", "verify"}),
    "monitors": frozenset(
        {
            "page",
            "get",
            "windows",
            "overlapping",
            "extent",
            "batches",
            "begun",
            "crowded",
            "kept_segments",
            "holdings",
            "alerts",
            "services",
            "service_sources",
            "mutes",
            "deliveries",
        }
    ),
    "deployments": frozenset({"page", "get"}),
    "triggers": frozenset({"page", "get", "firing", "firings"}),
    "requests": frozenset({"list"}),
    "launcher": frozenset({"log", "capacity", "queue", "fits"}),
    "retention": frozenset({"holdings", "room"}),
    "metrics": frozenset(
        {"where", "info", "length", "windows", "examine", "names", "scrapes", "alerts", "failures", "close"}
    ),
}
FACTS: Final = frozenset({("launcher", "engine")})
"""What is no verb."""
CHANGING: Final[dict[str, frozenset[str]]] = {
    "datasets": frozenset({"add", "set_note", "set_column", "delete"}),
    "definitions": frozenset({"put", "delete"}),
    "reports": frozenset({"add"}),
    "runs": frozenset(
        {
            "create",
            "start",
            "end",
            "mark_stopping",
            "reopen",
            "rename",
            "set_source",
            "set_parent",
            "log_points",
            "log_params",
            "set_tags",
            "set_progress",
            "hear",
            "add_inputs",
            "set_note",
            "delete",
            "restore",
        }
    ),
    "experiments": frozenset({"create", "rename", "set_tags", "set_note", "delete", "restore"}),
    "logged_models": frozenset({"create", "finish", "log_params", "log_metrics", "set_tags", "delete", "add_outputs"}),
    "artifacts": frozenset({"put", "remove"}),
    "registry": frozenset(
        {"create", "rename", "delete", "delete_version", "register", "set_alias", "set_aliases", "set_note", "set_tags"}
    ),
    "journal": frozenset({"record", "take_in"}),
    "monitors": frozenset(
        {
            "put",
            "delete",
            "add_window",
            "add_batch",
            "put_alert",
            "ack_alert",
            "unack_alert",
            "resolve_alert",
            "note_alert",
            "mute",
            "unmute",
            "end_mutes",
            "route_delivery",
            "put_delivery",
            "add_service",
            "replace_windows",
            "forget_windows",
            "forget_batches",
            "compact_services",
            "forget_services",
        }
    ),
    "deployments": frozenset({"create", "change", "delete", "observe"}),
    "triggers": frozenset({"put", "delete", "turn", "observe", "fire", "put_firing"}),
    "requests": frozenset({"add", "claim", "finish", "release", "cancel", "prioritise"}),
    "launcher": frozenset({"submit", "cancel", "prioritise", "pause", "resume"}),
    "retention": frozenset({"remove"}),
    "metrics": frozenset(),
}


class _Reading:
    """The reading half of a capability."""

    def __init__(self, capability: str, whole: object, context: str) -> None:
        self._capability = capability
        self._whole = whole
        self._context = context

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        if verb in READING[self._capability] or (self._capability, verb) in FACTS:
            found: Callable[..., Any] = getattr(self._whole, verb)
            return found
        if verb in CHANGING[self._capability]:
            return self._refuse(verb)
        raise AttributeError(f"{self._capability}.{verb} is not known to be read-only")

    def _refuse(self, verb: str) -> Callable[..., NoReturn]:
        def refused(*_: object, **__: object) -> NoReturn:
            raise Refused(
                f"{self._capability}.{verb} would change context {self._context}, which is read-only; "
                "nothing was changed. Open it without --read-only, or set read_only = false in its context."
            )

        return refused


def read_only(backend: Backend) -> Backend:
    """The same backend with every change refused."""
    kept: dict[str, Any] = {}
    for capability in READING:
        found = getattr(backend, capability)
        kept[capability] = None if found is None else _Reading(capability, found, backend.name)
    features = msgspec.structs.replace(backend.features, read_only=True)
    return msgspec.structs.replace(backend, features=features, tracking=None, **kept)
