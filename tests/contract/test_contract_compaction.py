"""What every `MonitorStore` promises of windows that become fewer."""

from __future__ import annotations

import msgspec
import pytest

from backends.contract import Backend, Conflict, Invalid, MonitorStore, Mutation
from backends.entities import Monitor, MonitorState, ServiceWindow, Window

pytestmark = pytest.mark.needs("monitors")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.fixture
def monitors(backend: Backend, ann: Mutation) -> MonitorStore:
    assert backend.monitors is not None
    backend.monitors.put(Monitor(name="live", model="churn", window="minute"), ann)
    return backend.monitors


def window(start: int, length: int = MINUTE, rows: int = 10, segment: str = "") -> Window:
    return Window(
        monitor="live", start=start, end=start + length, model_version="1", rows=rows, segment=segment, counts=b"x",
        state=MonitorState.OK,
    )  # fmt: skip


def test_crowded_stretches_are_those_with_more_than_one_shorter_window(monitors: MonitorStore) -> None:
    for start in (0, MINUTE, 2 * MINUTE, HOUR, 3 * HOUR, 3 * HOUR + MINUTE, -HOUR, MINUTE - HOUR):
        monitors.add_window(window(start))
    monitors.add_window(window(2 * HOUR, HOUR))
    monitors.add_window(window(5 * MINUTE, segment="far"))
    assert monitors.crowded("live", length=HOUR, until=DAY) == ((-HOUR, 2), (0, 3), (3 * HOUR, 2))
    assert monitors.crowded("live", length=HOUR, until=4 * HOUR - 1) == ((-HOUR, 2), (0, 3))
    assert monitors.crowded("live", length=HOUR, until=DAY, limit=1) == ((-HOUR, 2),)
    assert monitors.crowded("live", length=DAY, until=DAY) == ((-DAY, 2), (0, 7))


def test_stretches_in_which_windows_begin(monitors: MonitorStore) -> None:
    for start in (-1, 0, MINUTE, HOUR + 5, 5 * HOUR, 9 * HOUR):
        monitors.add_window(window(start))
    monitors.add_window(window(7 * HOUR, segment="far"))
    assert monitors.begun("live", length=HOUR, since=-DAY, until=9 * HOUR) == (-HOUR, 0, HOUR, 5 * HOUR)
    assert monitors.begun("live", length=HOUR, since=0, until=DAY, segment="far") == (7 * HOUR,)
    assert monitors.begun("live", length=HOUR, offset=MINUTE, since=0, until=HOUR) == (-MINUTE,)


def test_windows_are_replaced_all_or_none_and_no_row_is_lost(monitors: MonitorStore) -> None:
    for start in range(3):
        monitors.add_window(window(start * MINUTE, rows=start + 1))
        monitors.add_window(window(start * MINUTE, rows=1, segment="far"))
    monitors.add_window(window(0, HOUR, rows=6, segment="~hour"))
    before = monitors.get("live")
    gone = [(segment, start * MINUTE) for segment in ("", "far") for start in range(3)]
    made = [window(0, HOUR, rows=6), window(0, HOUR, rows=3, segment="far")]

    for wrong, words in (
        (made[:1], Invalid),
        ([window(0, HOUR, rows=7), made[1]], Invalid),
        ([window(0, HOUR, rows=5), made[1]], Invalid),
    ):
        with pytest.raises(words):
            monitors.replace_windows("live", gone, wrong)
    with pytest.raises(Conflict):
        monitors.replace_windows("live", [*gone, ("", 9 * MINUTE)], made)
    with pytest.raises(Invalid):  # it would stand where another one stands that was not named
        monitors.replace_windows("live", gone[1:3], [window(0, HOUR, rows=5)])
    assert len(monitors.windows("live")) == 3
    assert monitors.get("live") == before

    monitors.replace_windows("live", [*gone, ("~hour", 0), ("~hour", HOUR)], made)
    assert monitors.windows("live") == (made[0],)
    assert monitors.windows("live", segment="far") == (made[1],)
    assert monitors.windows("live", segment="~hour") == ()
    after = monitors.get("live")
    assert (after.rows, after.windows) == (6, 1)


def test_windows_can_be_asked_for_by_how_long_they_last(monitors: MonitorStore) -> None:
    for start, length in ((0, DAY), (DAY, HOUR), (DAY + HOUR, MINUTE), (DAY + 2 * HOUR, HOUR)):
        monitors.add_window(window(start, length))
    assert [each.start for each in monitors.windows("live", shortest=HOUR)] == [0, DAY, DAY + 2 * HOUR]
    assert [each.start for each in monitors.windows("live", shortest=HOUR, limit=1)] == [DAY + 2 * HOUR]
    assert [each.start for each in monitors.windows("live", shortest=DAY, until=DAY)] == [0]


