"""When a series changed: ADWIN over error, score, latency or errors of a service, window by window. Plain Python.

It keeps the newest stretch whose mean is one mean, in buckets that double in size, and lets the older part go as soon
as two neighbouring parts differ by more than chance allows at `delta`.
Source: Bifet & Gavaldà, "Learning from time-changing data with adaptive windowing", SIAM SDM (2007): the cut of
theorem 3.2 with the variance of the stretch, and exponential buckets (ADWIN2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from backends.entities import Millis, ServiceWindow, Window
from console.monitoring.quality.performance import LARGER_IS_BETTER

DELTA = 0.002
"""Chance at most that a cut is made at a step without change, as the paper bounds it."""
BUCKETS = 5
"""Of each size before two become one."""
LEAST = 3
"""Values on either side of a cut."""


class Change(NamedTuple):
    """A series that moved."""

    metric: str
    at: Millis
    """Start of the first window of the new stretch, as near as buckets tell."""
    before: float
    after: float


class Adwin:
    """One stream of values, each in [low, high]: the stretch since the last change."""

    def __init__(self, delta: float = DELTA, *, low: float = 0.0, high: float = 1.0) -> None:
        self.delta = delta
        self.low = low
        self.span = (high - low) or 1.0
        self.buckets: list[tuple[int, float, float]] = []
        """Oldest first: values, their mean, sum of squares about it; on the scale from 0 to 1."""

    @property
    def width(self) -> int:
        """Values in the stretch."""
        return sum(bucket[0] for bucket in self.buckets)

    @property
    def mean(self) -> float:
        """Of the stretch; 0 before the first value."""
        return self.low + self.span * _joined(self.buckets)[1] if self.buckets else 0.0

    def update(self, value: float) -> tuple[int, float, float] | None:
        """Take the next value. Where it shows a change: values since then, and the means before and since."""
        self.buckets.append((1, (value - self.low) / self.span, 0.0))
        self._compress()
        found = None
        while (cut := self._cut()) is not None:
            old, new = _joined(self.buckets[:cut]), _joined(self.buckets[cut:])
            # Of several cuts the first one's past is what was there before.
            before = found[1] if found else self.low + self.span * old[1]
            found = (new[0], before, self.low + self.span * new[1])
            del self.buckets[:cut]
        return found

    def _cut(self) -> int | None:
        """The cut whose parts differ most surely, if any do by more than chance allows."""
        n, mean, squares = _joined(self.buckets)
        if n < 2 * LEAST:
            return None
        variance, log = squares / n, math.log(2 * math.log(n) / self.delta)
        best, surest = None, 1.0
        # One pass: the older part grows by a bucket, the newer one is what is left of the whole.
        old, total = 0, 0.0
        for cut in range(1, len(self.buckets)):
            rows, own, _ = self.buckets[cut - 1]
            old, total = old + rows, total + rows * own
            new = n - old
            if old < LEAST or new < LEAST:
                continue
            inverse = 1 / old + 1 / new
            bound = math.sqrt(2 * inverse * variance * log) + 2 / 3 * inverse * log
            apart = abs(total / old - (n * mean - total) / new)
            if apart / bound > surest:
                best, surest = cut, apart / bound
        return best

    def _compress(self) -> None:
        """At most `BUCKETS` of a size: of more, the two oldest become one of twice the size."""
        size, stop = 1, len(self.buckets)
        while True:
            # Sizes fall from the oldest to the newest: those of a size stand together.
            first = stop
            while first and self.buckets[first - 1][0] == size:
                first -= 1
            if stop - first <= BUCKETS:
                return
            self.buckets[first : first + 2] = [_joined(self.buckets[first : first + 2])]
            size, stop = 2 * size, first + 1


def changes(windows: Sequence[Window], *, delta: float = DELTA) -> list[Change]:
    """When the metrics of these windows changed, oldest first: each performance metric, and `prediction.psi`.

    windows: of one version, oldest first. A metric is scaled by the range that it has had: means of windows stay far
    from the ends that a single row may reach.
    """
    names = sorted({name for window in windows for name in window.performance if name in LARGER_IS_BETTER})
    found: list[Change] = []
    for name in names:
        series = [(window.start, window.performance[name].value) for window in windows if name in window.performance]
        found += changed(name, series, delta=delta)
    moved = [
        (window.start, window.prediction.psi)
        for window in windows
        if window.prediction is not None and window.prediction.psi is not None
    ]
    return sorted(
        [*found, *changed("prediction.psi", moved, delta=delta)], key=lambda change: (change.at, change.metric)
    )


FEWEST_ANSWERS = 10
"""Of a service window, without which its times and errors say nothing of the service."""
SERIES = ("p50", "p95", "errors")


def service_changes(services: Sequence[ServiceWindow], *, delta: float = DELTA) -> list[Change]:
    """When a service's typical and slow answers (`service.p50`, `service.p95`, in ms) and its share of errors
    (`service.errors`) changed, oldest first.

    services: oldest first. Times are looked at by their logarithm, and a few stalls as if they had been no longer than
    the rest, so that they do not make every other difference look small; a window with few answers is left out.
    """
    found: list[Change] = []
    for name in SERIES:
        series = []
        for window in services:
            value = window.error_share if name == "errors" else window.quantile(int(name[1:]) / 100)
            if value is None or (window.requests is not None and window.requests < FEWEST_ANSWERS):
                continue
            series.append((window.start, value if name == "errors" else math.log(max(value, 1e-6))))
        for change in changed(f"service.{name}", _trimmed(series), delta=delta):
            ends = (change.before, change.after)
            before, after = ends if name == "errors" else (math.exp(end) * 1000 for end in ends)
            found.append(change._replace(before=before, after=after))
    return sorted(found, key=lambda change: (change.at, change.metric))


def _trimmed(series: Sequence[tuple[Millis, float]]) -> list[tuple[Millis, float]]:
    """With the fiftieth part at either end brought to the nearest of the others."""
    ordered = sorted(value for _, value in series)
    spare = len(ordered) // 50
    if not spare:
        return list(series)
    low, high = ordered[spare], ordered[-1 - spare]
    return [(at, min(high, max(low, value))) for at, value in series]


def changed(metric: str, series: Sequence[tuple[Millis, float]], *, delta: float = DELTA) -> list[Change]:
    """The changes of one series of (start, value), oldest first."""
    values = [value for _, value in series]
    if not values:
        return []
    adwin = Adwin(delta, low=min(values), high=max(values))
    found = []
    for at, value in enumerate(values):
        change = adwin.update(value)
        if change is not None:
            since, before, after = change
            found.append(Change(metric=metric, at=series[at + 1 - since][0], before=before, after=after))
    return found


def _joined(buckets: Sequence[tuple[int, float, float]]) -> tuple[int, float, float]:
    """Several buckets as one, by the means (Chan, Golub & LeVeque 1983): nothing is lost in large sums."""
    n, mean, squares = buckets[0]
    for rows, other, about in buckets[1:]:
        apart, whole = other - mean, n + rows
        squares += about + apart * apart * n * rows / whole
        mean += apart * rows / whole
        n = whole
    return n, mean, squares
