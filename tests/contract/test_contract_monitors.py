"""What every `MonitorStore` promises."""

from __future__ import annotations

import msgspec
import pytest

from backends.contract import Backend, Conflict, Invalid, MonitorStore, Mutation, NotFound
from backends.entities import (
    Alert,
    AlertState,
    ColumnScore,
    Estimate,
    Monitor,
    MonitorState,
    ServiceWindow,
    Window,
)
from backends.query import MONITOR_FIELDS, parse

pytestmark = pytest.mark.needs("monitors")
DAY = 86_400_000


@pytest.fixture
def monitors(backend: Backend, ann: Mutation) -> MonitorStore:
    assert backend.monitors is not None
    backend.monitors.put(Monitor(name="live", model="churn", policy={"psi": 0.2}), ann)
    return backend.monitors


def window(day: int, rows: int = 10, **more: object) -> Window:
    whole = {"state": MonitorState.OK, "counts": bytes([day]), **more}
    return Window(monitor="live", start=day * DAY, end=(day + 1) * DAY, model_version="1", rows=rows, **whole)


def test_a_monitor_is_made_and_changed(monitors: MonitorStore, ann: Mutation, bob: Mutation) -> None:
    made = monitors.get("live")
    assert (made.created_by, made.state, made.windows) == ("ann@box", MonitorState.NO_DATA, 0)
    changed = monitors.put(msgspec.structs.replace(made, paused=True, note="quiet"), bob)
    assert monitors.get("live") == changed
    assert (changed.paused, changed.created_by, changed.created_at) == (True, "ann@box", made.created_at)


def test_changing_a_definition_leaves_what_was_measured(monitors: MonitorStore, ann: Mutation) -> None:
    monitors.add_window(window(1, state=MonitorState.FIRING))
    monitors.put(Monitor(name="live", model="churn", alias="challenger"), ann)
    found = monitors.get("live")
    assert (found.alias, found.state, found.windows, found.rows) == ("challenger", MonitorState.FIRING, 1, 10)


def test_a_window_comes_back_as_it_was(monitors: MonitorStore) -> None:
    whole = window(
        3,
        labelled=4,
        columns=(ColumnScore(column="age", state=MonitorState.WARN, psi=0.3, new_levels=("x",)),),
        prediction=ColumnScore(column="score", state=MonitorState.OK),
        performance={"auc": Estimate(value=0.7, low=0.6, high=0.8, n=4)},
        reference={"auc": 0.8},
    )
    assert monitors.add_window(whole)
    assert monitors.windows("live") == (whole,)


def test_the_monitor_follows_its_newest_window(monitors: MonitorStore) -> None:
    monitors.add_window(window(2, rows=20, state=MonitorState.FIRING))
    monitors.add_window(window(1, rows=5))
    found = monitors.get("live")
    assert (found.state, found.rows, found.windows, found.last_at) == (MonitorState.FIRING, 25, 2, 3 * DAY)
    monitors.add_window(window(2, rows=30))
    found = monitors.get("live")
    assert (found.state, found.rows, found.windows) == (MonitorState.OK, 35, 2)


