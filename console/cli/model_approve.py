"""`mlops-console model requests|approve|reject`: promotions that wait for others to agree."""

from __future__ import annotations

import click

from console.cli.model import confirm_option, model
from console.cli.model_text import say_outcome, telling
from console.cli.output import Col, narrate
from console.cli.verb import Invocation, reason_option
from console.promotion.approvals import Waiting, now_ms
from console.wording import local_time


@model.command("requests")
@click.option("--all", "everything", is_flag=True, help="Also those that are closed.")
@click.pass_obj
def requests(invocation: Invocation, everything: bool) -> None:
    """Promotions that wait for others to agree, the oldest first."""
    from console.promotion.approvals import waiting

    found = waiting(invocation.backend, everything=everything)
    now = now_ms()
    columns: list[Col[Waiting]] = [
        Col("request", lambda item: item.id[:8]),
        Col("state", lambda item: item.state(now), state=True),
        Col("what", lambda item: item.what(), widest=60),
        Col("agreed", lambda item: f"{len(item.agreed)} of {item.asked.approvals}"),
        Col("by", lambda item: item.by),
        Col("until", lambda item: local_time(item.asked.expires_at)),
        Col("why", lambda item: item.asked.reason, widest=60),
    ]
    invocation.show_items(found, columns, empty="no promotion waits for anybody")


@model.command("approve")
@click.argument("request")
@confirm_option
@reason_option
@click.pass_obj
def approve(invocation: Invocation, request: str, confirm: str | None, reason: str, key: str) -> None:
    """Agree to a promotion that somebody else asked for; the last one who is wanted carries it out."""
    from console.promotion.approvals import request_named
    from console.promotion.approve import approve as agree

    found = request_named(invocation.backend, request)
    invocation.confirm(found.asked.model, confirm, deed=f"approve {found.what()}")
    say_outcome(
        invocation, agree(invocation.backend, found.id, invocation.mutation(reason, key), tell=telling(invocation))
    )


@model.command("reject")
@click.argument("request")
@reason_option
@click.pass_obj
def reject(invocation: Invocation, request: str, reason: str, key: str) -> None:
    """Say no to a promotion that waits, or withdraw your own. Nothing is promoted."""
    from console.promotion.reject import reject as refuse

    found = refuse(invocation.backend, request, invocation.mutation(reason, key))
    invocation.show(found, lambda: narrate(f"{found.what()}: rejected"))
