"""Windows merged into longer stretches of time: an hour, a day, a week, all of it. Counts add up, so a stretch is
judged against the reference exactly as a window of that many rows is. Plain Python."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from backends.entities import Estimate, Millis, Window
from console.monitoring.counted.counts import Counts, Layout, layout_of, merge, unpack
from console.monitoring.counted.profile import CategoricalColumn, NumericColumn, Profile, ReferenceColumn
from console.monitoring.counted.windows import LENGTHS, make_window
from console.monitoring.quality.lag import added, median_lag
from console.monitoring.quality.performance import measure
from console.wording import plural

ALL = "all"
STRETCHES: dict[str, Millis] = {**LENGTHS, "week": 7 * LENGTHS["day"]}
"""Lengths in ms, in rising order."""
MONDAY = 3 * LENGTHS["day"]
"""1 January 1970 was a Thursday; weeks begin on Monday."""


def stretches(window: str) -> tuple[str, ...]:
    """What the windows of a monitor can be shown as, the shortest first: its own kind, and all that is longer."""
    own = STRETCHES.get(window, STRETCHES["hour"])  # batches come when they come: a day is what they are put into
    return (window, *(name for name, length in STRETCHES.items() if length > own), ALL)


def kind_of(window: Window, own: str) -> str:
    """What a window is: of the kind `own` that its monitor counts by, or the hour or day it was merged into since."""
    length = window.end - window.start
    longer = [name for name in ("hour", "day") if LENGTHS[name] > STRETCHES.get(own, LENGTHS["day"])]
    return next((name for name in reversed(longer) if length >= LENGTHS[name]), own)


def merged_words(windows: Sequence[Window], own: str) -> str:
    """`90 hours and 2 days`: which of these windows were merged into longer ones since they were counted."""
    kinds = [kind_of(window, own) for window in windows]
    return " and ".join(plural(kinds.count(name), name) for name in ("hour", "day") if name != own and name in kinds)


def bounds(stretch: str, at: Millis) -> tuple[Millis, Millis]:
    """Start and end of the stretch (UTC) that `at` falls into."""
    length = STRETCHES[stretch]
    start = at - (at + MONDAY) % length if stretch == "week" else at - at % length
    return start, start + length


def by_stretch(windows: Iterable[Window], stretch: str) -> dict[Millis, list[Window]]:
    """Start of a stretch → its windows, both in rising order. All of them are one stretch for `all`."""
    found: dict[Millis, list[Window]] = {}
    for window in sorted(windows, key=lambda each: each.start):
        start = 0 if stretch == ALL else bounds(stretch, window.start)[0]
        found.setdefault(start, []).append(window)
    return found


def merged(windows: Sequence[Window]) -> Counts | None:
    """The counts of windows of one version together: an hour, a week, any stretch."""
    return merge(unpack(window.counts) for window in windows if window.counts)


def merge_windows(
    windows: Sequence[Window],
    profile: Profile,
    *,
    start: Millis,
    end: Millis,
    segment: str = "",
    layout: Layout | None = None,
) -> Window | None:
    """Windows as one. Where a version took over within the stretch, only the newest one's are counted: the cells of two
    references cannot be added. None where nothing was counted.

    What is no count is averaged: multivariate figures and bias by rows, the labels' lag by labels. segment: under which
    name it is kept, `~day` and the like too.
    """
    if not windows:
        return None
    layout = layout or layout_of(profile)
    newest = max(windows, key=lambda each: each.start)
    own = [each for each in windows if each.model_version == newest.model_version and each.counts]
    parts = [counts for counts in (unpack(each.counts) for each in own) if counts.layout == layout.code]
    counts = merge(parts)
    if counts is None:
        return None
    made = make_window(
        newest.monitor, profile, layout, counts, start=start, end=end, version=newest.model_version, gone=_gone(newest),
        segment=_part(newest.segment),
    )  # fmt: skip
    lags: dict[int, int] = {}
    for each in own:
        lags = added(lags, each.lags)
    return msgspec.structs.replace(
        made,
        segment=segment,
        lags=lags,
        label_lag=median_lag(lags) if lags else _lag(own),
        multivariate=_averaged([each.multivariate for each in own], [each.rows for each in own]),
        bias=made.bias or _averaged([each.bias for each in own], [each.rows for each in own]),
        **({} if made.estimated else {"estimated": _averaged([e.estimated for e in own], [e.rows for e in own])}),
    )


def _part(segment: str) -> str:
    """Which part of the rows a window is about: `~day:jfk` is about `jfk`, `~day` about the whole."""
    return segment.partition(":")[2] if segment.startswith("~") else segment


def _gone(newest: Window) -> tuple[str, ...]:
    return tuple(score.column for score in newest.columns if score.fault == "gone")


def _lag(windows: Sequence[Window]) -> float | None:
    known = [(each.label_lag, each.labelled) for each in windows if each.label_lag is not None and each.labelled]
    total = sum(labels for _, labels in known)
    return math.fsum(lag * labels for lag, labels in known) / total if total else None


def _averaged(parts: Sequence[dict[str, Estimate]], rows: Sequence[int]) -> dict[str, Estimate]:
    """Each figure averaged over the windows that have it, weighted by rows; the interval is that of independent
    parts."""
    found = {}
    for key in dict.fromkeys(key for part in parts for key in part):
        known = [(part[key], max(1, count)) for part, count in zip(parts, rows, strict=True) if key in part]
        total = sum(count for _, count in known)
        value = math.fsum(each.value * count for each, count in known) / total
        low = high = None
        if all(each.low is not None and each.high is not None for each, _ in known):
            below = math.sqrt(math.fsum(((each.value - (each.low or 0.0)) * count) ** 2 for each, count in known))
            above = math.sqrt(math.fsum((((each.high or 0.0) - each.value) * count) ** 2 for each, count in known))
            low, high = value - below / total, value + above / total
        found[key] = Estimate(value=value, low=low, high=high, n=sum(each.n for each, _ in known))
    return found


def profile_of(profile: Profile, counts: Counts) -> Profile:
    """A profile whose reference is what was counted before, over the same cells: what `previous` is judged against.

    How far days differ by themselves, and how far chance reaches by size, stay as the training data told.
    """
    layout = layout_of(profile)
    columns: list[ReferenceColumn] = [
        _counted(column, counts.column(layout, column.name)) for column in profile.columns
    ]
    table = counts.score(layout)
    score = msgspec.structs.replace(profile.score, counts=tuple(number for part in table for number in part))
    labels = counts.label(layout)
    known = profile.label is not None and any(labels)
    measured = measure(table, counts.sums, profile.task, profile.scale)
    return msgspec.structs.replace(
        profile,
        rows=counts.rows,
        columns=tuple(columns),
        score=score,
        label=_counted(profile.label, labels) if profile.label is not None and known else None,
        metrics={key: found.value for key, found in measured.items()},
        within={},
    )


def _counted(column: ReferenceColumn, counts: tuple[int, ...]) -> NumericColumn | CategoricalColumn:
    return msgspec.structs.replace(column, counts=counts)


def against_previous(window: Window, before: Window, profile: Profile) -> Window:
    """The window with its scores against an earlier one in place of training."""
    layout = layout_of(profile)
    earlier = profile_of(profile, unpack(before.counts))
    made = make_window(
        window.monitor,
        earlier,
        layout,
        unpack(window.counts),
        start=window.start,
        end=window.end,
        version=window.model_version,
    )
    return msgspec.structs.replace(
        window,
        columns=made.columns,
        prediction=made.prediction,
        label=made.label,
        reference=made.reference if made.reference else {key: each.value for key, each in before.performance.items()},
        state=made.state,
    )
