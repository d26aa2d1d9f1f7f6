"""A year of windows, passed over as an agent does: the disk stays under what was said, and the counts add up."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from backends.contract import Backend
from backends.entities import Monitor, Window
from console.monitoring.compaction.passing import carry_out
from console.monitoring.compaction.room import room_of
from console.monitoring.counted.profile import Profile
from console.monitoring.create import create_monitor
from console.monitoring.ranges import STRETCHES
from console.monitoring.read import Look, monitor_view
from console.monitoring.reference import read_profile
from console.monitoring.rolled import read_stretches, roll_up
from console.retention.monitors import DAY, HOUR, Keep
from tests.monitored import WHO, deliveries
from tests.unit.test_monitoring_ranges import BEGIN, window_at

MINUTE = 60_000
KEEP = Keep(minutes=2 * DAY, hours=14 * DAY, days=90 * DAY)
ROWS = 60


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("year") / "w")
    yield made
    made.close()


def day_of(minute: Window, day: int) -> list[Window]:
    """Two minutes of one hour, and one of another."""
    starts = [BEGIN + day * DAY + hour * HOUR + at * MINUTE for hour, at in ((9, 3), (9, 4), (15, 3))]
    return [msgspec.structs.replace(minute, monitor="year", start=start, end=start + MINUTE) for start in starts]


def test_a_year_stays_under_its_bound_and_no_row_is_lost(backend: Backend) -> None:
    profile: Profile = read_profile(backend, backend.need("registry").version("deliveries", "@champion"))
    minute = window_at(profile, BEGIN, MINUTE, ROWS, 1)
    create_monitor(backend, "year", "deliveries", mutation=WHO, window="minute")
    store = backend.need("monitors")
    home = backend.home
    assert home is not None
    sizes: dict[int, int] = {}
    held: dict[int, int] = {}
    for day in range(0, 365, 2):  # there is traffic every other day
        for window in day_of(minute, day):
            store.add_window(window)
        if day % 30 != 28 and day != 364:
            continue
        monitor: Monitor = store.get("year")
        if day == 364:
            roll_up(backend, monitor)
        carry_out(backend, monitor, KEEP, WHO)
        windows = store.windows("year", limit=100_000)
        gone = sum(each.before["rows"] for each in forgotten(backend))
        assert sum(each.rows for each in windows) + gone == store.get("year").rows == (day // 2 + 1) * 3 * ROWS
        room = room_of(backend, store.get("year"), KEEP)
        assert room.most is not None
        assert room.bytes <= room.most
        held[day] = sum(each.count for each in store.holdings("year"))
        sizes[day] = sum(path.stat().st_size for path in home.glob("console.db"))
    lengths = [each.end - each.start for each in store.windows("year", limit=100_000)]
    # The newest two days as they came, two weeks of hours, the rest in days.
    assert lengths.count(MINUTE) <= 3 * 8 + 8
    assert lengths.count(HOUR) <= 8
    assert lengths.count(DAY) <= 45
    # A quarter of the year is kept: from then on nothing grows.
    assert max(held[day] for day in held if day < 364) <= 1.05 * held[118]
    assert sizes[358] <= 1.15 * sizes[118]
    whole = monitor_view(backend, "year", look=Look(stretch="all"))
    assert whole.newest is not None
    # A week that lies half before what is kept was merged when it was whole.
    kept = sum(each.rows for each in store.windows("year", limit=100_000))
    assert kept <= whole.newest.rows <= kept + 7 * 3 * ROWS
    for stretch in ("hour", "day", "week"):
        read = read_stretches(store, store.get("year"), stretch, profile=profile, limit=10_000)
        starts = [each.start for each in read]
        assert starts == sorted(set(starts))
        assert all(each.end - each.start >= STRETCHES[stretch] for each in read)
        assert sum(each.rows for each in read) == (whole.newest.rows if stretch == "week" else kept)


def forgotten(backend: Backend) -> list[object]:
    return [each for each in backend.need("journal").page(limit=1000).items if each.action == "monitor.forget"]
