"""What one column of a good version lets itself be held to. Bounds have room for chance and for the next file.

A proposal must pass on a random half of the same rows with near certainty: shares get five standard errors of a
binomial, quantiles the ranks five standard errors off, means six.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from typing import Any

from backends.entities import Record
from console.data.checks.batch import numbers
from console.data.checks.source import Source

FEW_VALUES = 64
FEW_NUMBERS = 12
SOME_VALUES = 2_000
Z = 5.0
QUANTILES = (0.25, 0.5, 0.75)
ROOM = 0.1
"""Of a standard deviation or interquartile range: what the next good file may move by."""
TEXTS = 20_000
"""Different texts that a pattern is read from."""


class Proposal(Record, frozen=True, kw_only=True):
    """Keys of the short form for one column, and checks that need the long one. `comment` says what was seen."""

    short: dict[str, Any]
    checks: tuple[dict[str, Any], ...] = ()
    comment: str = ""


def propose(source: Source, name: str) -> Proposal:
    """For one column, which is read whole."""
    column = source.column(name)
    kind = source.kind(name)
    array = source.whole(name)
    n = len(array)
    short: dict[str, Any] = {"type": str(column.type) if column else "other"}
    missing = n - len(present(array))
    if missing < n:
        short["missing"] = share_allowed(missing, n)
    comment = f"{missing} of {n} missing" if missing else ""
    checks: list[dict[str, Any]] = []
    if missing < n:
        if kind == "number" and short["type"] != "bool":
            checks += _of_numbers(array, name, short)
        elif kind == "time":
            checks += _of_times(source, array, name)
        elif kind == "text":
            checks += _of_texts(source, array, name, short)
    return Proposal(short=short, checks=tuple(checks), comment=comment)


def present(array: Any) -> Any:
    """The values that are there, NaN not among them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    there = array.drop_null()
    return there.filter(pc.invert(pc.is_nan(there))) if pa.types.is_floating(there.type) else there


def share_allowed(count: int, n: int) -> float:
    """A share to allow where this one was seen: none where there was none."""
    if not count or not n:
        return 0.0
    p = count / n
    half = max(n / 2, 1)
    return min(1.0, outward(2 * p + Z * math.sqrt(p * (1 - p) / half) + 1 / half, up=True, digits=2))


def outward(value: float, *, up: bool, digits: int = 3) -> float:
    """Rounded to so many digits, away from what lies inside."""
    if not value or not math.isfinite(value):
        return value
    scale = 10.0 ** (digits - 1 - math.floor(math.log10(abs(value))))
    rounded = (math.ceil if up else math.floor)(value * scale) / scale
    return float(f"{rounded:.12g}")


# ---------------------------------------------------------------- numbers


def _of_numbers(array: Any, name: str, short: dict[str, Any]) -> list[dict[str, Any]]:
    import numpy as np

    values = numbers(present(array))
    whole = values.dtype.kind == "i"
    finite = values if whole else values[np.isfinite(values)]
    n = len(finite)
    if n < 20:
        return []
    distinct, counts = np.unique(finite, return_counts=True)
    if whole and len(distinct) == n == len(array):
        short["unique"] = True
        return []  # an id: where it lies and how it is spread means nothing
    if len(distinct) < 2:
        return []
    if whole and len(distinct) <= FEW_NUMBERS and counts.min() >= 20:
        short["values"] = distinct.tolist()
    else:
        short["min"], short["max"] = bounds(finite, whole)
    floats = finite.astype(np.float64)
    return [] if follows_order(floats) else bands(floats, name)


def bounds(values: Any, whole: bool) -> tuple[float, float]:
    """The span with a tenth of its middle 98 % more at each end; the sign of all is kept."""
    import numpy as np

    low, high = float(values.min()), float(values.max())
    first, last = np.quantile(values, (0.01, 0.99)).tolist()
    room = ROOM * ((last - first) or (high - low))
    least, most = low - room, high + room
    if low >= 0:
        least = max(0.0, least)
    if high <= 0:
        most = min(0.0, most)
    least, most = min(low, outward(least, up=False)), max(high, outward(most, up=True))
    return (math.floor(least), math.ceil(most)) if whole else (least, most)


def follows_order(values: Any) -> bool:
    """Whether it runs along with the rows, as a counter or a day does: the next file will hold other values."""
    import numpy as np

    spread = values.std()
    if not spread or len(values) < 3:
        return False
    order = np.arange(len(values), dtype=np.float64)
    joint = ((values - values.mean()) * (order - order.mean())).mean()
    return bool(abs(joint / (spread * order.std())) > 0.9)


