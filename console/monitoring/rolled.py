"""Hours, days and weeks kept beside the minutes they are made of, so that a year is drawn from a few hundred windows
and not from half a million.

They are windows of segments of their own (`~day`; of a named segment `~day:NAME`), written by whoever writes windows:
a stretch once a later one has begun, and again when late labels change what lies within. The stretch that is still
filling is merged by whoever reads. What is kept can be made anew at any time; nothing depends on it. Where the windows
themselves were merged for good (`compaction`), they are read in its place. Plain Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from backends.contract import Backend, NotFound
from backends.entities import Millis, Monitor, Window
from console.monitoring.ranges import ALL, MONDAY, STRETCHES, bounds, by_stretch, merge_windows, stretches

if TYPE_CHECKING:
    from backends.contract.monitoring import MonitorStore
    from console.monitoring.counted.profile import Profile

FEW = 100
"""Windows of a stretch that are merged themselves; of more, the shorter stretches that are kept."""
AT_ONCE = 400
"""Stretches made in one go where none was kept before: a large store is caught up with call by call."""


def level_name(stretch: str, segment: str = "") -> str:
    """The segment that windows of this stretch are kept as."""
    return f"~{stretch}:{segment}" if segment else f"~{stretch}"


def kept_stretches(window: str) -> tuple[str, ...]:
    """Which stretches are kept for a monitor with such windows. Days are few enough to be merged when they are read."""
    return tuple(name for name in stretches(window)[1:] if name != ALL) if window in ("minute", "hour") else ()


def roll_up(
    backend: Backend, monitor: Monitor, touched: Sequence[Window] = (), *, known: Mapping[str, Profile] | None = None
) -> int:
    """Keep what has ended since the last time, and make anew what the `touched` windows lie in, those of segments by
    themselves. How many stretches were written. known: profiles by version, so that they are not read again."""
    store: MonitorStore = backend.need("monitors")
    profiles: dict[str, Profile | None] = dict(known or {})
    segments: dict[str, set[Millis]] = {"": set()}
    for window in touched:
        segments.setdefault(window.segment, set()).add(window.start)
    written = 0
    for segment, changed in segments.items():
        for stretch in kept_stretches(monitor.window):
            name = level_name(stretch, segment)
            for start in _due(store, monitor.name, stretch, name, segment, sorted(changed)):
                end = start + STRETCHES[stretch]
                parts = parts_of(store, monitor, stretch, start, end, segment)
                if any(part.segment == segment and part.end - part.start >= STRETCHES[stretch] for part in parts):
                    continue  # merged into a window of its own length: there is nothing to keep beside it
                made = _merged(backend, monitor, parts, (start, end), name, profiles)
                if made is not None:
                    store.add_window(made)
                    written += 1
    return written


def _merged(
    backend: Backend,
    monitor: Monitor,
    parts: Sequence[Window],
    ends: tuple[Millis, Millis],
    name: str,
    profiles: dict[str, Profile | None],
) -> Window | None:
    if not parts:
        return None
    version = parts[-1].model_version
    if version not in profiles:
        profiles[version] = profile_of_version(backend, monitor, version)
    profile = profiles[version]
    if profile is None:
        return None
    return merge_windows(parts, profile, start=ends[0], end=ends[1], segment=name)


def profile_of_version(backend: Backend, monitor: Monitor, version: str) -> Profile | None:
    """The reference of a version; None where it or the version has gone: its windows stay as they are."""
    from console.monitoring.reference import as_ranked_by, read_profile

    try:
        found = read_profile(backend, backend.need("registry").version(monitor.model, version))
        return as_ranked_by(found, monitor)
    except NotFound:
        return None


def _due(
    store: MonitorStore, monitor: str, stretch: str, name: str, segment: str, changed: Sequence[Millis]
) -> list[Millis]:
    """Starts of the ended stretches that must be written, oldest first."""
    extent = store.extent(monitor, segment=segment)
    if extent is None:
        return []
    filling = bounds(stretch, extent[1])[0]
    kept = store.extent(monitor, segment=name)
    length = STRETCHES[stretch]
    if kept is not None:
        first = kept[1] + length
    else:  # what was merged into windows as long needs nothing beside it
        long = store.windows(monitor, limit=1, segment=segment, shortest=length)
        first = bounds(stretch, long[-1].end if long else extent[0])[0]
    fresh = list(range(first, filling, length))[:AT_ONCE]
    again = {start for at in changed if (start := bounds(stretch, at)[0]) < min(first, filling)}
    return sorted({*fresh, *again})


def parts_of(
    store: MonitorStore, monitor: Monitor, stretch: str, start: Millis, end: Millis, segment: str = ""
) -> tuple[Window, ...]:
    """What a stretch is merged from: its windows where they are few, else the shorter stretches kept, and of the one
    that is still filling again its parts. Oldest first."""
    own: tuple[Window, ...] = store.windows(monitor.name, since=start, until=end, limit=FEW + 1, segment=segment)
    if len(own) <= FEW:
        return own
    shorter = [name for name in kept_stretches(monitor.window) if STRETCHES[name] < STRETCHES[stretch]]
    if not shorter:
        return tuple(store.windows(monitor.name, since=start, until=end, limit=100_000, segment=segment))
    return read_stretches(store, monitor, shorter[-1], since=start, until=end, segment=segment)


def read_stretches(
    store: MonitorStore,
    monitor: Monitor,
    stretch: str,
    *,
    since: Millis | None = None,
    until: Millis | None = None,
    limit: int = 1000,
    segment: str = "",
    profile: Profile | None = None,
) -> tuple[Window, ...]:
    """The stretches that are kept, or that windows were merged into for good, oldest first; and behind them, merged
    with `profile`, those that are not yet. Without a profile the parts of those are given as they are."""
    kept: tuple[Window, ...] = store.windows(
        monitor.name, since=since, until=until, limit=limit, segment=level_name(stretch, segment)
    )
    extent = store.extent(monitor.name, segment=segment)
    if extent is None:
        return kept
    found = _with_settled(store, monitor, stretch, kept, since, until, limit, segment, profile)
    behind = max(each.end for each in found) if found else max(extent[0], since or extent[0])
    last = extent[1] if until is None else min(extent[1], until - 1)
    gaps = _between(store, monitor.name, stretch, found[-limit:], segment)
    for start, end in (*gaps, *_stretches_between(stretch, behind, last, limit)):
        parts = parts_of(store, monitor, stretch, start, end, segment)
        if profile is None:
            found += parts
        elif (made := merge_windows(parts, profile, start=start, end=end, segment=segment)) is not None:
            found.append(made)
    found.sort(key=lambda each: each.start)
    return tuple(found[-limit:])


def _between(
    store: MonitorStore, monitor: str, stretch: str, found: Sequence[Window], segment: str
) -> list[tuple[Millis, Millis]]:
    """The stretches between those that were found which have windows, but too few or too new to be merged, and are not
    kept yet: few, unless much is to be caught up with."""
    if not found:
        return []
    length, offset = STRETCHES[stretch], MONDAY if stretch == "week" else 0
    begun = store.begun(
        monitor, length=length, offset=offset, since=found[0].start, until=found[-1].start, segment=segment
    )
    known = {bounds(stretch, each.start)[0] for each in found}
    longest = [(each.start, each.end) for each in found if each.end - each.start > length]
    missing = [start for start in begun if start not in known]
    return [(start, start + length) for start in missing if not any(begin <= start < end for begin, end in longest)]


def _with_settled(
    store: MonitorStore,
    monitor: Monitor,
    stretch: str,
    kept: Sequence[Window],
    since: Millis | None,
    until: Millis | None,
    limit: int,
    segment: str,
    profile: Profile | None,
) -> list[Window]:
    """What is kept of a stretch, and the windows that last as long or longer by themselves: compaction made them, and
    let go of what was kept beside them. Oldest first."""
    length = STRETCHES[stretch]
    known = {each.start for each in kept}
    long = [
        each
        for each in store.windows(monitor.name, since=since, until=until, limit=limit, segment=segment, shortest=length)
        if bounds(stretch, each.start)[0] not in known
    ]
    # Where a version took over within it, the stretch has a shorter window, too.
    starts = {bounds(stretch, each.start)[0] for each in long}
    if long and profile is not None:
        every = store.windows(monitor.name, since=long[0].start, until=long[-1].end, limit=4 * limit, segment=segment)
        long = [each for each in every if bounds(stretch, each.start)[0] in starts]
        long = list(merged_by(long, stretch, profile))
    return sorted([*kept, *long], key=lambda each: each.start)


def _stretches_between(stretch: str, first: Millis, last: Millis, limit: int) -> Iterator[tuple[Millis, Millis]]:
    """The newest `limit` of the stretches between two times, oldest first."""
    if last < first:
        return
    length = STRETCHES[stretch]
    start = max(bounds(stretch, first)[0], bounds(stretch, last)[0] - (limit - 1) * length)
    while start <= last:
        yield start, start + length
        start += length


def merged_by(windows: Sequence[Window], stretch: str, profile: Profile) -> tuple[Window, ...]:
    """Windows merged by stretch, all at once: for those that are few. One that is longer than the stretch stays as it
    is. Oldest first."""
    found = []
    for parts in by_stretch(windows, stretch).values():
        if len(parts) == 1 and stretch != ALL and parts[0].end - parts[0].start >= STRETCHES[stretch]:
            found.append(parts[0])
            continue
        start, end = (parts[0].start, parts[-1].end) if stretch == ALL else bounds(stretch, parts[0].start)
        end = max(end, *(part.end for part in parts))
        made = merge_windows(parts, profile, start=start, end=end, segment=parts[-1].segment)
        if made is not None:
            found.append(made)
    return tuple(found)
