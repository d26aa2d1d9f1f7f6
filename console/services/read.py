"""What a metrics store says of services at this moment, and why it says nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backends.contract import BackendError, MetricSource, Unauthorized, Unreachable
from backends.entities import Asked, Exemplar, Millis, Record, Scrape, Service, ServiceWindow
from console.services.source import Known
from console.wording import plural

BACK = 3
"""Windows back in which the newest figures are looked for: the last one may not be complete everywhere."""
NAMED = 6
"""Names of series that a sentence holds."""


class Standing(Record, frozen=True, kw_only=True):
    """A service as it is now."""

    known: Known
    newest: ServiceWindow | None = None
    trouble: str = ""
    """Why nothing is known of it, in words."""


class Course(Record, frozen=True, kw_only=True):
    """A service over a stretch of time."""

    known: Known
    length: Millis
    windows: tuple[ServiceWindow, ...] = ()
    """Oldest first; of what nothing is known there is none."""
    failures: tuple[Exemplar, ...] = ()
    scrapes: tuple[Scrape, ...] = ()
    trouble: str = ""


def standing(source: MetricSource, known: Known, now: Millis | None = None) -> Standing:
    """Its newest figures. Raises Unreachable and Unauthorized; a wrong query is `trouble`."""
    try:
        length = source.length(known.service)
        until = _whole(_now() if now is None else now, length)
        found = source.windows(known.service, since=until - BACK * length, until=until, length=length)
    except (Unreachable, Unauthorized):
        raise
    except BackendError as error:
        return Standing(known=known, trouble=str(error))
    if not found:
        return Standing(known=known, trouble=why_nothing(source, known.service))
    return Standing(known=known, newest=found[-1])


def course(
    source: MetricSource, known: Known, *, since: Millis, until: Millis | None = None, length: Millis = 0
) -> Course:
    """Its windows from `since` on, and what stands beside them. length: 0 for the shortest that its samples allow."""
    shortest = source.length(known.service)
    length = max(length, shortest)
    end = _whole(_now() if until is None else until, length)
    windows = source.windows(known.service, since=_whole(since, length), until=end, length=length)
    return Course(
        known=known,
        length=length,
        windows=windows,
        failures=source.failures(known.service, since=since, until=end),
        scrapes=source.scrapes(known.service),
        trouble="" if windows else why_nothing(source, known.service),
    )


def why_nothing(source: MetricSource, service: Service) -> str:
    """One sentence: what was looked for, what is there instead, what to do."""
    asked = source.examine(service)
    wrong = [each for each in asked if each.trouble and not each.series]
    if wrong:
        return wrong[0].trouble
    scrapes = source.scrapes(service)
    down = [each for each in scrapes if not each.up]
    if down:
        return (
            f"{len(down)} of its {plural(len(scrapes), 'target')} cannot be scraped: {down[0].place}: "
            f"{down[0].trouble or 'down'}"
        )
    if any(each.series for each in asked):
        return "no data yet for a whole window; two samples are needed"
    names = source.names(service)
    labels = ", ".join(f"{name} = {value}" for name, value in service.labels.items())
    if not names:
        return f"no data: no series of the last ten minutes has the labels {labels}; see that it is scraped, and labels"
    shown = ", ".join(_telling(names)[:NAMED])
    return (
        f"no data: with the labels {labels} there are series such as {shown}, but none of the names of kind "
        f"{service.kind}; set kind, or queries"
    )


def _telling(names: Sequence[str]) -> list[str]:
    """Those first that are of requests."""
    return sorted(names, key=lambda name: (not any(word in name for word in ("request", "latency", "duration")), name))


def answered(asked: Sequence[Asked]) -> str:
    """`requests, times, cpu; no data: memory`"""
    there = [each.quantity for each in asked if each.series]
    none = [each.quantity for each in asked if not each.series and not each.trouble]
    parts = [", ".join(there)] if there else []
    if none:
        parts.append(f"no data: {', '.join(none)}")
    return "; ".join(parts)


def _whole(at: Millis, length: Millis) -> Millis:
    return at - at % length


def _now() -> Millis:
    return time.time_ns() // 1_000_000
