"""How far a long work is, told to whoever wants to hear it."""

from __future__ import annotations

import time
from collections.abc import Callable

from backends.entities import Progress

Told = Callable[[Progress], object] | None
"""Who is told; None where nobody listens."""


def tell(told: Told, fraction: float, stage: str) -> None:
    """`fraction` of the whole is done, 0 to 1; `stage` names what is under way."""
    if told is not None:
        told(Progress(at=int(time.time() * 1000), fraction=fraction, stage=stage))
