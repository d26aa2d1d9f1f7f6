"""`mlops-console alert …`: what monitors want a person to know."""

from __future__ import annotations

import click

from backends.entities import Alert
from console.cli.output import Col, narrate
from console.cli.verb import Invocation, Noun, reason_option
from console.monitoring.severity import alert_word
from console.wording import since


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
    Col("note", lambda item: item.note, widest=60),
]


@alert.command("list")
@click.argument("monitor", default="")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.pass_obj
def list_(invocation: Invocation, monitor: str, everything: bool, limit: int) -> None:
    """Open alerts, newest first; of one MONITOR if named."""
    monitors = invocation.need("monitors")
    if monitor:
        monitors.get(monitor)  # of a monitor that is not there it would say that all is well
    found = monitors.alerts(monitor, open_only=not everything, limit=limit)
    invocation.show_items(found, ALERT_COLUMNS, empty="no open alert")


@alert.command("ack")
@click.argument("alert_id", metavar="ALERT")
@reason_option
@click.pass_obj
def ack(invocation: Invocation, alert_id: str, reason: str, key: str) -> None:
    """Say that a person has seen it; it stays open until the metric recovers."""
    from console.monitoring.ack import ack_alert

    after = ack_alert(invocation.backend, _whole_id(invocation, alert_id), invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{after.monitor} {after.metric}: acknowledged by {after.acked_by}"))


@alert.command("note")
@click.argument("alert_id", metavar="ALERT")
@click.argument("text")
@reason_option
@click.pass_obj
def note(invocation: Invocation, alert_id: str, text: str, reason: str, key: str) -> None:
    """Write a note on an alert, such as what caused it."""
    monitors = invocation.need("monitors")
    after = monitors.note_alert(_whole_id(invocation, alert_id), text, invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{after.monitor} {after.metric}: {after.note}"))


def _whole_id(invocation: Invocation, given: str) -> str:
    """The alert that begins with what was given, where only one does."""
    from backends.contract import Invalid, NotFound

    matching = [item.id for item in invocation.need("monitors").alerts(limit=10_000) if item.id.startswith(given)]
    if not matching:
        raise NotFound(f"alert {given}: there is none; mlops-console alert list shows the open ones")
    if len(matching) > 1 and given not in matching:
        raise Invalid(f"alert {given}: {len(matching)} begin with that; give more of its id", "alert")
    return given if given in matching else matching[0]
