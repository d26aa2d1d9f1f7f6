"""Notes on monitors: the definition as it is, with other words beside it."""

from __future__ import annotations

import msgspec

from backends.contract import Backend, Mutation
from backends.entities import Monitor


def note_monitor(backend: Backend, name: str, note: str, mutation: Mutation) -> Monitor:
    """Write a note on it. Raises NotFound."""
    store = backend.need("monitors")
    noted: Monitor = store.put(msgspec.structs.replace(store.get(name), note=note), mutation.named("monitor.note"))
    return noted
