"""What a chart of a monitor shows: any measure by window, under the key that rules know it by. Plain Python."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from backends.contract import Invalid
from backends.entities import Estimate, Millis, Record
from console.monitoring.alarms.measures import check_key, expanded, unit_of, value_of
from console.monitoring.read import MonitorView

QUALITY, DRIFT, BIAS = "quality", "drift", "bias"
PERFORMANCE = "performance"
"""The primary metric, as rules call it."""
CHARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    QUALITY: ("", (PERFORMANCE,)),
    DRIFT: ("share of features that drift", ("drift.share",)),
    BIAS: ("bias by group", ("bias.*",)),
    "rate": ("requests a second", ("service.rate",)),
    "latency": ("latency, ms", ("service.p50", "service.p95", "service.p99")),
    "errors": ("share of requests that fail", ("service.errors",)),
    "cpu": ("processors in use", ("service.cpu",)),
    "memory": ("memory, bytes", ("service.memory",)),
}
"""Chart → its title, and the keys of its lines."""
MOST_LINES = 12


class Course(Record, frozen=True, kw_only=True):
    """A measure by window, oldest first."""

    key: str
    unit: str = ""
    """Empty for shares, distances and metrics."""
    points: tuple[tuple[Millis, Estimate | None], ...] = ()
    """Start of the window, and what was measured; None is a gap."""

    @property
    def known(self) -> bool:
        return any(found is not None for _, found in self.points)


def keys_of_chart(view: MonitorView, wanted: str) -> tuple[str, ...]:
    """The keys behind a chart's name, or keys with blanks or commas between; one with `*` is all that it means. Raises
    Invalid naming what is neither, with what is near."""
    found: list[str] = []
    for word in CHARTS[wanted][1] if wanted in CHARTS else wanted.replace(",", " ").split():
        if word == PERFORMANCE:
            found += [view.metric] if view.metric else []
            if any(view.metric in window.estimated for window in view.windows):
                found.append(f"estimated.{view.metric}")
        elif word in CHARTS:
            found += keys_of_chart(view, word)
        else:
            found += _meant(view, word)
    kept = tuple(dict.fromkeys(found))
    if len(kept) > MOST_LINES:
        raise Invalid(f"{wanted} means {len(kept)} measures, and {MOST_LINES} have room in a chart; name some", "key")
    return kept


def _meant(view: MonitorView, key: str) -> Iterator[str]:
    try:
        check_key(key)
    except Invalid as error:
        near = difflib.get_close_matches(key, CHARTS, 1, 0.7)
        hint = f"did you mean {near[0]}? Charts" if near else "charts"
        raise Invalid(f"{error}; {hint} are {', '.join(CHARTS)}", "key") from None
    if "*" not in key:
        yield key
    elif view.windows:
        yield from dict.fromkeys(each for window in view.windows for each in expanded(window, key))


def courses_of(view: MonitorView, keys: tuple[str, ...]) -> tuple[Course, ...]:
    """Each key over the windows of the view; those of the service over its own."""
    return tuple(
        Course(
            key=key,
            unit=unit_of(key),
            points=tuple(
                (each.start, value_of(each, key))
                for each in (view.services if key.startswith("service.") else view.windows)
            ),
        )
        for key in keys
    )


def charts_of(view: MonitorView) -> tuple[str, ...]:
    """The charts that there is something for."""
    found = [QUALITY, DRIFT]
    if any(window.bias for window in view.windows):
        found.append(BIAS)
    for name, (_, keys) in CHARTS.items():
        known = (value_of(each, key) is not None for key in keys for each in view.services)
        if keys[0].startswith("service.") and any(known):
            found.append(name)
    return tuple(found)
