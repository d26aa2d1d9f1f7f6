"""Times as people write them."""

from __future__ import annotations

import re
from typing import Final

from backends.contract import Invalid
from backends.entities import Millis

_UNITS: Final = {"h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 365 * 86_400_000}


def time_span(text: str, field: str) -> Millis:
    """`30 d`, `12h`, `2 w`, `3 y` (of 365 days) in milliseconds."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([hdwy])\s*", text)
    if found is None:
        raise Invalid(f"{field} = {text[:60]!r}: a time such as 30 d, 12 h, 2 w or 3 y is wanted", field)
    return round(float(found[1]) * _UNITS[found[2]])


def span_words(span: Millis) -> str:
    """The largest unit that it is whole in, in as few as can be: `2 d`, `36 h`, `3 y`."""
    for unit in ("y", "w", "d"):
        if span % _UNITS[unit] == 0 and (unit != "w" or span % _UNITS["y"] == 0):
            return f"{span // _UNITS[unit]} {unit}"
    return f"{span / _UNITS['h']:g} h"
