"""Older windows put into hours, and those into days: counts add up, so that no row is lost. Plain Python.

Of a stretch every version and segment gets one window, all in one transaction of the store, under the lock that a
scorer holds while it counts. The windows that alerts look at stay as they are; so does all of a monitor while a chunk
is in hand, because its next try knows the windows that it has counted in by their start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from backends.contract import Backend, Conflict
from backends.entities import Millis, Monitor, Record, Window
from console.monitoring.alarms.alerts import horizon
from console.monitoring.counted.windows import LENGTHS, own_state
from console.monitoring.feeds.in_hand import read_in_hand
from console.monitoring.folder import locked, monitor_folder
from console.monitoring.ranges import STRETCHES, merge_windows
from console.monitoring.rolled import level_name, profile_of_version
from console.retention.monitors import Keep

if TYPE_CHECKING:
    from backends.contract.monitoring import MonitorStore
    from console.monitoring.counted.profile import Profile

HOUR, DAY = LENGTHS["hour"], LENGTHS["day"]


class Merged(Record, frozen=True, kw_only=True):
    """What a pass has merged, or would."""

    windows: int = 0
    """Windows of the whole that went into longer ones."""
    into: int = 0
    notes: tuple[str, ...] = ()
    """Why some stay as they are."""

    def plus(self, other: Merged) -> Merged:
        return Merged(
            windows=self.windows + other.windows,
            into=self.into + other.into,
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
        )


def clock_of(monitor: Monitor) -> Millis:
    """From when ages count back: the newest window's end, or today where that lies ahead."""
    now = int(time.time() * 1000)
    return now if monitor.last_at is None else min(now, monitor.last_at)


def tiers(backend: Backend, monitor: Monitor, keep: Keep) -> list[tuple[Millis, Millis]]:
    """(length in ms of the stretches that are merged, until when), the shorter first."""
    store: MonitorStore = backend.need("monitors")
    extent = store.extent(monitor.name)
    if extent is None:
        return []
    reach = store.windows(monitor.name, limit=horizon(monitor))
    looked_at = min(reach[0].start, extent[1])
    own = STRETCHES.get(monitor.window, HOUR)  # a batch is put into its day
    wanted = ((HOUR, keep.minutes), (DAY, keep.hours))
    return [
        (length, min(clock_of(monitor) - limit, looked_at))
        for length, limit in wanted
        if limit is not None and length > own
    ]


def would_merge(backend: Backend, monitor: Monitor, keep: Keep) -> Merged:
    """What `merge` would do, as far as can be told without reading windows."""
    store: MonitorStore = backend.need("monitors")
    found = Merged()
    for length, until in tiers(backend, monitor, keep):
        counts = [count for _, count in store.crowded(monitor.name, length=length, until=until)]
        found = found.plus(Merged(windows=sum(counts), into=len(counts)))
    return found


def merge(backend: Backend, monitor: Monitor, keep: Keep, *, rest: Callable[[], object] = lambda: None) -> Merged:
    """Merge what has come of age, stretch by stretch; `rest` is called between two of them, and may raise to end it."""
    store: MonitorStore = backend.need("monitors")
    folder = monitor_folder(backend, monitor.name)
    profiles: dict[str, Profile | None] = {}
    found = Merged()
    for length, until in tiers(backend, monitor, keep):
        for start, _ in store.crowded(monitor.name, length=length, until=until):
            with locked(folder):
                if read_in_hand(folder) is not None:
                    note = "a chunk is in hand: nothing is merged until it is counted"
                    return found.plus(Merged(notes=(note,)))
                try:
                    found = found.plus(merge_stretch(backend, monitor, start, length, profiles))
                except Conflict:  # who writes without the lock was quicker: the next pass looks again
                    continue
            rest()
    return found


