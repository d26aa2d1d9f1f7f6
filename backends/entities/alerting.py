"""Who answered an alert, and who was told of it."""

from __future__ import annotations

from enum import StrEnum

from backends.entities.monitoring import Alert
from backends.entities.record import Millis, Record

SEVERITIES = ("info", "warn", "critical")
"""From the least to the most that an alert asks of a person."""
ANY = "*"


class Mute(Record, frozen=True, kw_only=True):
    """Silence about a part of what a monitor says, for a while."""

    monitor: str
    rule: str = ANY
    """Name of a rule, a metric, or the first word of one (`schema` for `schema.age`); `*` for all."""
    segment: str = ANY
    """Part of the rows; empty for alerts about the whole, `*` for all."""
    until: Millis
    at: Millis = 0
    by: str = ""
    reason: str = ""

    def covers(self, alert: Alert) -> bool:
        """Whether it speaks of this alert; not whether it is over."""
        names = (ANY, alert.rule or alert.metric, alert.metric, alert.metric.partition(".")[0])
        return self.monitor == alert.monitor and self.rule in names and self.segment in (ANY, alert.segment)


class AlertEvent(StrEnum):
    """What an alert did that people are told of."""

    FIRED = "fired"
    WORSENED = "worsened"
    RESOLVED = "resolved"
    UNMUTED = "unmuted"
    """Its mute has ended, and it is still open."""
    TEST = "test"


class Happening(Record, frozen=True, kw_only=True):
    """One event of one alert, with the alert as it was then."""

    id: str
    """Of this event: the same for every channel and every try."""
    event: AlertEvent
    at: Millis
    alert: Alert


class DeliveryState(StrEnum):
    WAITING = "waiting"
    ROUTED = "routed"
    """An event that was handed to the channels it concerns, maybe none."""
    SENT = "sent"
    FAILED = "failed"
    """Given up."""


class Delivery(Record, frozen=True, kw_only=True):
    """A row of the outbox: an event as the store wrote it (no channel yet), or what goes to one channel."""

    id: str
    channel: str = ""
    """Empty: an event that is to be handed to the channels."""
    happenings: tuple[Happening, ...]
    """Several where many alerts changed at once."""
    state: DeliveryState = DeliveryState.WAITING
    at: Millis
    due_at: Millis
    """Not to be tried before."""
    attempts: int = 0
    said: str = ""
    """What the other end said last, or why it could not be reached."""
    seq: int = 0
    """Place in the outbox; the store gives it."""
