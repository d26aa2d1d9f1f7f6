"""Points in time as people type them."""

from __future__ import annotations

import re
import time
from datetime import datetime

from backends.contract import Invalid
from backends.entities import Millis

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def moment(text: str) -> Millis:
    """`2013-04-12T14:00` (local; with Z or an offset as it says), `7d` (ago), or milliseconds since the epoch."""
    words = text.strip()
    if found := _AGE.fullmatch(words):
        return int((time.time() - float(found[1]) * _SECONDS[found[2]]) * 1000)
    if words.isdigit() and len(words) > 8:
        return int(words)
    try:
        # A time without a zone is the local one: that is what `astimezone` takes it for.
        return int(datetime.fromisoformat(words).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise Invalid(
            f"{text}: not a time; write 2013-04-12, 2013-04-12T14:00Z or an age such as 7d", "time"
        ) from error