def merge_stretch(
    backend: Backend, monitor: Monitor, start: Millis, length: Millis, profiles: dict[str, Profile | None]
) -> Merged:
    """Put the windows that begin within a stretch into one of its length, each version's by themselves. The caller
    holds the lock of the monitor's folder."""
    store: MonitorStore = backend.need("monitors")
    end = start + length
    whole = _by_version(_within(store, monitor.name, start, end, ""), length)
    places = _places(whole, start, store.windows(monitor.name, since=start, until=start + 1))
    gone: list[tuple[str, Millis]] = []
    made: list[Window] = []
    notes: list[str] = []
    settled = True
    parts = {
        name: _by_version(_within(store, monitor.name, start, end, name), length)
        for name in store.kept_segments(monitor.name)
    }
    for version, own in whole.items():
        if len(own) < 2:
            settled = False
            continue
        if version not in profiles:
            profiles[version] = profile_of_version(backend, monitor, version)
        profile = profiles[version]
        every = {"": own, **{name: found[version] for name, found in parts.items() if version in found}}
        fresh = None if profile is None else _merged(monitor, every, profile, places[version], end)
        if fresh is None:
            notes.append(
                f"windows of v{version} stay as they are: "
                + ("its reference is gone" if profile is None else "their counts cannot be added")
            )
            settled = False
            continue
        made += fresh
        gone += [(name, window.start) for name, windows in every.items() for window in windows]
    if not made:
        return Merged(notes=tuple(notes))
    if settled:
        gone += _beside(store, monitor.name, start, length, list(parts))
    store.replace_windows(monitor.name, gone, made)
    return Merged(
        windows=sum(not name for name, _ in gone), into=sum(not window.segment for window in made), notes=tuple(notes)
    )


def _within(store: MonitorStore, monitor: str, start: Millis, end: Millis, segment: str) -> tuple[Window, ...]:
    return store.windows(monitor, since=start, until=end, limit=1_000_000, segment=segment)


def _by_version(windows: Sequence[Window], length: Millis) -> dict[str, list[Window]]:
    """Version → its windows that are shorter than the stretch, in the order of their first."""
    found: dict[str, list[Window]] = {}
    for window in windows:
        if window.end - window.start < length:
            found.setdefault(window.model_version, []).append(window)
    return found


def _places(whole: Mapping[str, Sequence[Window]], start: Millis, at_start: Sequence[Window]) -> dict[str, Millis]:
    """Version → where its merged window begins: the first one's with the stretch, unless another stands there; the
    others' with their own first window, which is a start of its own."""
    found = {version: windows[0].start for version, windows in whole.items()}
    first = next(iter(found), None)
    if first is not None and all(each.model_version == first for each in at_start):
        found[first] = start
    return found


def _merged(
    monitor: Monitor, every: Mapping[str, Sequence[Window]], profile: Profile, start: Millis, end: Millis
) -> list[Window] | None:
    """One window of the whole and of each segment; None where one of them would hold other rows or labels."""
    found = []
    for name, parts in every.items():
        last = max(end, *(part.end for part in parts))
        made = merge_windows(parts, profile, start=start, end=last, segment=name)
        if made is None or (made.rows, made.labelled) != (
            sum(part.rows for part in parts),
            sum(part.labelled for part in parts),
        ):
            return None
        found.append(without_redacted(made, monitor))
    return found


def without_redacted(window: Window, monitor: Monitor) -> Window:
    """Without the columns that are redacted and never came."""
    if not monitor.redact:
        return window
    columns = tuple(each for each in window.columns if each.column not in monitor.redact or each.missing < 1)
    window = msgspec.structs.replace(window, columns=columns)
    return msgspec.structs.replace(window, state=own_state(window))


def _beside(
    store: MonitorStore, monitor: str, start: Millis, length: Millis, segments: Sequence[str]
) -> list[tuple[str, Millis]]:
    """What was kept of the stretch beside its windows, and says no more than they do from now on. The newest of a kind
    stays: behind it whoever keeps them goes on."""
    found: list[tuple[str, Millis]] = []
    for stretch in ("hour", "day"):
        if STRETCHES[stretch] > length:
            continue
        for segment in ("", *segments):
            name = level_name(stretch, segment)
            extent = store.extent(monitor, segment=name)
            if extent is not None:
                starts = range(start, start + length, STRETCHES[stretch])
                found += [(name, at) for at in starts if extent[0] <= at < extent[1]]
    return found
