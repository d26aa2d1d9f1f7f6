"""Which queries a service's figures are found by: defaults for the names that kinds of servers use, and how they are
filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from backends.contract import Invalid
from backends.entities import QUANTITIES, Millis, Record, Service


class Kind(Record, frozen=True, kw_only=True):
    """The names that one kind of server uses. An empty one is not kept by it."""

    requests: str
    """A counter of answers, with their status as a label."""
    seconds: str
    """A histogram of times in seconds, without `_bucket`."""
    cpu: str = ""
    """A counter of processor seconds."""
    memory: str = ""
    """A gauge of resident bytes."""
    statuses: tuple[str, ...]
    """Labels that the status may be in; where there are several, the first that is there."""
    version: str = "version"


KINDS: Final[dict[str, Kind]] = {
    "console": Kind(
        requests="model_requests_total",
        seconds="model_request_seconds",
        cpu="model_worker_cpu_seconds_total",
        memory="model_worker_resident_bytes",
        statuses=("status",),
    ),
    "http": Kind(
        requests="http_requests_total",
        seconds="http_request_duration_seconds",
        cpu="process_cpu_seconds_total",
        memory="process_resident_memory_bytes",
        statuses=("status", "code", "status_code"),
    ),
    "bentoml": Kind(
        requests="bentoml_service_request_total",
        seconds="bentoml_service_request_duration_seconds",
        statuses=("http_response_code",),
        version="service_version",
    ),
}


def kind_of(service: Service) -> Kind:
    found = KINDS.get(service.kind)
    if found is None:
        raise Invalid(
            f"service {service.name}: there are no names of kind {service.kind[:40]!r}; there are {', '.join(KINDS)}, "
            "and every query may be given by itself",
            "kind",
        )
    return found


def version_label(service: Service) -> str:
    return service.version_label if service.version_label != "version" else kind_of(service).version


def status_labels(service: Service) -> tuple[str, ...]:
    return service.status_labels or kind_of(service).statuses


def grown(metric: str) -> str:
    """By how much a counter grew from one window's last sample to the next one's, series by series.

    Not `increase()`: that sees no growth between the windows and makes up for it by stretching what it sees, so that
    a burst counts for more than it was or for nothing, and counts are no whole numbers. Here everything that was
    counted lies in one window, late by a scrape at most. A counter that fell has begun anew; a series that appears
    where its instance was seen before counts from nothing; one whose instance nobody saw is only known from here on.
    """
    now = f"last_over_time({metric}{{$labels}}[$range])"
    before = f"last_over_time({metric}{{$labels}}[$range] offset $range)"
    seen = f"({before} or max_over_time(up{{$place}}[$range] offset $range) == 1)"
    return f"((({now} - {before}) >= 0) or ({now} and on (job, instance) {seen}))"


def templates(service: Service) -> dict[str, str]:
    """Quantity → query with `$labels`, `$range` and the like in it; those of the service before its kind's."""
    kind = kind_of(service)
    found = {
        "requests": f"sum by ($by) {grown(kind.requests)}",
        "times": f"sum by (le) {grown(f'{kind.seconds}_bucket')}",
    }
    if kind.cpu:
        found["cpu"] = f"sum({grown(kind.cpu)}) / $seconds"
    if kind.memory:
        found["memory"] = f"sum(max_over_time({kind.memory}{{$labels}}[$range]))"
    for quantity in service.queries:
        if quantity not in QUANTITIES:
            raise Invalid(
                f"service {service.name}: there is no quantity {quantity[:40]!r}; there are {', '.join(QUANTITIES)}",
                "queries",
            )
    if any(quantity in service.queries for quantity in ("p50", "p95", "p99")):
        found.pop("times")  # the person has another source of them
    return {quantity: query for quantity, query in (found | service.queries).items() if query.strip()}


def filled(service: Service, length: Millis) -> dict[str, str]:
    """The queries as they are asked, for windows of this length."""
    words = {
        "labels": selector(service.labels),
        "place": selector({name: service.labels[name] for name in ("job", "instance") if name in service.labels}),
        "range": f"{length}ms" if length % 1000 else f"{length // 1000}s",
        "seconds": f"{length / 1000:g}",
        "by": ", ".join((version_label(service), *status_labels(service))),
    }
    return {
        quantity: re.sub(r"\$(labels|place|range|seconds|by)\b", lambda found: words[found.group(1)], query)
        for quantity, query in templates(service).items()
    }


def selector(labels: Mapping[str, str]) -> str:
    """`{"job": "fraud", "pod": "~fraud-.*"}` → `job="fraud",pod=~"fraud-.*"`"""
    parts = []
    for name, value in labels.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Invalid(f"{name[:40]!r} is no name of a label: letters, digits and _ are", "labels")
        sign, wanted = ("=~", value[1:]) if value.startswith("~") else ("=", value)
        escaped = wanted.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        parts.append(f'{name}{sign}"{escaped}"')
    return ",".join(parts)