def test_windows_come_oldest_first_the_newest_of_them(monitors: MonitorStore) -> None:
    for day in (3, 1, 5, 2, 4):
        monitors.add_window(window(day))
    assert [w.start // DAY for w in monitors.windows("live")] == [1, 2, 3, 4, 5]
    assert [w.start // DAY for w in monitors.windows("live", limit=2)] == [4, 5]
    assert [w.start // DAY for w in monitors.windows("live", since=2 * DAY, until=4 * DAY)] == [2, 3]


def test_segments_stand_apart(monitors: MonitorStore) -> None:
    monitors.add_window(window(1))
    monitors.add_window(window(1, rows=3, segment="carrier=AA", state=MonitorState.FIRING))
    assert [w.rows for w in monitors.windows("live")] == [10]
    assert [w.rows for w in monitors.windows("live", segment="carrier=AA")] == [3]
    assert (monitors.get("live").rows, monitors.get("live").state) == (10, MonitorState.OK)


def test_how_far_the_windows_of_a_segment_reach(monitors: MonitorStore) -> None:
    assert monitors.extent("live") is None
    for day in (3, 1, 7):
        monitors.add_window(window(day))
    monitors.add_window(window(5, segment="jfk"))
    assert monitors.extent("live") == (DAY, 7 * DAY)
    assert monitors.extent("live", segment="jfk") == (5 * DAY, 5 * DAY)
    with pytest.raises(NotFound):
        monitors.extent("nobody")


def test_a_batch_is_added_once(monitors: MonitorStore) -> None:
    assert monitors.add_window(window(1), batch="sha-1")
    assert not monitors.add_window(window(1, rows=99), batch="sha-1")
    assert [w.rows for w in monitors.windows("live")] == [10]
    assert monitors.batches("live") == frozenset({"sha-1"})


def test_a_window_that_ends_before_it_starts_is_invalid(monitors: MonitorStore) -> None:
    with pytest.raises(Invalid):
        monitors.add_window(Window(monitor="live", start=5, end=4, model_version="1", rows=1))


def test_an_unknown_monitor_is_not_found(monitors: MonitorStore, ann: Mutation) -> None:
    for call in (
        lambda: monitors.get("none"),
        lambda: monitors.windows("none"),
        lambda: monitors.delete("none", ann),
        lambda: monitors.add_window(msgspec.structs.replace(window(1), monitor="none"), batch="b"),
        lambda: monitors.ack_alert("none", ann),
    ):
        with pytest.raises(NotFound):
            call()
    assert monitors.batches("none") == frozenset()


def test_monitors_are_filtered(monitors: MonitorStore, ann: Mutation) -> None:
    monitors.put(Monitor(name="other", model="fraud"), ann)
    assert [m.name for m in monitors.page().items] == ["live", "other"]
    assert [m.name for m in monitors.page(parse("model = fraud", MONITOR_FIELDS)).items] == ["other"]


def test_a_deleted_monitor_takes_its_windows_along(monitors: MonitorStore, ann: Mutation) -> None:
    monitors.add_window(window(1), batch="b")
    monitors.delete("live", ann)
    monitors.put(Monitor(name="live", model="churn"), ann)
    assert monitors.windows("live") == ()
    assert monitors.batches("live") == frozenset()
    assert monitors.get("live").windows == 0


def test_alerts_open_are_seen_and_close(monitors: MonitorStore, ann: Mutation) -> None:
    alerts = [
        Alert(id=f"a{n}", monitor="live", metric="psi", state=AlertState.FIRING, opened_at=n, text="drift")
        for n in range(3)
    ]
    for alert in alerts:
        monitors.put_alert(alert)
    monitors.put_alert(msgspec.structs.replace(alerts[0], state=AlertState.RESOLVED, resolved_at=9))
    assert [alert.id for alert in monitors.alerts()] == ["a2", "a1", "a0"]
    assert [alert.id for alert in monitors.alerts("live", open_only=True)] == ["a2", "a1"]
    assert [alert.id for alert in monitors.alerts(limit=1)] == ["a2"]
    assert monitors.alerts("other") == ()
    acked = monitors.ack_alert("a1", ann)
    assert (acked.state, acked.acked_by) == (AlertState.ACKED, "ann@box")
    assert "a1" in [alert.id for alert in monitors.alerts(open_only=True)]
    for done in ("a0", "a1"):
        with pytest.raises(Conflict):
            monitors.ack_alert(done, ann)


def test_a_note_on_an_alert_stays_whatever_a_scorer_puts_and_is_journaled(
    backend: Backend, monitors: MonitorStore, ann: Mutation
) -> None:
    alert = Alert(id="a", monitor="live", metric="psi", state=AlertState.FIRING, opened_at=1, text="drift")
    monitors.put_alert(alert)
    assert monitors.note_alert("a", "the feed was late", ann).note == "the feed was late"
    monitors.put_alert(msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=9, windows=3))
    (found,) = monitors.alerts()
    assert (found.note, found.state, found.windows) == ("the feed was late", AlertState.RESOLVED, 3)
    entry = backend.need("journal").page(limit=1).items[0]
    assert (entry.action, entry.target, entry.before["note"], entry.after["note"]) == (
        "alert.note", "live", "", "the feed was late",
    )  # fmt: skip
    with pytest.raises(NotFound):
        monitors.note_alert("none", "x", ann)
    with pytest.raises(Invalid):
        monitors.note_alert("a", "x" * 2_000_000, ann)


def service(minute: int, source: str = "churn", **more: object) -> ServiceWindow:
    return ServiceWindow(source=source, start=minute * 60_000, end=(minute + 1) * 60_000, **more)


def test_service_windows_come_oldest_first_the_newest_of_them(monitors: MonitorStore) -> None:
    for minute in (3, 1, 2):
        monitors.add_service(service(minute, requests=minute))
    monitors.add_service(service(2, source="other", requests=7))
    assert [window.requests for window in monitors.services("churn")] == [1, 2, 3]
    assert [window.requests for window in monitors.services("churn", limit=2)] == [2, 3]
    assert [window.requests for window in monitors.services("churn", since=60_000, until=120_000)] == [1]
    assert monitors.services("none") == ()


def test_a_service_window_comes_back_as_it_was_and_is_replaced(monitors: MonitorStore) -> None:
    whole = service(
        1, observed=30.0, requests=9, errors=1, times=(0, 9), quantiles={"p99": 0.2}, cpu=0.5, memory_bytes=7,
        versions={"4": 9},
    )  # fmt: skip
    monitors.add_service(service(1))
    monitors.add_service(whole)
    assert monitors.services("churn") == (whole,)
    with pytest.raises(Invalid):
        monitors.add_service(msgspec.structs.replace(whole, end=whole.start))


def test_a_deleted_monitor_takes_its_service_along(monitors: MonitorStore, ann: Mutation) -> None:
    monitors.add_service(service(1, source="monitor:live"))
    monitors.delete("live", ann)
    assert monitors.services("monitor:live") == ()


def test_windows_that_share_a_moment_are_found_however_long_they_are(monitors: MonitorStore) -> None:
    for start, end in ((0, DAY), (DAY, DAY + 60_000), (DAY + 60_000, DAY + 120_000), (2 * DAY, 3 * DAY)):
        monitors.add_window(Window(monitor="live", start=start, end=end, model_version="1", rows=1))
    monitors.add_window(Window(monitor="live", start=0, end=DAY, model_version="1", rows=1, segment="part"))

    def starts(since: int, until: int, **more: str) -> list[int]:
        return [window.start for window in monitors.overlapping("live", since=since, until=until, **more)]

    assert starts(DAY - 1, DAY + 1) == [0, DAY]
    assert starts(DAY + 59_999, DAY + 60_001) == [DAY, DAY + 60_000]
    assert starts(DAY, DAY + 60_000) == [DAY]
    assert starts(5, 6, segment="part") == [0]
    assert starts(4 * DAY, 5 * DAY) == []
