"""`mlops-console service …`: how services do that a metrics store measures, and what fires there. Read only."""

from __future__ import annotations

import time

import click

from backends.contract import MetricSource
from backends.entities import Exemplar, SourceAlert
from console.cli.monitor_show import SERVICE_COLUMNS
from console.cli.output import Col, gap, narrate, print_table
from console.cli.verb import Invocation, Noun
from console.services.read import Standing, course, standing
from console.services.source import Known, known_services, needed, service_named
from console.services.telling import alert_text, labels_text, standing_state
from console.wording import local_time, number, percent, plural, since


@click.group("service", cls=Noun)
def service() -> None:
    """How services do that a metrics store (Prometheus) measures, and what fires there."""


STANDING_COLUMNS: list[Col[Standing]] = [
    Col("service", lambda item: item.known.service.name),
    Col("state", standing_state, state=True),
    Col("req/s", lambda item: number(item.newest.rate, 3) if item.newest else "", right=True),
    Col("errors", lambda item: percent(item.newest.error_share) if item.newest else "", right=True),
    Col("p50 ms", lambda item: _ms(item, 0.50), right=True),
    Col("p95 ms", lambda item: _ms(item, 0.95), right=True),
    Col("p99 ms", lambda item: _ms(item, 0.99), right=True),
    Col("cpu", lambda item: number(item.newest.cpu, 3) if item.newest else "", right=True),
    Col("MB", lambda item: _megabytes(item), right=True),
    Col("monitors", lambda item: ", ".join(item.known.monitors)),
    Col("at", lambda item: local_time(item.newest.end) if item.newest else ""),
]


def _ms(item: Standing, share: float) -> str:
    found = item.newest.quantile(share) if item.newest is not None else None
    return number(None if found is None else found * 1000, 3) if item.newest is not None else ""


def _megabytes(item: Standing) -> str:
    if item.newest is None:
        return ""
    return number(None if item.newest.memory_bytes is None else item.newest.memory_bytes / 1e6, 3)


ALERT_COLUMNS: list[Col[SourceAlert]] = [
    Col("state", lambda item: item.state, state=True),
    Col("alert", lambda item: item.name),
    Col("severity", lambda item: item.severity),
    Col("since", lambda item: since(item.since), right=True),
    Col("what", alert_text, widest=80),
    Col("labels", lambda item: labels_text(item.labels), widest=60),
]

FAILURE_COLUMNS: list[Col[Exemplar]] = [
    Col("failed request", lambda item: local_time(item.at)),
    Col("trace", lambda item: labels_text(item.labels), widest=60),
    Col("series", lambda item: labels_text(item.series), widest=60),
]


@service.command("list")
@click.pass_obj
def list_(invocation: Invocation) -> None:
    """The services of the context's metrics table, and deployments, as they do now."""
    source, known = _opened(invocation)
    found = [standing(source, each) for each in known]
    if invocation.json:
        invocation.show_items(found, STANDING_COLUMNS, empty="")
        return
    print_table(found, STANDING_COLUMNS, empty="no service: name one in [contexts.NAME.metrics.services.SERVICE]")
    for each in found:
        if each.trouble:
            narrate(f"{each.known.service.name}: {each.trouble}")


@service.command("show")
@click.argument("name")
@click.option("--since", "back", default="1h", show_default=True, metavar="SPAN", help="So far back: 30m, 6h, 2d.")
@click.option(
    "--by", "by", default="minute", show_default=True, type=click.Choice(["minute", "hour", "day"]),
    help="Length of the windows; samples far apart make them longer.",
)  # fmt: skip
@click.pass_obj
def show(invocation: Invocation, name: str, back: str, by: str) -> None:
    """A service over time, read straight from the metrics store; what is not known has no window."""
    from console.monitoring.alarms.ack import mute_span
    from console.monitoring.ranges import STRETCHES

    source, known = _opened(invocation)
    found = course(
        source,
        service_named(known, name),
        since=time.time_ns() // 1_000_000 - mute_span(back),
        length=0 if by == "minute" else STRETCHES[by],
    )

    def human() -> None:
        print_table(found.windows, SERVICE_COLUMNS, empty="no data")
        if found.trouble:
            narrate(f"{name}: {found.trouble}")
        for each in found.scrapes:
            if not each.up:
                narrate(f"{each.place} cannot be scraped: {each.trouble}")
        if found.failures:
            gap()
            print_table(found.failures, FAILURE_COLUMNS)

    invocation.show(found, human)


@service.command("errors")
@click.argument("name")
@click.option("--since", "back", default="1h", show_default=True, metavar="SPAN", help="So far back: 30m, 6h, 2d.")
@click.pass_obj
def errors(invocation: Invocation, name: str, back: str) -> None:
    """How many requests of a service failed, and the newest of them that the metrics store kept a trace of."""
    from console.monitoring.alarms.ack import mute_span
    from console.services.failed import failed_requests, failed_text

    source, known = _opened(invocation)
    since = time.time_ns() // 1_000_000 - mute_span(back)
    found = failed_requests(source, service_named(known, name), since=since)

    def human() -> None:
        if found.failures:
            print_table(found.failures, FAILURE_COLUMNS)
        narrate(f"{name}: {failed_text(found)}")

    invocation.show(found, human)


@service.command("alerts")
@click.option("--pending", is_flag=True, help="Those too that have not lasted long enough.")
@click.pass_obj
def alerts(invocation: Invocation, pending: bool) -> None:
    """Alerts that fire in the metrics store by its own rules. They are answered there."""
    source = needed(invocation.backend)
    found = [each for each in source.alerts() if pending or each.state == "firing"]
    invocation.show_items(found, ALERT_COLUMNS, empty=f"nothing fires at {source.where()}")
    if not invocation.json and found:
        narrate(f"{plural(len(found), 'alert')} of {source.where()}: read only, by its rules")


def _opened(invocation: Invocation) -> tuple[MetricSource, tuple[Known, ...]]:
    source = needed(invocation.backend)
    table = invocation.session.context.metrics_table
    assert table is not None  # noqa: S101  there is no source without it
    return source, known_services(invocation.backend, table)
