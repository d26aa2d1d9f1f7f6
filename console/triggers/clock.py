"""The time by which triggers go: this machine's, or another one for trying a schedule out.

`MLOPS_CONSOLE_CLOCK=2027-01-01T02:59:30+01:00` in the environment of an agent lets its triggers believe that it started
then; time passes as usual from there. Runs and limits of their cost go by the real clock.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Final

from backends.contract import Invalid
from backends.entities import Millis

CLOCK: Final = "MLOPS_CONSOLE_CLOCK"


def real_now() -> Millis:
    return time.time_ns() // 1_000_000


class Clock:
    """Tells the time in ms, ahead of the real one by what the environment says when it is made."""

    def __init__(self, said: str | None = None) -> None:
        text = os.environ.get(CLOCK, "") if said is None else said
        self.ahead: Millis = 0
        if text:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                raise Invalid(f"{CLOCK}={text}: wanted a time such as 2027-01-01T03:00+01:00.", CLOCK) from None
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            self.ahead = int(moment.timestamp() * 1000) - real_now()

    def __call__(self) -> Millis:
        return real_now() + self.ahead
