"""Carry out the outbox: hand events to channels, send what is due, note down how it went.

At least once: what was sent and not noted down, because the agent was killed between, is sent again under the same id.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import msgspec

from backends.entities import AlertEvent, Delivery, DeliveryState, Happening, Millis
from console.alerting.channels import Channel
from console.alerting.undelivered import Undelivered

GROUP_MS: Millis = 2_000
"""Events are held this long, so that a burst becomes one message."""
LONGEST_WAIT_S = 900.0


def is_test(delivery: Delivery) -> bool:
    return delivery.happenings[0].event is AlertEvent.TEST


def ripe(events: Sequence[Delivery], now: Millis) -> bool:
    """Whether the burst has been waited for."""
    return bool(events) and now >= min(event.at for event in events) + GROUP_MS


def routed(events: Sequence[Delivery], channels: Sequence[Channel], now: Millis) -> tuple[Delivery, ...]:
    """What goes to each channel of these events; nothing for open consoles, which look by themselves."""
    happenings = [happening for event in events for happening in event.happenings]
    made = []
    for channel in channels:
        if channel.kind == "console":
            continue
        mine = tuple(happening for happening in happenings if channel.takes(happening))
        if mine:
            made.append(Delivery(id=_id(channel, mine), channel=channel.name, happenings=mine, at=now, due_at=now))
    return tuple(made)


def _id(channel: Channel, happenings: Sequence[Happening]) -> str:
    """The same events to the same channel have the same id, whoever routes them."""
    names = "\0".join([channel.name, *(happening.id for happening in happenings)])
    return hashlib.sha256(names.encode()).hexdigest()[:20]


def went(delivery: Delivery, said: str) -> Delivery:
    return msgspec.structs.replace(delivery, state=DeliveryState.SENT, attempts=delivery.attempts + 1, said=said)


def failed(delivery: Delivery, channel: Channel | None, error: Undelivered, now: Millis) -> Delivery:
    """To be tried again later, or given up: a test at once, so that who waits for it hears what is wrong."""
    tries = delivery.attempts + 1
    said = str(error)
    if channel is None or error.final or is_test(delivery) or tries >= channel.attempts:
        why = (
            ""
            if channel is None or is_test(delivery)
            else f"; given up after {tries} {'try' if tries == 1 else 'tries'}"
        )
        return msgspec.structs.replace(delivery, state=DeliveryState.FAILED, attempts=tries, said=said + why)
    wait = max(error.wait, min(channel.wait * 2.0 ** (tries - 1), LONGEST_WAIT_S) * random.uniform(0.8, 1.2))  # noqa: S311
    return msgspec.structs.replace(delivery, attempts=tries, said=said, due_at=now + round(wait * 1000))
