"""The agent's part of alerts: ends mutes, and gets what the outbox holds to people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from backends.contract import Backend, BackendError, Invalid, Mutation
from backends.entities import Delivery, DeliveryState
from console.alerting.channels import Channel
from console.alerting.outbox import GROUP_MS, failed, ripe, routed, went
from console.alerting.send import send
from console.alerting.undelivered import Undelivered

MOST = 500
"""Rows of the outbox that are looked at in one round."""


class Alarms:
    """Talks to the channels in threads of its own, to each one at a time, so that none holds up the agent."""

    def __init__(self, backend: Backend, workspace: Path, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._workspace = workspace
        self._say = say
        self._under_way: dict[str, tuple[Delivery, Channel, Future[str]]] = {}
        self._complaint = ""
        self.patience: float | None = None
        """Seconds until something is to be done though nothing changed."""

    def step(self) -> None:
        store = self._backend.monitors
        self.patience = None
        if store is None:
            return
        self._end_mutes()
        self._note_down()
        waiting = store.deliveries(states=(DeliveryState.WAITING,), limit=MOST)
        if not waiting:
            self._mind_mutes()
            return
        now = _now()
        channels = self._channels()
        events = [delivery for delivery in waiting if not delivery.channel]
        if ripe(events, now):
            made = routed(events, channels, now)
            store.route_delivery(tuple(event.id for event in events), made)
            waiting, events = store.deliveries(states=(DeliveryState.WAITING,), limit=MOST), []
        self._send(waiting, channels, now)
        waits = [delivery.due_at - now for delivery in waiting if delivery.channel and delivery.due_at > now]
        waits += [event.at + GROUP_MS - now for event in events]
        if self._under_way:
            waits.append(100)
        if waits:
            self.patience = max(min(waits) / 1000, 0.05)
        self._mind_mutes()

    def _mind_mutes(self) -> None:
        store = self._backend.need("monitors")
        ends = [mute.until - _now() for mute in store.mutes()]
        if ends:
            first = max(min(ends) / 1000, 0.05)
            self.patience = first if self.patience is None else min(first, self.patience)

    def _end_mutes(self) -> None:
        from console.monitoring.alarms.ack import follow

        for monitor in self._backend.need("monitors").end_mutes(_now()):
            self._say(f"monitor {monitor}: a mute has ended")
            follow(self._backend, monitor)

    def _channels(self) -> tuple[Channel, ...]:
        from console.config import load_config

        try:
            found = load_config().notify
        except Invalid as error:  # half-written by an editor: what waits goes on waiting
            if str(error) != self._complaint:
                self._complaint = str(error)
            raise
        self._complaint = ""
        return found

    def _send(self, waiting: tuple[Delivery, ...], channels: tuple[Channel, ...], now: int) -> None:
        known = {channel.name: channel for channel in channels}
        for delivery in waiting:
            if not delivery.channel or delivery.due_at > now or delivery.channel in self._under_way:
                continue
            channel = known.get(delivery.channel)
            if channel is None:
                gone = Undelivered(f"channel {delivery.channel} is not in the configuration any more", final=True)
                self._settle(delivery, None, gone)
                continue
            future = self._start(channel, delivery)
            self._under_way[delivery.channel] = (delivery, channel, future)

    def _start(self, channel: Channel, delivery: Delivery) -> Future[str]:
        """A daemon thread: an agent that is to end does not wait for a slow server. What it leaves un-noted, the next
        agent sends again under the same id."""
        future: Future[str] = Future()

        def carry() -> None:
            try:
                future.set_result(send(channel, delivery, str(self._workspace)))
            except Exception as error:  # handed to whoever asks the future
                future.set_exception(error)

        threading.Thread(target=carry, name=f"alarm {channel.name}", daemon=True).start()
        return future

    def _note_down(self) -> None:
        for name, (delivery, channel, future) in list(self._under_way.items()):
            if not future.done():
                continue
            del self._under_way[name]
            error = future.exception()
            if error is None:
                self._backend.need("monitors").put_delivery(went(delivery, future.result()))
            elif isinstance(error, Undelivered):
                self._settle(delivery, channel, error)
            else:
                self._settle(delivery, channel, Undelivered(f"{type(error).__name__}: {error}"))

    def _settle(self, delivery: Delivery, channel: Channel | None, error: Undelivered) -> None:
        outcome = failed(delivery, channel, error, _now())
        self._backend.need("monitors").put_delivery(outcome)
        self._say(f"channel {delivery.channel}: {outcome.said}")
        if outcome.state is DeliveryState.FAILED:
            self._journal(outcome)

    def _journal(self, delivery: Delivery) -> None:
        """That people were not told is as grave as what they were to be told."""
        if self._backend.journal is None:
            return
        alerts = [happening.alert.id for happening in delivery.happenings]
        try:
            self._backend.journal.record(
                "alert.deliver",
                delivery.channel,
                Mutation(actor="agent", reason=""),
                after={"alerts": alerts[:20], "attempts": delivery.attempts},
                outcome="failed",
                detail=delivery.said,
            )
        except BackendError as error:
            self._say(f"channel {delivery.channel}: {error}")


def _now() -> int:
    return int(time.time() * 1000)
