"""Service windows of what a store's queries gave."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from backends.contract import Invalid
from backends.entities import Millis, Service, ServiceWindow
from backends.prometheus.answers import Series, edge
from backends.prometheus.buckets import SHARES, cells, quantiles
from backends.prometheus.names import status_labels, version_label


def windows_of(
    service: Service, found: Mapping[str, Sequence[Series]], ends: Sequence[Millis], length: Millis, source: str
) -> tuple[ServiceWindow, ...]:
    """One window for each end that anything is known of, oldest first. found: quantity → its series."""
    windows = []
    for end in ends:
        at = {quantity: _at(series, end) for quantity, series in found.items()}
        made = _window(service, at, end, length, source)
        if made is not None:
            windows.append(made)
    return tuple(windows)


_Values = list[tuple[dict[str, str], float]]
"""Labels and value of each series that has a sample."""


def _at(series: Sequence[Series], end: Millis) -> _Values:
    return [(each.labels, each.samples[end]) for each in series if end in each.samples]


def _window(
    service: Service, at: Mapping[str, _Values], end: Millis, length: Millis, source: str
) -> ServiceWindow | None:
    requests, errors, versions = _counted(service, at.get("requests", []))
    own = _total(at.get("errors", []))
    if own is not None:
        errors = round(own)
    buckets: dict[float, float] = {}
    for labels, value in at.get("times", []):
        upper = edge(labels.get("le", ""))
        if upper is not None:
            buckets[upper] = buckets.get(upper, 0.0) + value
    times = cells(buckets)
    # A quantile of several series is that of none of them: what is told is the largest.
    told = {name: max(value for _, value in at[name]) for name in SHARES if at.get(name)}
    cpu, memory = _total(at.get("cpu", [])), _total(at.get("memory", []))
    if requests is None and errors is None and not buckets and not told and cpu is None and memory is None:
        return None
    return ServiceWindow(
        source=source or service.name,
        start=end - length,
        end=end,
        requests=requests,
        errors=errors,
        times=times,
        quantiles={} if times else told or quantiles(buckets),
        cpu=cpu,
        memory_bytes=None if memory is None else round(memory),
        versions=versions,
    )


def _counted(service: Service, values: _Values) -> tuple[int | None, int | None, dict[str, int]]:
    """(requests, errors, requests by version). Errors are unknown where no answer has its status beside it."""
    if not values:
        return None, None, {}
    failed = _pattern(service)
    where = status_labels(service)
    errors: float | None = None
    versions: dict[str, float] = {}
    for labels, value in values:
        status = next((labels[name] for name in where if labels.get(name)), "")
        if status:
            errors = (errors or 0.0) + (value if failed.fullmatch(status) else 0.0)
        version = labels.get(version_label(service), "")
        if version:
            versions[version] = versions.get(version, 0.0) + value
    return (
        round(sum(value for _, value in values)),
        None if errors is None else round(errors),
        {version: round(count) for version, count in sorted(versions.items()) if round(count)},
    )


def _pattern(service: Service) -> re.Pattern[str]:
    try:
        return re.compile(service.failed)
    except re.error as error:
        raise Invalid(
            f"service {service.name}: failed = {service.failed[:60]!r} is no regular expression: {error}", "failed"
        ) from None


def _total(values: _Values) -> float | None:
    return sum(value for _, value in values) if values else None
