"""What a context says that its workspace gives to its runs."""

from __future__ import annotations

import msgspec


class CapacityTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a workspace gives to its runs; what is left out is the machine's."""

    runs: int = 0
    """How many at once."""
    cpu: float = 0.0
    memory: str | int = 0
    """`32 GB`."""
    gpu: int | None = None
