"""What every `MonitorStore` promises of alerts, mutes and the outbox."""

from __future__ import annotations

import time

import msgspec
import pytest

from backends.contract import Backend, Conflict, Invalid, MonitorStore, Mutation, NotFound
from backends.entities import Alert, AlertEvent, AlertState, Delivery, DeliveryState, Monitor, Mute

pytestmark = pytest.mark.needs("monitors")
HOUR = 3_600_000


@pytest.fixture
def monitors(backend: Backend, ann: Mutation) -> MonitorStore:
    assert backend.monitors is not None
    backend.monitors.put(Monitor(name="live", model="churn"), ann)
    return backend.monitors


def alert(name: str = "a1", **more: object) -> Alert:
    whole = {"metric": "auc", "state": AlertState.FIRING, "severity": "critical", **more}
    return Alert(id=name, monitor="live", opened_at=1, text="AUC is low", **whole)


def soon(ms: int = HOUR) -> int:
    return int(time.time() * 1000) + ms


def events(monitors: MonitorStore) -> list[tuple[str, str]]:
    return [(d.happenings[0].alert.id, str(d.happenings[0].event)) for d in monitors.deliveries() if not d.channel]


def test_an_alert_that_fires_worsens_and_resolves_is_told_once_each(monitors: MonitorStore) -> None:
    monitors.put_alert(alert(severity="warn"))
    monitors.put_alert(alert(severity="warn", windows=2))
    monitors.put_alert(alert(windows=3))
    monitors.put_alert(alert(state=AlertState.RESOLVED, resolved_at=9))
    monitors.put_alert(alert(state=AlertState.RESOLVED, resolved_at=9))
    assert events(monitors) == [("a1", "fired"), ("a1", "worsened"), ("a1", "resolved")]
    assert len({delivery.id for delivery in monitors.deliveries()}) == 3


def test_what_was_read_before_somebody_took_it_does_not_take_it_back(monitors: MonitorStore, ann: Mutation) -> None:
    monitors.put_alert(alert())
    monitors.ack_alert("a1", ann)
    monitors.put_alert(alert(windows=2))
    (found,) = monitors.alerts()
    assert (found.state, found.acked_by, found.windows) == (AlertState.ACKED, "ann@box", 2)


def test_an_alert_is_given_back(monitors: MonitorStore, ann: Mutation, bob: Mutation) -> None:
    monitors.put_alert(alert())
    with pytest.raises(Conflict, match="nobody has taken it"):
        monitors.unack_alert("a1", bob)
    monitors.ack_alert("a1", ann)
    assert monitors.unack_alert("a1", bob).state is AlertState.FIRING
    assert monitors.alerts()[0].acked_by == ""


def test_a_person_ends_an_alert_and_the_same_trouble_stays_ended(monitors: MonitorStore, bob: Mutation) -> None:
    monitors.put_alert(alert())
    over = monitors.resolve_alert("a1", bob)
    assert (over.state, over.resolved_by) == (AlertState.RESOLVED, bob.actor)
    monitors.put_alert(alert(windows=2))
    assert monitors.alerts(open_only=True) == ()
    assert events(monitors) == [("a1", "fired"), ("a1", "resolved")]
    with pytest.raises(Conflict, match="resolved already by"):
        monitors.resolve_alert("a1", bob)


@pytest.mark.parametrize(
    ("rule", "segment", "covers"),
    [("*", "*", True), ("auc", "*", True), ("auc", "", True), ("drift", "*", False), ("auc", "EU", False)],
)
def test_a_mute_covers_its_rule_and_segment(
    monitors: MonitorStore, ann: Mutation, rule: str, segment: str, covers: bool
) -> None:
    until = soon()
    made = monitors.mute(Mute(monitor="live", rule=rule, segment=segment, until=until), ann)
    assert (made.by, made.reason) == (ann.actor, ann.reason)
    monitors.put_alert(alert())
    assert monitors.alerts()[0].muted_until == (until if covers else None)
    assert events(monitors) == ([] if covers else [("a1", "fired")])


def test_the_first_word_of_a_metric_mutes_all_of_its_columns(monitors: MonitorStore, ann: Mutation) -> None:
    monitors.mute(Mute(monitor="live", rule="schema", until=soon()), ann)
    monitors.put_alert(alert(metric="schema.age"))
    assert events(monitors) == []


def test_a_mute_that_ended_by_itself_tells_of_what_is_still_open(monitors: MonitorStore, ann: Mutation) -> None:
    monitors.put_alert(alert("known"))
    until = soon()
    monitors.mute(Mute(monitor="live", until=until), ann)
    monitors.put_alert(alert("new"))
    monitors.put_alert(alert("gone"))
    monitors.put_alert(alert("gone", state=AlertState.RESOLVED))
    assert monitors.end_mutes(until - 1) == ()
    assert monitors.end_mutes(until) == ("live",)
    assert monitors.end_mutes(until) == ()
    assert monitors.mutes() == ()
    assert monitors.alerts()[0].muted_until is None
    assert events(monitors) == [("known", "fired"), ("known", "unmuted"), ("new", "fired")]


def test_unmuting_tells_only_of_what_nobody_knows(monitors: MonitorStore, ann: Mutation) -> None:
    monitors.put_alert(alert("known"))
    monitors.mute(Mute(monitor="live", until=soon()), ann)
    monitors.put_alert(alert("new"))
    monitors.unmute("live", "*", "*", ann)
    assert events(monitors) == [("known", "fired"), ("new", "fired")]
    with pytest.raises(NotFound, match="no mute"):
        monitors.unmute("live", "*", "*", ann)


def test_a_mute_without_monitor_or_future_is_refused(monitors: MonitorStore, ann: Mutation) -> None:
    with pytest.raises(NotFound):
        monitors.mute(Mute(monitor="none", until=soon()), ann)
    for until in (1, soon(1000 * 24 * HOUR)):
        with pytest.raises(Invalid, match="future"):
            monitors.mute(Mute(monitor="live", until=until), ann)


def test_who_muted_and_why_stands_in_the_journal(backend: Backend, monitors: MonitorStore, ann: Mutation) -> None:
    monitors.mute(Mute(monitor="live", rule="auc", until=soon()), ann)
    monitors.unmute("live", "auc", "*", ann)
    entries = backend.need("journal").page().items[:2]
    assert [(e.action, e.actor, e.reason) for e in entries] == [
        ("alert.unmute", ann.actor, ann.reason),
        ("alert.mute", ann.actor, ann.reason),
    ]


def test_an_event_is_handed_over_once(monitors: MonitorStore) -> None:
    monitors.put_alert(alert())
    (event,) = monitors.deliveries(states=(DeliveryState.WAITING,))
    assert event.happenings[0].event is AlertEvent.FIRED
    to = Delivery(id="d1", channel="ops", happenings=event.happenings, at=5, due_at=5)
    monitors.route_delivery((event.id,), (to,))
    monitors.put_delivery(msgspec.structs.replace(to, state=DeliveryState.SENT, attempts=1, said="ok"))
    monitors.route_delivery((event.id,), (to,))
    routed, sent = monitors.deliveries()
    assert (routed.state, sent.state, sent.said) == (DeliveryState.ROUTED, DeliveryState.SENT, "ok")
    assert monitors.deliveries(after=routed.seq) == (sent,)
    assert monitors.deliveries(alert="a1") == (routed, sent)
    assert monitors.deliveries(alert="a") == ()
