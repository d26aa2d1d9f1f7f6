"""A column's distribution twice, the reference's and now's, over the same bars: for drawing. Plain Python."""

from __future__ import annotations

from collections.abc import Sequence

from backends.contract import NotFound
from backends.entities import Record
from console.monitoring.counted.cells import shares
from console.monitoring.counted.counts import Counts, layout_of
from console.monitoring.counted.profile import SCORE_CELLS, NumericColumn, Profile


class Histogram(Record, frozen=True):
    """A column's distribution twice, in shares of all rows, over the same bars."""

    column: str
    bars: tuple[str, ...]
    """Name of each bar: a level, or the value a numeric bar starts at."""
    reference: tuple[float, ...]
    current: tuple[float, ...]
    edges: tuple[float, ...] = ()
    """Of a numeric column: one more than there are bars, equally far apart."""
    reference_rows: int = 0
    current_rows: int = 0
    special: dict[str, tuple[float, float]] = {}  # noqa: RUF012
    """`missing`, `below`, `above`, `infinite`, `new`, `other` → share in the reference and now, where either is
    above 0."""


def histogram(profile: Profile, counts: Counts, column: str, *, bars: int = 24) -> Histogram:
    """A column's reference and current distribution for drawing; `prediction` for the score. Raises NotFound.

    Numeric cells are as wide as the reference's quantiles made them: their rows are spread evenly over bars of equal
    width that reach from the reference's 1st to its 99th percentile cell, or its whole range where that is not much
    wider.
    """
    layout = layout_of(profile)
    if column == "prediction":
        return _score_histogram(profile, counts, bars)
    reference = profile.column(column)
    if reference is None:
        raise NotFound(f"the reference of this version has no column {column!r}")
    now, before = counts.column(layout, column), reference.counts
    total, reference_total = max(1, sum(now)), max(1, sum(before))
    here, there = shares(reference, now), shares(reference, before)
    odd = {
        "missing": (there.missing, here.missing),
        "infinite": (there.infinite, here.infinite),
        "new": (there.new, here.new),
    }
    if isinstance(reference, NumericColumn):
        odd["below"] = (before[-4], now[-4])
        odd["above"] = (before[-3], now[-3])
        edges = _drawn_edges(reference, bars)
        inner = reference.edges
        names = tuple(f"{edge:.4g}" for edge in edges[:-1])
        old_bars = _spread(inner, before[: reference.cells], edges)
        new_bars = _spread(inner, now[: reference.cells], edges)
    else:
        edges = ()
        kept = min(bars, len(reference.levels))
        names = reference.levels[:kept]
        old_bars, new_bars = list(map(float, before[:kept])), list(map(float, now[:kept]))
        odd["other"] = (sum(before[kept:-2]), sum(now[kept:-2]))
    return Histogram(
        column=column,
        bars=names,
        reference=tuple(value / reference_total for value in old_bars),
        current=tuple(value / total for value in new_bars),
        edges=edges,
        reference_rows=sum(before),
        current_rows=sum(now),
        special={name: (old / reference_total, new / total) for name, (old, new) in odd.items() if old or new},
    )


def _score_histogram(profile: Profile, counts: Counts, bars: int) -> Histogram:
    step = (profile.score.high - profile.score.low) / SCORE_CELLS
    inner = tuple(profile.score.low + step * cell for cell in range(SCORE_CELLS + 1))
    edges = _even(profile.score.low, profile.score.high, bars)
    before = [sum(profile.score.counts[cell::SCORE_CELLS]) for cell in range(SCORE_CELLS)]
    now = [sum(parts) for parts in zip(*counts.score(layout_of(profile)), strict=True)]
    return Histogram(
        column="prediction",
        bars=tuple(f"{edge:.4g}" for edge in edges[:-1]),
        reference=tuple(value / max(1, sum(before)) for value in _spread(inner, before, edges)),
        current=tuple(value / max(1, sum(now)) for value in _spread(inner, now, edges)),
        edges=edges,
        reference_rows=sum(before),
        current_rows=sum(now),
    )


def _drawn_edges(column: NumericColumn, bars: int) -> tuple[float, ...]:
    """A tail that holds a hundredth of the rows must not squeeze the rest into one bar."""
    edges = column.edges
    low, high = edges[0], edges[-1]
    total = sum(column.counts[: column.cells])
    inner_low, inner_high = low, high
    seen = 0
    for cell, count in enumerate(column.counts[: column.cells]):
        if seen + count <= total * 0.02:
            inner_low = edges[cell + 1]
        if seen >= total * 0.98:
            inner_high = min(inner_high, edges[cell])
        seen += count
    if inner_high - inner_low < (high - low) / 3 and inner_high > inner_low:
        low, high = inner_low, inner_high
    return _even(low, high, bars)


def _even(low: float, high: float, bars: int) -> tuple[float, ...]:
    if high <= low:
        high = low + 1.0
    return tuple(low + (high - low) * bar / bars for bar in range(bars + 1))


def _spread(inner: Sequence[float], counts: Sequence[int], edges: Sequence[float]) -> list[float]:
    """Rows of uneven cells over even bars; what lies outside the bars goes into the outer ones."""
    last_bar = len(edges) - 2
    low, scale = edges[0], (last_bar + 1) / (edges[-1] - edges[0])
    out = [0.0] * (last_bar + 1)
    for cell, count in enumerate(counts):
        if not count:
            continue
        left, right = inner[cell], inner[cell + 1]
        # Written out, for a screen asks for hundreds of cells at every change.
        first, last = int((left - low) * scale), int((right - low) * scale)
        first = 0 if first < 0 else last_bar if first > last_bar else first
        last = 0 if last < 0 else last_bar if last > last_bar else last
        if right <= left or first == last:
            out[first if first == last else min(last_bar, max(0, int(((left + right) / 2 - low) * scale)))] += count
            continue
        for bar in range(first, last + 1):
            start = left if bar == first else edges[bar]
            stop = right if bar == last else edges[bar + 1]
            out[bar] += count * max(0.0, stop - start) / (right - left)
    return out
