"""When the same question is asked a server once more."""

from __future__ import annotations

from enum import Enum
from typing import Final

from backends.contract import Unreachable
from backends.remote.doubt import Broken, Crowded, NotDone, TurnedAway


class Again(Enum):
    """After which failures the same is asked once more."""

    NEVER = 0
    UNSENT = 1
    BROKEN = 2
    FAILED = 3


class Slow(Unreachable):
    """It took longer than we wait. Asked again, it would only be asked twice."""


NOT_WORTH: Final = TurnedAway | Crowded | Slow
"""Failures that asking the same once more at once does not mend: whoever waited would wait as long again."""
_SHORT_S: Final = 2.0
"""So short a pause is waited out by whoever asks for a change; a longer one is told."""


def pause_before(failed: Unreachable, again: Again, left: float) -> float | None:
    """Seconds until it makes sense to ask the same once more; None where it makes none. left: seconds until the server
    is tried at all."""
    worth = {
        Again.NEVER: False,
        Again.BROKEN: isinstance(failed, Broken),
        Again.UNSENT: isinstance(failed, NotDone) and not isinstance(failed, NOT_WORTH),
        Again.FAILED: not isinstance(failed, NOT_WORTH),
    }[again]
    return min(0.5, left) if worth and left <= _SHORT_S else None
