"""`mlops-console alert …`: what monitors want a person to know."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from backends.contract import Backend, Mutation
from backends.entities import Alert, Mute
from backends.entities.triggers import ACTOR
from console.cli.output import Col, narrate
from console.cli.verb import Invocation, Noun, reason_option
from console.monitoring.alarms.severity import alert_word
from console.safe import safe_text
from console.wording import local_time, since


@click.group("alert", cls=Noun)
def alert() -> None:
    """What monitors want a person to know."""


ALERT_COLUMNS: list[Col[Alert]] = [
    Col("id", lambda item: item.id[:8]),
    Col("state", alert_word, state=True),
    Col("monitor", lambda item: item.monitor),
    Col("metric", lambda item: item.metric),
    Col("since", lambda item: since(item.opened_at), right=True),
    Col("what", lambda item: item.text, widest=80),
    Col("windows", lambda item: item.windows, right=True),
    Col("acked by", lambda item: item.acked_by),
    Col("muted until", lambda item: local_time(item.muted_until) if item.muted_until else ""),
    Col("note", lambda item: item.note, widest=60),
]


@alert.command("list")
@click.argument("monitor", default="")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.pass_obj
def list_(invocation: Invocation, monitor: str, everything: bool, limit: int) -> None:
    """Open alerts, newest first; of one MONITOR (or trigger:NAME) if named."""
    monitors = invocation.need("monitors")
    _check_named(invocation, monitor)
    found = monitors.alerts(monitor, open_only=not everything, limit=limit)
    invocation.show_items(found, ALERT_COLUMNS, empty="no open alert")


def _answered(
    invocation: Invocation,
    alert_id: str,
    deed: Callable[[Backend, str, Mutation], Alert],
    reason: str,
    key: str,
    words: Callable[[Alert], str],
) -> None:
    """Do it to the alert that is named, and say what it is then."""
    after = deed(invocation.backend, _whole_id(invocation, alert_id), invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{after.monitor} {after.metric}: {words(after)}"))


@alert.command("ack")
@click.argument("alert_id", metavar="ALERT")
@reason_option
@click.pass_obj
def ack(invocation: Invocation, alert_id: str, reason: str, key: str) -> None:
    """Say that a person has seen it; it stays open until the metric recovers."""
    from console.monitoring.alarms.ack import ack_alert

    _answered(invocation, alert_id, ack_alert, reason, key, lambda after: f"acknowledged by {after.acked_by}")


@alert.command("note")
@click.argument("alert_id", metavar="ALERT")
@click.argument("text")
@reason_option
@click.pass_obj
def note(invocation: Invocation, alert_id: str, text: str, reason: str, key: str) -> None:
    """Write a note on an alert, such as what caused it."""

    def write(backend: Backend, whole: str, mutation: Mutation) -> Alert:
        noted: Alert = backend.need("monitors").note_alert(whole, text, mutation)
        return noted

    _answered(invocation, alert_id, write, reason, key, lambda after: after.note)


@alert.command("show")
@click.argument("alert_id", metavar="ALERT")
@click.pass_obj
def show(invocation: Invocation, alert_id: str) -> None:
    """One alert: what it says, who answered, and who was told when."""
    found = _alert(invocation, alert_id)
    whole = found.id
    told = [each for each in invocation.need("monitors").deliveries(alert=whole) if each.channel]

    def human() -> None:
        for label, value in (
            ("alert", found.id),
            ("state", f"{alert_word(found)}, {found.severity}"),
            ("monitor", found.monitor),
            ("rule", found.rule or found.metric),
            ("segment", found.segment),
            ("since", local_time(found.opened_at)),
            ("resolved", local_time(found.resolved_at) if found.resolved_at else ""),
            ("acked by", found.acked_by),
            ("muted until", local_time(found.muted_until) if found.muted_until else ""),
            ("what", found.text),
            ("note", found.note),
            ("runbook", found.runbook),
        ):
            if value:
                click.echo(f"{label:<12} {safe_text(value)}")
        for each in told:
            events = ", ".join(str(happening.event) for happening in each.happenings if happening.alert.id == whole)
            said = f"{each.channel}: {events}, {each.state}{f' ({each.said})' if each.said else ''}"
            click.echo(f"{'told':<12} {local_time(each.at)} {safe_text(said)}")

    invocation.show({"alert": found, "deliveries": told}, human)


@alert.command("unack")
@click.argument("alert_id", metavar="ALERT")
@reason_option
@click.pass_obj
def unack(invocation: Invocation, alert_id: str, reason: str, key: str) -> None:
    """Give it back: it calls for somebody again."""
    from console.monitoring.alarms.ack import unack_alert

    _answered(invocation, alert_id, unack_alert, reason, key, lambda after: f"{alert_word(after)} again")


@alert.command("resolve")
@click.argument("alert_id", metavar="ALERT")
@reason_option
@click.pass_obj
def resolve(invocation: Invocation, alert_id: str, reason: str, key: str) -> None:
    """Say that it is over. New trouble makes a new alert."""
    from console.monitoring.alarms.ack import resolve_alert

    _answered(invocation, alert_id, resolve_alert, reason, key, lambda after: f"resolved by {after.resolved_by}")


# ---------------------------------------------------------------- mutes


MUTE_COLUMNS: list[Col[Mute]] = [
    Col("monitor", lambda item: item.monitor),
    Col("rule", lambda item: item.rule),
    Col("segment", lambda item: item.segment or "whole"),
    Col("until", lambda item: local_time(item.until)),
    Col("by", lambda item: item.by),
    Col("why", lambda item: item.reason, widest=60),
]


@alert.command("mute")
@click.argument("alert_id", metavar="ALERT")
@click.option("--for", "span", default="2h", show_default=True, metavar="SPAN", help="30m, 2h, 3d, 1w.")
@click.option("--whole", is_flag=True, help="All that its monitor says, not this rule alone.")
@reason_option
@click.pass_obj
def mute(invocation: Invocation, alert_id: str, span: str, whole: bool, reason: str, key: str) -> None:
    """Tell nobody of its rule and segment for a while; the mute ends by itself."""
    from console.cli.agent_needed import wake_agent
    from console.monitoring.alarms.ack import mute as mute_it
    from console.monitoring.alarms.ack import mute_of, mute_span

    until = int(time.time() * 1000) + mute_span(span)
    found = _alert(invocation, alert_id)
    made = mute_it(invocation.backend, mute_of(found, until, whole=whole), invocation.mutation(reason, key))
    wake_agent(invocation)  # which ends it
    what = "all of it" if made.rule == "*" else made.rule
    invocation.show(made, lambda: narrate(f"{made.monitor}: {what} is muted until {local_time(made.until)}"))


@alert.command("unmute")
@click.argument("alert_id", metavar="ALERT")
@reason_option
@click.pass_obj
def unmute(invocation: Invocation, alert_id: str, reason: str, key: str) -> None:
    """End the mutes that cover an alert."""
    from backends.contract import NotFound
    from console.monitoring.alarms.ack import unmute as unmute_it

    found = _alert(invocation, alert_id)
    covering = [each for each in invocation.need("monitors").mutes(found.monitor) if each.covers(found)]
    if not covering:
        raise NotFound(f"alert {found.id[:8]} of {found.monitor} is not muted")
    for place, each in enumerate(covering):
        unmute_it(invocation.backend, each, invocation.mutation(reason, f"{key}-{place}" if key else ""))
    invocation.show(covering, lambda: narrate(f"{found.monitor} {found.metric}: no longer muted"))


@alert.command("mutes")
@click.argument("monitor", default="")
@click.pass_obj
def mutes(invocation: Invocation, monitor: str) -> None:
    """Mutes in force, the first to end first; of one MONITOR (or trigger:NAME) if named."""
    _check_named(invocation, monitor)
    invocation.show_items(invocation.need("monitors").mutes(monitor), MUTE_COLUMNS, empty="nothing is muted")


# ---------------------------------------------------------------- channels


@alert.command("channels")
@click.pass_obj
def channels(invocation: Invocation) -> None:
    """Where alerts go: the [[notify]] tables of config.toml. No secret is shown."""
    from console.alerting.channels import Channel
    from console.config import load_config

    columns: list[Col[Channel]] = [
        Col("name", lambda item: item.name),
        Col("kind", lambda item: item.kind),
        Col("to", lambda item: item.target, widest=60),
        Col("severities", lambda item: ", ".join(item.severities)),
        Col("monitors", lambda item: ", ".join(item.monitors), widest=40),
        Col("events", lambda item: ", ".join(item.events)),
    ]
    config = load_config()
    if invocation.json:
        keys = ("name", "kind", "target", "severities", "monitors", "events")
        items = [{key: getattr(channel, key) for key in keys} for channel in config.notify]
        invocation.show({"items": items, "next": None}, lambda: None)
        return
    invocation.show_items(config.notify, columns, empty=f"no [[notify]] table in {config.path}; open consoles are told")


@alert.command("test")
@click.argument("channel")
@click.pass_obj
def test(invocation: Invocation, channel: str) -> None:
    """Send a test along a channel, by the real outbox and agent, and report what the other end said."""
    from backends.contract import Unreachable
    from backends.entities import DeliveryState
    from console.alerting.channels import named
    from console.alerting.trying import await_test, put_test
    from console.cli.agent_needed import wake_agent
    from console.config import load_config

    known = named(load_config().notify, channel)
    wanted = put_test(invocation.backend, known, invocation.session.actor)
    wake_agent(invocation)
    done = await_test(invocation.backend, known, wanted)
    if done.state is DeliveryState.FAILED:
        raise Unreachable(f"channel {channel}: the test did not get through: {done.said}")
    invocation.show(done, lambda: narrate(f"channel {channel}: {done.said}"))


def _check_named(invocation: Invocation, monitor: str) -> None:
    """NotFound for what is not there: of it one would be told that all is well."""
    if monitor.startswith(ACTOR):
        invocation.need("triggers").get(monitor.removeprefix(ACTOR))
    elif monitor:
        invocation.need("monitors").get(monitor)


def _alert(invocation: Invocation, given: str) -> Alert:
    whole = _whole_id(invocation, given)
    found: Alert = next(item for item in invocation.need("monitors").alerts(limit=10_000) if item.id == whole)
    return found


def _whole_id(invocation: Invocation, given: str) -> str:
    """The alert that begins with what was given, where only one does."""
    from backends.contract import Invalid, NotFound

    matching = [item.id for item in invocation.need("monitors").alerts(limit=10_000) if item.id.startswith(given)]
    if not given:
        raise Invalid(
            "which alert? Give its id, or how it begins; mlops-console alert list shows the open ones", "alert"
        )
    if not matching:
        raise NotFound(f"alert {given}: there is none; mlops-console alert list shows the open ones")
    if len(matching) > 1 and given not in matching:
        raise Invalid(f"alert {given}: {len(matching)} begin with that; give more of its id", "alert")
    return given if given in matching else matching[0]
