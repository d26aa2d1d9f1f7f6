"""How a service answered over a stretch of time: rate, errors, latency, processor and memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from backends.entities.record import Millis, Record

TIME_EDGES: Final = tuple(
    round(each * 10.0**power, 7) for power in range(-4, 2) for each in (1.0, 1.3, 1.7, 2.2, 2.8, 3.6, 4.6, 6.0, 7.7)
)
"""Upper edges in seconds, 0.1 ms to 77 s, nine to a decade: a quantile is told within a quarter of itself. One more
cell holds what took longer."""


class ServiceWindow(Record, frozen=True, kw_only=True):
    """What was seen of a service between two times. A quantity that nobody could tell is None, never zero; a stretch
    in which nothing could be told has no window at all."""

    source: str
    """A deployment's name, or `monitor:NAME` where a metric source feeds a monitor."""
    start: Millis
    end: Millis
    observed: float | None = None
    """Seconds of it that were looked at; None where that is all of it."""
    requests: int | None = None
    errors: int | None = None
    """Of the requests: answered with a status of 400 or more."""
    times: tuple[int, ...] = ()
    """Answers by time, shape (len(TIME_EDGES) + 1,); they add up. Empty where only quantiles are known."""
    quantiles: dict[str, float] = {}
    """`p50`, `p95`, `p99` in seconds as a metric source told them, where there are no `times`."""
    cpu: float | None = None
    """Processors in use, on average."""
    memory_bytes: int | None = None
    """The most that was seen."""
    versions: dict[str, int] = {}
    """Requests by the version that answered; `-` is what was answered by none."""

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1000 if self.observed is None else self.observed

    @property
    def rate(self) -> float | None:
        """Requests a second."""
        return self.requests / self.seconds if self.requests is not None and self.seconds > 0 else None

    @property
    def error_share(self) -> float | None:
        """0 to 1; None without requests."""
        return self.errors / self.requests if self.errors is not None and self.requests else None

    @property
    def p50(self) -> float | None:
        return self.quantile(0.50)

    @property
    def p95(self) -> float | None:
        return self.quantile(0.95)

    @property
    def p99(self) -> float | None:
        return self.quantile(0.99)

    def quantile(self, share: float) -> float | None:
        """The time in seconds within which this share of the answers were given; None where nobody can tell."""
        if self.times:
            return quantile_of(self.times, share)
        return self.quantiles.get(f"p{share * 100:g}")


def quantile_of(times: Sequence[int], share: float) -> float | None:
    """As `ServiceWindow.quantile`, linear within its cell; None for no answers. times: shape (len(TIME_EDGES) + 1,)."""
    total = sum(times)
    if not total:
        return None
    wanted, before = share * total, 0
    for at, count in enumerate(times):
        if count and before + count >= wanted:
            low = TIME_EDGES[at - 1] if at else 0.0
            high = TIME_EDGES[min(at, len(TIME_EDGES) - 1)]
            return low + (high - low) * (wanted - before) / count
        before += count
    return TIME_EDGES[-1]


def merge_services(parts: Sequence[ServiceWindow], *, start: Millis, end: Millis) -> ServiceWindow | None:
    """The windows of one source that lie between two times as one; None of none.

    Counts and times add up, the processor is averaged over the time, memory is the most. Told quantiles do not add up:
    that of the whole is at most the largest of the parts, which is what is kept. Gaps stay out of the rate.
    """
    if not parts:
        return None
    observed = math.fsum(part.seconds for part in parts)
    used = [(part.cpu, part.seconds) for part in parts if part.cpu is not None and part.seconds > 0]
    versions: dict[str, int] = {}
    for part in parts:
        for version, count in part.versions.items():
            versions[version] = versions.get(version, 0) + count
    counted = [part for part in parts if part.times]
    # One part without cells: the cells of the others are not those of all its answers.
    whole = len(counted) == len([part for part in parts if part.times or part.requests or part.quantiles])
    told = {
        key: max(found)
        for key, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        if (found := [value for part in parts if (value := part.quantile(share)) is not None])
    }
    return ServiceWindow(
        source=parts[0].source,
        start=start,
        end=end,
        observed=None if abs(observed - (end - start) / 1000) < 1e-6 else observed,
        requests=_sum([part.requests for part in parts]),
        errors=_sum([part.errors for part in parts]),
        times=tuple(map(sum, zip(*(part.times for part in counted), strict=True))) if counted and whole else (),
        quantiles={} if counted and whole else told,
        cpu=math.fsum(cpu * seconds for cpu, seconds in used) / math.fsum(seconds for _, seconds in used)
        if used
        else None,
        memory_bytes=max((part.memory_bytes for part in parts if part.memory_bytes is not None), default=None),
        versions=versions,
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
