"""A histogram's cumulative buckets as our cells where its edges are ours, else as quantiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from backends.entities.service import TIME_EDGES

SHARES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def cells(cumulative: Mapping[float, float]) -> tuple[int, ...]:
    """Counts by cell, shape (len(TIME_EDGES) + 1,), where the edges are exactly ours; empty where they are others.

    cumulative: upper edge in seconds, one of them infinite → answers up to it. What lies between other edges is not
    known, so nothing is spread over ours.
    """
    edges = sorted(edge for edge in cumulative if math.isfinite(edge))
    if math.inf not in cumulative or len(edges) != len(TIME_EDGES):
        return ()
    if not all(math.isclose(one, other, rel_tol=1e-5) for one, other in zip(edges, TIME_EDGES, strict=True)):
        return ()
    # Each sum is rounded, not each difference: they stay as many as they were.
    sums = [0, *(round(cumulative[edge]) for edge in (*edges, math.inf))]
    return tuple(max(0, after - before) for before, after in pairwise(sums))


def quantiles(cumulative: Mapping[float, float]) -> dict[str, float]:
    """`p50`, `p95`, `p99` in seconds, linear within a bucket, as `histogram_quantile` tells them; none of no answers.

    One that lies above the last finite edge is that edge: it is at least as long.
    """
    edges = sorted(cumulative)
    if len(edges) < 2 or edges[-1] != math.inf:
        return {}
    sums = _rising([cumulative[edge] for edge in edges])
    if sums[-1] <= 0:
        return {}
    return {name: _quantile(edges, sums, share) for name, share in SHARES.items()}


def _quantile(edges: Sequence[float], sums: Sequence[float], share: float) -> float:
    wanted = share * sums[-1]
    at = next(place for place, upto in enumerate(sums) if upto >= wanted)
    if edges[at] == math.inf:
        return edges[-2]
    low, before = (edges[at - 1], sums[at - 1]) if at else (min(0.0, edges[0]), 0.0)
    inside = sums[at] - before
    return low + (edges[at] - low) * (wanted - before) / inside if inside > 0 else edges[at]


def _rising(sums: Sequence[float]) -> list[float]:
    """Buckets of several instances may be of slightly different times, and fall by a little."""
    found: list[float] = []
    for each in sums:
        found.append(max(each, found[-1]) if found else each)
    return found
