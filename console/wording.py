"""Numbers, times and sizes as people say them. One spelling for the screen and the command line."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

from backends.entities import Millis

THIN_SPACE = "\u2009"
NOTHING = "–"

RECENT_DAYS = 60
"""Up to this age a distance in time says more than a date."""


class Shared(Protocol):
    """What has a share of the traffic."""

    @property
    def share(self) -> float: ...

    @property
    def shadow(self) -> bool: ...


def duration(seconds: float) -> str:
    """`41 s`, `3 m`, `2 h`, `6 d`: the largest unit that fits, whole."""
    if seconds < 0:
        return "0 s"
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        # From two of a unit on, so that 90 s is not rounded to one minute.
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def age(at: Millis | None, now: Millis | None = None) -> str:
    """How long ago, `now` within the last second, or `–` for never."""
    if at is None:
        return NOTHING
    reference = int(time.time() * 1000) if now is None else now
    return duration((reference - at) / 1000) if reference - at >= 1000 else "now"


def ago(at: Millis | None, now: Millis | None = None) -> str:
    """An age within a sentence: `3 m ago`, `now`, `–`."""
    said = age(at, now)
    return said if said in (NOTHING, "now") else f"{said} ago"


def since(at: Millis | None, now: Millis | None = None) -> str:
    """How long ago where that says something, else the day: `3 h`, `2013-04-12`, `–`."""
    if at is None:
        return NOTHING
    reference = int(time.time() * 1000) if now is None else now
    return age(at, reference) if reference - at < RECENT_DAYS * 86_400_000 else local_time(at)[:10]


def clock(seconds: float) -> str:
    """A remaining time: `0:41`, `12:05`, `1:02:03`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def local_time(at: Millis | None) -> str:
    """Local date and time to the second, or `–`."""
    if at is None:
        return NOTHING
    return datetime.fromtimestamp(at / 1000, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def thousands(value: int) -> str:
    """`1 204 311`, thin-spaced."""
    return f"{value:,}".replace(",", THIN_SPACE)


def number(value: float | None, digits: int = 4) -> str:
    """A measurement to `digits` significant digits, or whole where it has more before the point; `–` where there is
    none."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value)) if abs(value) < 1e4 else thousands(int(value))
    if 10**digits <= abs(value) < 1e15:
        return thousands(round(value))  # never 1.362e+04
    return f"{value:.{digits}g}"


def size(count: int | None) -> str:
    """Bytes as `812 B`, `4.2 kB`, `1.1 GB` (powers of ten)."""
    if count is None:
        return NOTHING
    if count < 1000:
        return f"{count} B"
    scaled = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        scaled /= 1000
        if scaled < 999.5:
            return f"{scaled:.1f} {unit}" if scaled < 10 else f"{scaled:.0f} {unit}"
    return f"{scaled / 1000:.1f} PB"


def bar(fraction: float, cells: int = 20) -> str:
    """`▕████████░░░░▏`: how far, without a unit."""
    full = round(max(0.0, min(1.0, fraction)) * cells)
    return "▕" + "█" * full + "░" * (cells - full) + "▏"


def in_weight(aliases: Iterable[str]) -> list[str]:
    """The champion first, then the others by name: where there is room for one, it is that."""
    return sorted(aliases, key=lambda alias: (alias != "champion", alias))


def by_whom(when: str, who: str) -> str:
    """`3 d ago by ann@box`; the time alone where nobody is recorded."""
    return f"{when} by {who}" if who else when


def plural(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{thousands(count)} {noun}" if count == 1 else f"{thousands(count)} {noun}s"


def figure(value: float | None) -> str:
    """Three digits: milliseconds, a rate; `–` where nothing was measured."""
    return NOTHING if value is None else number(value, 3)


def percent(value: float | None) -> str:
    """A share as `1.3 %`; `–` where nothing was measured."""
    return NOTHING if value is None else f"{value * 100:.1f} %"


def traffic(target: Shared) -> str:
    """The share that a target of a deployment has: `90 %`, or `shadow`."""
    return "shadow" if target.shadow else f"{target.share * 100:g} %"
