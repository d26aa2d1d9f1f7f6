"""A clean-up of what nothing names, without waiting for the hour."""

from __future__ import annotations

from pathlib import Path

from backends.contract import Mutation
from backends.entities.holdings import Freed, Going, Part
from backends.local import open_local


def clean(home: Path, *, idle_s: float = 3600.0) -> Freed:
    """Remove what is left over."""
    backend = open_local(home, create=False)
    try:
        store = backend.need("retention")
        found = store.holdings(idle_s=idle_s).leftovers
        going = [Going(part=Part.LEFTOVER, target=each.path) for each in found]
        return store.remove(going, Mutation("ann@box"), idle_s=idle_s)
    finally:
        backend.close()