def bands(values: Any, name: str) -> list[dict[str, Any]]:
    """Where the mean and the quartiles may lie."""
    import numpy as np

    half = len(values) / 2
    mean, spread = float(values.mean()), float(values.std())
    room = ROOM * spread + 6 * spread / math.sqrt(half)
    found: list[dict[str, Any]] = [
        {"kind": "mean", "column": name, "min": outward(mean - room, up=False), "max": outward(mean + room, up=True)}
    ]
    ordered = np.sort(values)
    first, third = np.quantile(ordered, (0.25, 0.75)).tolist()
    slack = ROOM * (third - first)
    for q in QUANTILES:
        reach = Z * math.sqrt(q * (1 - q) / half)
        low = float(ordered[max(0, math.floor((q - reach) * (len(ordered) - 1)))])
        high = float(ordered[min(len(ordered) - 1, math.ceil((q + reach) * (len(ordered) - 1)))])
        least, most = outward(low - slack, up=False), outward(high + slack, up=True)
        found.append({"kind": "quantile", "column": name, "q": q, "min": least, "max": most})
    return [{**each, "severity": "warn"} for each in found]


# ---------------------------------------------------------------- times


def _of_times(source: Source, array: Any, name: str) -> list[dict[str, Any]]:
    values = numbers(present(array))
    newest, oldest = int(values.max()), int(values.min())
    age_days = source.version.created_at / 86_400_000 - newest / 86_400_000_000
    if 0 <= age_days <= 60:
        return [{"kind": "freshness", "column": name, "within": f"{max(2, math.ceil(2 * age_days + 1))}d"}]
    room = max(86_400_000_000, (newest - oldest) // 50)
    floor = datetime.datetime.fromtimestamp((newest - room) / 1_000_000, datetime.UTC).replace(
        tzinfo=None, microsecond=0
    )
    return [{"kind": "freshness", "column": name, "not_before": floor}]


# ---------------------------------------------------------------- texts


def _of_texts(source: Source, array: Any, name: str, short: dict[str, Any]) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    there = present(array)
    distinct = pc.unique(there)
    n, different = len(there), len(distinct)
    if different == n == len(array) and n >= 100:
        short["unique"] = True
    if 1 <= different <= FEW_VALUES and different * 20 <= n:
        short["values"] = sorted(distinct.to_pylist())
        return []
    words = distinct[:TEXTS].to_pylist()
    pattern = pattern_of(words)
    if pattern and different <= TEXTS:
        short["pattern"] = pattern
    else:
        longest = pc.max(pc.utf8_length(distinct)).as_py()
        short["length"] = [0 if pc.min(pc.utf8_length(distinct)).as_py() == 0 else 1, max(longest * 2, longest + 20)]
    if different <= SOME_VALUES and different * 20 <= n:
        against = source.version.ref
        return [{"kind": "new_category", "column": name, "against": against, "share": 0.01, "severity": "warn"}]
    return []


_CLASSES = (("[0-9]", "0123456789"), ("[A-Z]", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), ("[a-z]", "abcdefghijklmnopqrstuvwxyz"))
_LITERAL = frozenset("-_./:@+#")
MOST_PARTS = 12


def pattern_of(words: Sequence[str]) -> str:
    """A pattern that all match where they share a form, such as `[A-Z][0-9]{3,5}`; else of one set of characters;
    empty where they look like free text."""
    if not words:
        return ""
    forms = {tuple(part for part, _ in _runs(word)) for word in words}
    runs = [_runs(word) for word in words]
    if any(part == "" for form in forms for part in form) or any(not word for word in words):
        return ""
    if len(forms) == 1 and len(runs[0]) <= MOST_PARTS:
        parts = []
        for place, (part, _) in enumerate(runs[0]):
            lengths = [run[place][1] for run in runs]
            parts.append(part + _times(min(lengths), max(lengths)))
        return "".join(parts)
    used = sorted({part for form in forms for part in form})
    lengths = [len(word) for word in words]
    if max(lengths) > 40:
        return ""
    inside = "".join(part[1:-1] if part.startswith("[") else re.escape(part.replace("\\", "")) for part in used)
    return f"[{inside}]" + _times(min(lengths), max(lengths))


def _runs(word: str) -> list[tuple[str, int]]:
    """`AB-12` → [A-Z] 2, - 1, [0-9] 2. A character of no class is the empty one."""
    found: list[tuple[str, int]] = []
    for letter in word:
        part = next((name for name, letters in _CLASSES if letter in letters), None)
        if part is None:
            part = re.escape(letter) if letter in _LITERAL else ""
        if found and found[-1][0] == part:
            found[-1] = (part, found[-1][1] + 1)
        else:
            found.append((part, 1))
    return found


def _times(least: int, most: int) -> str:
    if least == most:
        return "" if least == 1 else f"{{{least}}}"
    return f"{{{least},{most}}}"
