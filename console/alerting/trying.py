"""Try a channel the whole way: a test goes through the real outbox and the real agent."""

from __future__ import annotations

import time
import uuid

from backends.contract import Backend, Invalid, Unreachable
from backends.entities import Alert, AlertEvent, AlertState, Delivery, DeliveryState, Happening
from console.alerting.channels import Channel

POLL_S = 0.1
MARGIN_S = 20.0
"""What the agent may take beside the channel's own time: it may have to start, and be busy with an earlier message."""


def put_test(backend: Backend, channel: Channel, actor: str) -> str:
    """Write a test into the outbox; its id. Invalid for a channel that nothing is sent along."""
    if channel.kind == "console":
        raise Invalid(f"channel {channel.name} is for open consoles, which look by themselves; nothing is sent", "name")
    now = int(time.time() * 1000)
    name = uuid.uuid4().hex[:20]
    alert = Alert(
        id=f"test-{name}",
        monitor="test",
        metric="test",
        state=AlertState.RESOLVED,
        opened_at=now,
        text=f"A test of channel {channel.name} by {actor}; nothing is wrong.",
        severity="info",
    )
    happening = Happening(id=name, event=AlertEvent.TEST, at=now, alert=alert)
    backend.need("monitors").put_delivery(
        Delivery(id=name, channel=channel.name, happenings=(happening,), at=now, due_at=now)
    )
    return name


def await_test(backend: Backend, channel: Channel, delivery: str) -> Delivery:
    """How it went. Unreachable where nobody carried it out in time; it stays in the outbox."""
    until = time.monotonic() + channel.timeout + MARGIN_S
    store = backend.need("monitors")
    while time.monotonic() < until:
        for each in store.deliveries(limit=500):
            if each.id == delivery and each.state is not DeliveryState.WAITING:
                return each  # type: ignore[no-any-return]
        time.sleep(POLL_S)
    raise Unreachable(
        f"the test of channel {channel.name} was not carried out in {channel.timeout + MARGIN_S:.0f} s; it waits in "
        "the outbox. The agent's log says why: mlops-console agent log"
    )
