"""How far two samples that are in order lie apart: exact KS and Wasserstein, most of it without a merge.

Only a worker process comes here.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

Vector = np.ndarray[Any, Any]

BLOCK = 1 << 14
"""Rows that are gone through at once: what they need fits the processor's own memory."""
SHARE, FEWEST = 12, 8
"""Rows between two stops: this share of what the gap of two samples of one distribution wanders by chance, and the
least. More, and the gap may cross zero between more of them; fewer, and there are more to look up."""


class _Stops(NamedTuple):
    """Values at which the gap of the distribution functions is known. Gaps are n * m times the difference, in whole
    numbers."""

    values: Vector
    """shape (k,), rising, no two alike: the first is the least of both samples, the last the largest."""
    first: Vector
    second: Vector
    """Rows of either sample up to each, itself with them."""
    gap: Vector
    """From each value on."""
    before: Vector
    """Just below it."""
    up: Vector
    down: Vector
    """How far the gap can rise and fall between a stop and the next, shape (k - 1,)."""


def distances_in_order(reference: Vector, current: Vector) -> tuple[float, float]:
    """Kolmogorov-Smirnov and Wasserstein distance of two samples of finite numbers, rising: (0 to 1, in the values' own
    unit).

    The largest gap of the distribution functions, and the area between them. Between two stops the gap cannot leave
    what their own gaps and the rows between them allow: where it cannot change its sign the area is that of sums, and
    where it cannot be the largest nobody looks for it. Only the other stretches are merged row by row.
    Equal to `scipy.stats.ks_2samp(…).statistic` and `scipy.stats.wasserstein_distance`.
    Sources: Smirnov, Ann. Math. Stat. 19 (1948); Vallender, Theory Probab. Appl. 18 (1974).
    """
    n, m = len(reference), len(current)
    if not n or not m:
        return 0.0, 0.0
    stops = _stops(reference, current)
    worst = int(max(np.abs(stops.gap).max(), np.abs(stops.before).max()))
    highest = np.minimum(stops.gap[:-1] + stops.up, stops.before[1:] + stops.down)
    lowest = np.maximum(stops.gap[:-1] - stops.down, stops.before[1:] - stops.up)
    with np.errstate(over="ignore", invalid="ignore"):
        areas = stops.gap[:-1] * np.diff(stops.values)
        areas += m * _sums_to_stop(reference, stops.first, stops.values)
        areas -= n * _sums_to_stop(current, stops.second, stops.values)
        np.abs(areas, out=areas)
    open_ = ((highest > 0) & (lowest < 0)) | (np.maximum(highest, -lowest) > worst) | ~np.isfinite(areas)
    area = float(areas[~open_].sum())
    if open_.any():
        found, more = _merged(reference, current, stops, open_)
        worst, area = max(worst, found), area + more
    return worst / (n * m), area / (n * m)


def _stops(reference: Vector, current: Vector) -> _Stops:
    n, m = len(reference), len(current)
    apart = max(FEWEST, int(math.sqrt(n * (n + m) / (2 * m))) // SHARE)
    ends = min(reference[0], current[0]), max(reference[-1], current[-1])
    values = np.concatenate([ends[:1], reference[apart::apart], ends[1:]])
    values = values[np.concatenate([[True], values[1:] != values[:-1]])]
    under, first = _ranks(reference, values)
    below, second = _ranks(current, values)
    up, down = (under[1:] - first[:-1]) * m, (below[1:] - second[:-1]) * n
    return _Stops(values, first, second, first * m - second * n, under * m - below * n, up, down)


def _ranks(rows: Vector, values: Vector) -> tuple[Vector, Vector]:
    """Rows below each value, and rows up to it. Few rows equal one, and most of these are alone."""
    below = rows.searchsorted(values)
    upto = below.copy()
    there = np.flatnonzero(rows.take(below, mode="clip") == values)
    upto[there] += 1
    tied = there[rows.take(upto[there], mode="clip") == values[there]]
    upto[tied] = rows.searchsorted(values[tied], side="right")
    return below, upto


def _sums_to_stop(rows: Vector, ranks: Vector, values: Vector) -> Vector:
    """Of the rows between a stop and the next: the sum of how far each is from the latter. shape (len(values) - 1,)."""
    sizes = np.diff(ranks)
    found = np.zeros(len(sizes))
    first = 0
    for last in ranks.searchsorted(np.arange(ranks[0] + BLOCK, ranks[-1] + BLOCK, BLOCK)).tolist():
        stop = min(last, len(sizes))
        full = first + np.flatnonzero(sizes[first:stop])
        if len(full):
            away = np.repeat(values[first + 1 : stop + 1], sizes[first:stop])
            away -= rows[ranks[first] : ranks[stop]]
            found[full] = np.add.reduceat(away, ranks[full] - ranks[first])
        first = stop
    return found


def _merged(reference: Vector, current: Vector, stops: _Stops, open_: Vector) -> tuple[int, float]:
    """Largest gap and area of the stretches that are open, row by row. open_: shape (k - 1,)."""
    turns = np.diff(open_.astype(np.int8), prepend=0, append=0)
    begin, end = np.flatnonzero(turns == 1), np.flatnonzero(turns == -1)
    olds = [reference[a:b] for a, b in zip(stops.first[begin].tolist(), stops.first[end].tolist(), strict=True)]
    news = [current[a:b] for a, b in zip(stops.second[begin].tolist(), stops.second[end].tolist(), strict=True)]
    both = np.concatenate([stops.values[begin], *olds, *news, stops.values[end]])
    # What each adds to the gap: a begin what happened since the end before it, an end nothing.
    since = stops.gap[begin]
    since[1:] -= stops.gap[end[:-1]]
    counts = [len(begin), sum(map(len, olds)), sum(map(len, news)), len(end)]
    adds = np.repeat([0, len(current), -len(reference), 0], counts)
    adds[: len(begin)] = since
    # Rising runs: a stable sort only merges them. A begin stands before the rows that equal it, an end behind them.
    order = np.argsort(both, kind="stable")
    closed = len(both) - len(end)
    worst, area, seen = 0, 0.0, 0
    for start in range(0, len(order) - 1, BLOCK):
        spots = order[start : start + BLOCK + 1]
        steps = np.diff(both.take(spots))
        spots = spots[:-1]
        gap = adds.take(spots)
        gap[0] += seen
        np.cumsum(gap, out=gap)
        seen = int(gap[-1])
        np.abs(gap, out=gap)
        steps[spots >= closed] = 0
        # Within ties the functions jump at once: only the last of equal values counts.
        worst = max(worst, int(gap[steps > 0].max(initial=0)))
        with np.errstate(over="ignore"):
            # No np.dot: its threads would wait for each other longer than they work.
            area += float(np.multiply(gap, steps, out=steps).sum())
    return worst, area
