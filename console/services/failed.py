"""Requests of a service that failed: how many, and those of them by which a trace is found."""

from __future__ import annotations

import time

from backends.contract import Invalid, MetricSource
from backends.entities import Exemplar, Millis, Record
from console.services.read import why_nothing
from console.services.source import Known, service_named
from console.wording import duration, percent, thousands

HOUR = 3_600_000
KEEPS_NONE = (
    "the metrics store keeps no exemplar of them: it wants --enable-feature=exemplar-storage, and a server that puts "
    "a trace id beside its counts (OpenMetrics)"
)


class Failed(Record, frozen=True, kw_only=True):
    """What failed of a service within a stretch of time."""

    known: Known
    since: Millis
    until: Millis
    requests: int | None = None
    """Of the windows that are known; None where there is none."""
    errors: int | None = None
    """Those of them that failed; None where nobody counts errors."""
    failures: tuple[Exemplar, ...] = ()
    """Newest first."""
    trouble: str = ""


def failed_requests(source: MetricSource, known: Known, *, since: Millis, until: Millis | None = None) -> Failed:
    """Its requests of the stretch, the failed ones, and their exemplars. Raises what `windows` raises."""
    end = time.time_ns() // 1_000_000 if until is None else until
    length = source.length(known.service)
    windows = source.windows(known.service, since=since - since % length, until=end - end % length, length=length)
    requests = [each.requests for each in windows if each.requests is not None]
    errors = [each.errors for each in windows if each.errors is not None]
    return Failed(
        known=known,
        since=since,
        until=end,
        requests=sum(requests) if requests else None,
        errors=sum(errors) if errors else None,
        failures=source.failures(known.service, since=since, until=end),
        trouble="" if requests else why_nothing(source, known.service),
    )


def failed_text(found: Failed) -> str:
    """`12 of 1 200 requests of the last 1 h failed (1.0 %)`, and where no example is there, why."""
    span = duration((found.until - found.since) / 1000)
    if found.requests is None:
        said = f"nothing is known of the last {span}: {found.trouble or 'no data'}"
        return said if not found.failures else f"{said}. These are known to have failed"
    if found.errors is None:
        said = f"{thousands(found.requests)} requests in the last {span}; nobody counts the failed ones"
    elif not found.errors:
        said = f"none of {thousands(found.requests)} requests of the last {span} failed"
    else:
        share = percent(found.errors / found.requests) if found.requests else ""
        said = (
            f"{thousands(found.errors)} of {thousands(found.requests)} requests of the last {span} "
            f"failed{f' ({share})' if share else ''}"
        )
    return f"{said}; {KEEPS_NONE}" if found.errors and not found.failures else said


def service_of(known: tuple[Known, ...], *, deployment: str = "", monitor: str = "") -> tuple[Known, ...]:
    """Those that a deployment or a monitor is about; several where a monitor follows several. NotFound for none."""
    if deployment:
        return (service_named(known, deployment),)
    found = tuple(each for each in known if monitor in each.monitors)
    return found or (service_named(known, monitor),)


def asked_span(text: str) -> tuple[str, Millis]:
    """`fraud 6h` → the service, if one is named, and how far back. Invalid for what is no time."""
    from console.monitoring.alarms.ack import mute_span

    name, _, span = text.strip().partition(" ")
    if not span.strip():
        return name, HOUR
    try:
        return name, mute_span(span.strip())
    except Invalid as error:
        raise Invalid(f"{span.strip()!r} is no time back; write: errors {name} 6h", "since") from error
