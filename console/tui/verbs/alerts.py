"""Answering alerts."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from backends.contract import Invalid
from backends.entities import Alert, AlertState, Mute
from console.monitoring.alarms.ack import ack_alert, mute, mute_of, mute_span, resolve_alert, unack_alert, unmute
from console.monitoring.wording import label
from console.safe import safe_text
from console.tui.actions.when import alerts_here
from console.tui.dialogs import Ask, Choose, Confirm, sentences
from console.wording import local_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.config import Session
    from console.tui.here import Here


async def acknowledge(here: Here) -> None:
    """The alert stays open until its metric recovers; acknowledged ones no longer call for anybody."""
    alert = here.selected
    assert isinstance(alert, Alert)  # noqa: S101 or the action were not available
    assert here.session is not None  # noqa: S101
    session = here.session
    yes = await here.app.ask(
        Confirm(
            f"Acknowledge: {safe_text(alert.monitor, 40)}",
            [*sentences(alert.text), *sentences("It stays listed until it is resolved, with your name beside it.")],
            "acknowledge",
            reason=True,
        )
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    await here.app.carry_out(lambda: ack_alert(session.backend, alert.id, mutation))
    here.app.tell(f"{alert.monitor}: acknowledged")


async def give_back(here: Here) -> None:
    """An acknowledged alert calls for somebody again."""
    session = _session(here)
    alert = await _one_of(here, [each for each in alerts_here(here) if each.state is AlertState.ACKED], "Give back")
    if alert is None:
        return
    mutation = session.mutation("", uuid.uuid4().hex)
    await here.app.carry_out(lambda: unack_alert(session.backend, alert.id, mutation))
    here.app.tell(f"{alert.monitor}: nobody has {label(alert.metric)} any more")


async def silence(here: Here) -> None:
    """Nobody is told of the alert's rule and segment for a while; the mute ends by itself."""
    alert, session = _answered(here)

    def wrong(text: str) -> str:
        try:
            mute_span(text)
        except Invalid as error:
            return str(error)
        return ""

    title = f"Mute {safe_text(alert.rule or alert.metric, 40)} of {safe_text(alert.monitor, 40)}"
    span = here.argument or await here.app.ask(Ask(title, "for how long", "2h", check=wrong, note="30m, 2h, 3d or 1w"))
    if not span:
        return
    until = int(time.time() * 1000) + mute_span(span)
    mutation = session.mutation("", uuid.uuid4().hex)
    await here.app.carry_out(lambda: mute(session.backend, mute_of(alert, until), mutation))
    here.app.tell(f"{alert.monitor}: {label(alert.metric)} is muted until {local_time(until)}; :unmute ends it")


async def unsilence(here: Here) -> None:
    """End what mutes the selected alert, or another one of the monitor that is looked at."""
    session = _session(here)
    alerts = [each for each in alerts_here(here) if each.state is not AlertState.RESOLVED]
    store = session.backend.need("monitors")

    def covering(alert: Alert) -> list[Mute]:
        return [each for each in store.mutes(alert.monitor) if each.covers(alert)]

    muted = await here.app.look_up(lambda: [alert for alert in alerts if covering(alert)])
    if not muted:
        here.app.tell(f"{alerts[0].monitor}: nothing mutes it", severity="warning")
        return
    alert = muted[0] if muted[0] == here.selected else await _one_of(here, muted, "Hear again")
    if alert is None:
        return

    def end() -> None:
        for each in covering(alert):
            unmute(session.backend, each, session.mutation("", uuid.uuid4().hex))

    await here.app.carry_out(end)
    here.app.tell(f"{alert.monitor}: {label(alert.metric)} is heard again")


async def resolve(here: Here) -> None:
    """Say that it is over; it comes again only when its trouble begins anew."""
    alert, session = _answered(here)
    yes = await here.app.ask(
        Confirm(
            f"Resolve: {safe_text(alert.monitor, 40)}",
            [
                *sentences(alert.text),
                *sentences("It comes again only when its trouble begins anew."),
            ],
            "resolve",
            reason=True,
        )
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    await here.app.carry_out(lambda: resolve_alert(session.backend, alert.id, mutation))
    here.app.tell(f"{alert.monitor}: resolved")


async def _one_of(here: Here, alerts: Sequence[Alert], title: str) -> Alert | None:
    """The one that is meant; a person is asked where that is not plain."""
    if len(alerts) < 2 or alerts[0] == here.selected:
        return alerts[0] if alerts else None
    options = [(each.id, label(each.metric), each.text) for each in alerts]
    chosen = await here.app.ask(Choose(f"{title} which alert of {safe_text(alerts[0].monitor, 40)}", options))
    return next((each for each in alerts if each.id == chosen), None)


def _session(here: Here) -> Session:
    assert here.session is not None  # noqa: S101 or the action were not available
    return here.session


def _answered(here: Here) -> tuple[Alert, Session]:
    assert isinstance(here.selected, Alert)  # noqa: S101 or the action were not available
    assert here.session is not None  # noqa: S101
    return here.selected, here.session
