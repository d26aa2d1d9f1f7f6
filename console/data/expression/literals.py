"""What is written out in an expression: numbers, times, regular expressions."""

from __future__ import annotations

import datetime
import math


def number_of(text: str) -> int | float | None:
    """None where it is too large."""
    if text.isdigit():
        value = int(text) if len(text) <= 19 else 2**63
        return value if value < 2**63 else None
    real = float(text)
    return None if math.isinf(real) else real


def moment_of(text: str) -> datetime.datetime | None:
    """ISO 8601; with a zone it becomes UTC, without one it is taken as it is. None where it is no time."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment


def regex_trouble(pattern: str) -> str:
    """What Arrow's RE2 has against a pattern, or nothing."""
    import pyarrow as pa  # 0.1 s: only where somebody writes a regular expression
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), pattern=pattern)
    except (pa.ArrowException, ValueError) as error:
        return str(error).split(": ", 1)[-1][:120]
    return ""
