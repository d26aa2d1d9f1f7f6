"""What an answer's `data` says, checked: series with their samples, numbers out of text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from backends.contract import BackendError
from backends.entities import Millis, Record


class Series(Record, frozen=True):
    """Labels, and samples by time in ms; without those that are no number."""

    labels: dict[str, str]
    samples: dict[Millis, float]


def series_of(data: Any) -> tuple[Series, ...]:
    """Of a vector, a matrix or a scalar."""
    if not isinstance(data, dict) or data.get("resultType") not in ("vector", "matrix", "scalar"):
        raise _odd("a vector or a matrix")
    kind, result = data["resultType"], data.get("result")
    if kind == "scalar":
        return (Series({}, dict(_samples([result]))),)
    if not isinstance(result, list):
        raise _odd("a list of series")
    found = []
    for each in result:
        if not isinstance(each, dict) or not isinstance(each.get("metric"), dict):
            raise _odd("a series with labels")
        pairs = each.get("values", []) if kind == "matrix" else [each.get("value")]
        labels = {str(key): str(value) for key, value in each["metric"].items()}
        found.append(Series(labels, dict(_samples(pairs))))
    return tuple(found)


def _samples(pairs: Any) -> Iterator[tuple[Millis, float]]:
    """`[1700000000.5, "NaN"]` is no sample: it is neither zero nor a number."""
    if not isinstance(pairs, list):
        raise _odd("samples")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise _odd("a time and a value")
        at, value = number(pair[0]), number(pair[1])
        if at is not None and value is not None:
            yield round(at * 1000), value


def number(said: Any) -> float | None:
    """A finite number, or None."""
    try:
        found = float(said)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def edge(said: str) -> float | None:
    """A bucket's upper edge; `+Inf` is one."""
    try:
        found = float(said)
    except ValueError:
        return None
    return None if math.isnan(found) else found


def moment(said: Any) -> Millis | None:
    """`2026-11-28T07:47:41.123456789Z` in ms; None for what is no time, or Go's year 1 for never."""
    if not isinstance(said, str):
        return None
    head, dot, rest = said.partition(".")
    if dot:  # nanoseconds are more than Python reads
        digits = "".join(letter for letter in rest if letter.isdigit())[:6]
        zone = rest.lstrip("0123456789")
        said = f"{head}.{digits or '0'}{zone}"
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        return None
    return int(found.timestamp() * 1000) if found.year > 1 and found.tzinfo is not None else None


def _odd(wanted: str) -> BackendError:
    return BackendError(f"the metrics store's answer has no {wanted} where its API has one; see the address")
