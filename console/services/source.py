"""The metrics store of a context, opened; and which services are read from it."""

from __future__ import annotations

import msgspec

from backends.contract import Backend, Invalid, MetricSource, NotFound, Unsupported, all_pages
from backends.entities import Record, Service
from console.services.table import MetricsTable

HINT = (
    'name a metrics store in the context: metrics = "prometheus+https://prometheus.example.org", or a table '
    "[contexts.NAME.metrics] with url, login and services"
)


def open_source(table: MetricsTable) -> MetricSource:
    """Nothing is asked of it yet. Invalid for a wrong address."""
    from backends.connect import connect_metrics

    return connect_metrics(table.url, login=table.login, options=table.options)


def with_metrics(backend: Backend, table: MetricsTable) -> Backend:
    """The backend with its context's metrics store. A wrong table takes nothing else away: `missing` says what is."""
    try:
        source = open_source(table)
    except (Invalid, ValueError) as error:
        return msgspec.structs.replace(backend, missing={**backend.missing, "metrics": str(error)})

    def close() -> None:
        source.close()
        backend.close()

    return msgspec.structs.replace(backend, metrics=source, close=close)


def needed(backend: Backend) -> MetricSource:
    """Unsupported, with what to do, where there is none."""
    if backend.metrics is None and "metrics" not in backend.missing:
        raise Unsupported(f"metrics: context {backend.name} has no metrics store; {HINT}")
    found: MetricSource = backend.need("metrics")
    return found


class Known(Record, frozen=True, kw_only=True):
    """A service that can be read."""

    service: Service
    sources: tuple[str, ...] = ()
    """What its windows are kept under; none where no monitor follows it."""
    monitors: tuple[str, ...] = ()
    """On whose time axis it stands."""
    own: bool = False
    """A deployment of this workspace: its server tells the agent all, and the store is asked for gaps alone."""


def known_services(backend: Backend, table: MetricsTable) -> tuple[Known, ...]:
    """Those of the configuration, and those of monitors and deployments that carry their name; by name."""
    store = backend.monitors
    monitors = tuple(all_pages(lambda at: store.page(at=at, limit=500))) if store is not None else ()
    deployments = backend.deployments
    own = (
        {each.name for each in all_pages(lambda at: deployments.page(at=at, limit=500))}
        if deployments is not None
        else set()
    )
    found: dict[str, Known] = {}
    for name, each in table.services.items():
        found[name] = Known(service=each.service(name))
    for monitor in monitors:
        by_name = [name for name, each in table.services.items() if each.monitor == monitor.name]
        by_name += [name for name in (monitor.deployment, monitor.name) if name in table.services]
        name = by_name[0] if by_name else monitor.deployment
        if not name:
            continue
        before = found.get(name) or Known(service=default_service(name))
        source = monitor.service_source
        found[name] = msgspec.structs.replace(
            before,
            sources=tuple(dict.fromkeys((*before.sources, source))),
            monitors=(*before.monitors, monitor.name),
            own=before.own or monitor.deployment in own,
        )
    for name in own - set(found):
        found[name] = Known(service=default_service(name), own=True)
    return tuple(found[name] for name in sorted(found))


def default_service(deployment: str) -> Service:
    """Of a deployment of our own server: its series carry its name."""
    return Service(name=deployment, labels={"deployment": deployment})


def service_named(known: tuple[Known, ...], name: str) -> Known:
    found = next((each for each in known if each.service.name == name), None)
    if found is None:
        there = ", ".join(each.service.name for each in known) or "none"
        raise NotFound(
            f"service {name}: there is no such one; there are {there}. Name it in the context's metrics table: "
            f"[contexts.NAME.metrics.services.{name}] with labels"
        )
    return found
