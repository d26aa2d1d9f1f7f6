"""`mlops-console monitor show`: what the Monitor pane shows, as tables, as a document, or line by line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from backends.contract import Invalid
from backends.entities import ColumnScore, Estimate, Millis, Monitor, ServiceWindow, Window
from console.cli.output import Col, gap, print_record, print_table
from console.cli.verb import Invocation, Verb
from console.monitoring.wording import label, newest, time_words
from console.wording import local_time, number, percent, plural, thousands

if TYPE_CHECKING:
    from console.monitoring.quality.adwin import Change
    from console.monitoring.read import Look, MonitorView

WINDOW_COLUMNS: list[Col[Window]] = [
    Col("window", lambda item: local_time(item.start)),
    Col("state", lambda item: item.state, state=True),
    Col("rows", lambda item: thousands(item.rows), right=True),
    Col("labels", lambda item: _labels(item), right=True),
    Col("performance", lambda item: "  ".join(_estimates(item)), widest=60),
    Col("worst drift", lambda item: _worst(item), widest=60),
    Col("version", lambda item: f"v{item.model_version}", right=True),
]

FEATURE_COLUMNS: list[Col[ColumnScore]] = [
    Col("feature", lambda item: item.column),
    Col("state", lambda item: item.state, state=True),
    Col("fault", lambda item: item.fault),
    Col("PSI", lambda item: number(item.psi, 3), right=True),
    Col("KS", lambda item: number(item.ks, 3), right=True),
    Col("JS", lambda item: number(item.jensen_shannon, 3), right=True),
    Col("W", lambda item: number(item.wasserstein, 3), right=True),
    Col("q", lambda item: number(item.q_value, 2), right=True),
    Col("missing", lambda item: f"{item.missing * 100:.1f} %", right=True),
    Col("outside", lambda item: f"{item.outside * 100:.1f} %", right=True),
    Col("new", lambda item: f"{item.new * 100:.1f} %", right=True),
    Col("why", lambda item: item.reason, widest=80),
]

BIAS_COLUMNS: list[Col[tuple[str, float, float | None, float | None]]] = [
    Col("bias", lambda item: item[0]),
    Col("value", lambda item: number(item[1], 3), right=True),
    Col("low", lambda item: number(item[2], 3), right=True),
    Col("high", lambda item: number(item[3], 3), right=True),
]

RANKING_COLUMNS: list[Col[tuple[str, Estimate]]] = [
    Col("ranking", lambda item: item[0]),
    Col("value", lambda item: number(item[1].value, 3), right=True),
    Col("low", lambda item: number(item[1].low, 3), right=True),
    Col("high", lambda item: number(item[1].high, 3), right=True),
    Col("queries", lambda item: thousands(item[1].n), right=True),
]

SERVICE_COLUMNS: list[Col[ServiceWindow]] = [
    Col("service", lambda item: local_time(item.start)),
    Col("req/s", lambda item: number(item.rate, 3), right=True),
    Col("errors", lambda item: percent(item.error_share), right=True),
    Col("p50 ms", lambda item: _ms(item.p50), right=True),
    Col("p95 ms", lambda item: _ms(item.p95), right=True),
    Col("p99 ms", lambda item: _ms(item.p99), right=True),
    Col("cpu", lambda item: number(item.cpu, 3), right=True),
    Col("MB", lambda item: number(None if item.memory_bytes is None else item.memory_bytes / 1e6, 3), right=True),
]


def _ms(seconds: float | None) -> str:
    return number(None if seconds is None else seconds * 1000, 3)


def _labels(item: Window) -> str:
    from console.monitoring.quality.performance import provisional

    return thousands(item.labelled) + (", provisional" if provisional(item.rows, item.labelled) else "")


def _estimates(item: Window) -> list[str]:
    """The first three, as they are measured: the one that decides leads. The JSON has them all."""
    return [f"{key} {number(found.value, 3)}" for key, found in list(item.performance.items())[:3]]


def _ranking(item: Window) -> list[tuple[str, Estimate]]:
    from console.monitoring.quality.ranking import METRICS

    return [(name, item.performance[name]) for name in METRICS if name in item.performance]


def _worst(item: Window) -> str:
    drifted = [column for column in item.columns if column.psi is not None]
    if not drifted:
        return ""
    worst = max(drifted, key=lambda column: column.psi or 0.0)
    return f"{worst.column} PSI {number(worst.psi, 3)}"


@click.command("show", cls=Verb)
@click.argument("name")
@click.option(
    "--windows", "shown", default=10, show_default=True, type=click.IntRange(1, 100_000), help="Newest windows."
)
@click.option(
    "--by",
    "stretch",
    type=click.Choice(["minute", "hour", "day", "week", "all"]),
    help="Merge windows into these; their counts add up.",
)
@click.option("--at", "at", default="", metavar="TIME", help="The stretch that holds this time (UTC), not the newest.")
@click.option(
    "--against",
    default="training",
    show_default=True,
    type=click.Choice(["training", "previous"]),
    help="What it is held against: the reference, or the stretch before.",
)
@click.option("--segment", default="", metavar="SEGMENT", help="Only the rows of this segment of the monitor.")
@click.option("--watch", is_flag=True, help="Say it again whenever it changes.")
@click.pass_obj
def show(
    invocation: Invocation, name: str, shown: int, stretch: str | None, at: str, against: str, segment: str, watch: bool
) -> None:
    """A monitor, its newest windows, and its features by severity."""
    from console.monitoring.ranges import stretches
    from console.monitoring.read import Look

    monitor: Monitor = invocation.need("monitors").get(name)
    kinds = stretches(monitor.window)
    if stretch and stretch not in kinds:
        raise Invalid(f"windows of a {monitor.window} are shown by {', '.join(kinds)}, not by {stretch}", "by")
    known = [each.name for each in monitor.segments]
    if segment and segment not in known:
        raise Invalid(f"{name} has no segment {segment!r}; it has {', '.join(known) or 'none'}", "segment")
    look = Look(
        stretch="" if stretch in (None, monitor.window) else stretch or "",
        at=_time(at) if at else None,
        previous=against == "previous",
        segment=segment,
    )
    if watch:
        from console.cli.follow import watch as follow

        follow(invocation, lambda: _document(invocation, name, shown, look), _watch_line)
        return
    document = _document(invocation, name, shown, look)
    invocation.show(document, lambda: _print_monitor(document, _address(invocation, name)))
    if not invocation.json:
        _measured(invocation, monitor)


def _measured(invocation: Invocation, monitor: Monitor) -> None:
    """Why the agent cannot read how its service does, where a metrics store tells that."""
    from console.cli.output import narrate
    from console.services.following import followed
    from console.services.source import known_services

    table, workspace = invocation.session.context.metrics_table, invocation.session.workspace
    state = followed(workspace) if table is not None and workspace is not None else None
    if table is None or state is None:
        return
    for known in known_services(invocation.backend, table):
        trouble = state.trouble or state.services.get(known.service.name, "")
        if monitor.name in known.monitors and trouble:
            narrate(f"its service's figures are not read since {local_time(state.at)}: {trouble}")


def _time(text: str) -> Millis:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"--at wants a time such as 2013-04-12 or 2013-04-12T14:00, and is {text!r}", "at") from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def _document(invocation: Invocation, name: str, shown: int, look: Look) -> dict[str, object]:
    from console.monitoring.quality.adwin import changes, service_changes
    from console.monitoring.quality.answers import gap_of, quality_parts, ranks_of
    from console.monitoring.read import monitor_view

    view: MonitorView = monitor_view(invocation.backend, name, look=look)
    newest = view.newest
    windows = [_without_counts(item) for item in view.windows[-shown:]]
    if newest is not None and (look.previous or look.at is not None):
        windows = [*(item for item in windows if item.start < newest.start), _without_counts(newest)]
    return {
        "monitor": view.monitor,
        "headline": view.headline,
        "disk": _disk(invocation, view.monitor),
        "left_out": view.left_out,
        "resolution": _resolution(windows, view.monitor, view.kind),
        "quality": [text for text, _ in quality_parts(newest, view.metric)] if newest is not None else [],
        "gap": gap_of(newest, view.metric) if newest is not None else None,
        "ranks": ranks_of(newest) if newest is not None else None,
        "by": view.kind,
        "against": view.against,
        "segment": look.segment,
        "windows": windows,
        "alerts": view.alerts,
        "services": view.services[-shown:],
        "marks": view.marks,
        "changes": [
            *changes([item for item in windows if item.model_version == windows[-1].model_version]),
            *service_changes(view.services),
        ],
    }


def _disk(invocation: Invocation, monitor: Monitor) -> str:
    """How much it takes, and how much it ever will; empty where the context has no folder for it."""
    if invocation.backend.home is None:
        return ""
    from console.monitoring.compaction.passing import keep_of
    from console.monitoring.compaction.room import room_of

    said = invocation.session.context.retention
    return room_of(invocation.backend, monitor, keep_of(monitor, said.monitors if said is not None else {})).words()


def _resolution(windows: list[Window], monitor: Monitor, kind: str) -> str:
    """What of the windows is no more to be seen as finely as it was counted."""
    from console.monitoring.ranges import merged_words

    said = merged_words(windows, monitor.window) if kind == monitor.window else ""
    return f"the oldest of these are {said}: older windows are merged" if said else ""


def _without_counts(item: Window) -> Window:
    """The packed counts are for programs of the monitoring room; nobody reads them here."""
    return msgspec.structs.replace(item, counts=b"")


def _watch_line(document: dict[str, object]) -> str:
    found, windows, quality = document["monitor"], document["windows"], document["quality"]
    assert isinstance(found, Monitor)  # noqa: S101
    assert isinstance(windows, list)  # noqa: S101
    assert isinstance(quality, list)  # noqa: S101
    if not windows:
        return f"{found.name}  {found.state}  no window yet"
    last: Window = windows[-1]
    faults = [f"{score.column} {score.fault}" for score in last.columns if score.fault]
    parts = [found.name, found.state, local_time(last.start), plural(last.rows, "row"), *quality, _worst(last), *faults]
    return "  ".join(part for part in parts if part)


def _address(invocation: Invocation, name: str) -> str:
    """Where rows are sent, while the agent runs."""
    from urllib.parse import quote

    from backends.local.protocol_access import living_server

    workspace = invocation.session.workspace
    server = living_server(workspace) if workspace is not None else None
    return f"{server.url}/monitors/{quote(name, safe='')}/rows, with the token of: agent token" if server else ""


def source_words(found: Monitor) -> str:
    """Where its rows come from."""
    named = [f"the log of deployment {found.deployment}"] if found.deployment else []
    return ", ".join(([found.source] if found.source else []) + named) or "batches are handed in"


def _print_monitor(document: dict[str, object], address: str = "") -> None:
    from console.cli.alert import ALERT_COLUMNS

    found, windows, alerts = document["monitor"], document["windows"], document["alerts"]
    quality, services, changed = document["quality"], document["services"], document["changes"]
    assert isinstance(changed, list)  # noqa: S101
    assert isinstance(found, Monitor)  # noqa: S101
    assert isinstance(windows, list)  # noqa: S101
    assert isinstance(alerts, tuple)  # noqa: S101
    assert isinstance(quality, list)  # noqa: S101
    assert isinstance(services, tuple)  # noqa: S101
    roles = (
        ("label", found.label_column),
        ("id", found.id_column),
        ("group", found.group_column),
    )
    print_record(
        {
            "monitor": found.name,
            "state": "paused" if found.paused else found.state,
            "model": f"{found.model}@{found.alias}",
            "source": source_words(found),
            "address": address,
            "window": found.window,
            "time column": time_words(found),
            "columns": "  ".join(f"{role}={column}" for role, column in roles if column),
            "ranks": f"the first {found.top} of each {found.group_column}" if found.group_column else "",
            "policy": ", ".join(f"{key} = {number(value)}" for key, value in sorted(found.policy.items())),
            "seen": f"{thousands(found.rows)} rows in {plural(found.windows, 'window')}",
            "left out": str(document["left_out"]),
            "newest": local_time(newest(found)) if found.last_at else "",
            "disk": str(document["disk"]),
            "merged": str(document["resolution"]),
            "quality": "; ".join(quality),
            "against": str(document["against"]) if windows else "",
            "segment": str(document["segment"]),
            "changed": "; ".join(map(_change, changed)),
            "note": found.note,
        }
    )
    if alerts:
        gap()
        print_table(alerts, ALERT_COLUMNS)
    if windows:
        gap()
        print_table(windows, WINDOW_COLUMNS)
        gap()
        print_table(_by_severity(windows[-1]), FEATURE_COLUMNS)
        if bias := windows[-1].bias:
            gap()
            print_table([(key, each.value, each.low, each.high) for key, each in bias.items()], BIAS_COLUMNS)
        if ranked := _ranking(windows[-1]):
            gap()
            ranks = document["ranks"]
            assert isinstance(ranks, int)  # noqa: S101
            print_table([(label(key, ranks), value) for key, value in ranked], RANKING_COLUMNS)
    if services:
        gap()
        print_table(services, SERVICE_COLUMNS)


def _change(item: Change) -> str:
    return f"{label(item.metric)} from {number(item.before, 3)} to {number(item.after, 3)} at {local_time(item.at)}"


def _by_severity(item: Window) -> list[ColumnScore]:
    rank = {"firing": 0, "warn": 1, "no data": 2, "ok": 3}
    columns = [*item.columns, *(score for score in (item.prediction, item.label) if score is not None)]
    return sorted(columns, key=lambda column: (rank.get(column.state, 4), -(column.psi or 0.0)))