def test_old_windows_go_with_an_entry_and_the_newest_stays(
    backend: Backend, monitors: MonitorStore, ann: Mutation
) -> None:
    for day in range(4):
        monitors.add_window(window(day * DAY, DAY))
        monitors.add_window(window(day * DAY, DAY, rows=2, segment="far"))
    assert monitors.forget_windows("live", until=0, mutation=ann) == 0
    assert monitors.forget_windows("live", until=2 * DAY + 5, mutation=ann) == 2
    assert [each.start for each in monitors.windows("live")] == [2 * DAY, 3 * DAY]
    assert [each.start for each in monitors.windows("live", segment="far")] == [2 * DAY, 3 * DAY]
    assert (monitors.get("live").rows, monitors.get("live").windows) == (40, 2)
    entry = backend.need("journal").page(limit=1).items[0]
    assert (entry.action, entry.actor, entry.before["windows"], entry.before["rows"]) == (
        "monitor.forget", "ann@box", 2, 20,
    )  # fmt: skip
    assert monitors.forget_windows("live", until=99 * DAY, mutation=ann) == 1
    assert [each.start for each in monitors.windows("live")] == [3 * DAY]


def test_batches_are_asked_for_by_name_and_forgotten(monitors: MonitorStore) -> None:
    for batch in ("a", "b", "c"):
        monitors.add_batch("live", batch)
    assert monitors.batches("live", among=("b", "x")) == frozenset({"b"})
    assert monitors.batches("live", among=()) == frozenset()
    assert monitors.forget_batches("live", ("b", "x")) == 1
    assert monitors.batches("live") == frozenset({"a", "c"})
    assert monitors.add_batch("live", "b")


def test_what_is_held_is_told_by_kind(monitors: MonitorStore) -> None:
    monitors.add_window(window(0, DAY), batch="a")
    for start in (DAY, DAY + MINUTE):
        monitors.add_window(window(start))
        monitors.add_window(window(start, segment="far"))
    monitors.add_window(window(0, HOUR, segment="~hour:far"))
    found = {(each.what, each.segments): each for each in monitors.holdings("live")}
    counts = {key: each.count for key, each in found.items()}
    assert counts == {
        ("days", False): 1, ("minutes", False): 2, ("minutes", True): 2, ("views", True): 1, ("ids", False): 1,
    }  # fmt: skip
    assert all(each.bytes > 0 for each in found.values())
    assert monitors.kept_segments("live") == ("far",)


def served(start: int, length: int = MINUTE, requests: int = 5, source: str = "churn") -> ServiceWindow:
    return ServiceWindow(source=source, start=start, end=start + length, requests=requests, errors=1, cpu=0.5)


def test_service_windows_are_merged_and_nothing_is_counted_twice(monitors: MonitorStore) -> None:
    for start in (0, MINUTE, 2 * MINUTE, HOUR, HOUR + MINUTE, 3 * HOUR):
        monitors.add_service(served(start))
    monitors.add_service(served(0, source="other"))
    assert monitors.service_sources() == (("churn", 3 * HOUR), ("other", 0))
    assert monitors.compact_services("churn", length=HOUR, until=2 * HOUR, limit=1) == 1
    assert monitors.compact_services("churn", length=HOUR, until=2 * HOUR) == 1
    assert monitors.compact_services("churn", length=HOUR, until=2 * HOUR) == 0
    found = monitors.services("churn")
    assert [(each.start, each.end - each.start, each.requests) for each in found] == [
        (0, HOUR, 15), (HOUR, HOUR, 10), (3 * HOUR, MINUTE, 5),
    ]  # fmt: skip
    assert (found[0].errors, found[0].cpu, found[0].seconds) == (3, 0.5, 180)
    # What comes late within an hour was counted in it, and does not take its place.
    monitors.add_service(served(MINUTE, requests=99))
    monitors.add_service(served(0, requests=99))
    assert [each.requests for each in monitors.services("churn")] == [15, 10, 5]
    monitors.add_service(msgspec.structs.replace(found[0], requests=16))
    assert monitors.services("churn")[0].requests == 16
    assert monitors.compact_services("churn", length=DAY, until=DAY) == 1
    assert [each.requests for each in monitors.services("churn")] == [31]
    assert monitors.forget_services("churn", until=DAY - 1) == 0
    assert monitors.forget_services("churn", until=DAY) == 1
    assert monitors.services("other")[0].requests == 5
