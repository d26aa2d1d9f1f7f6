"""How well the rows of one query were put in order, from sums over queries that add up. Plain Python.

`counted.ranked` makes the sums: rows of a query fall by score, and a label above 0 is relevant (a grade, or a click).
Precision and hit rate are taken over all queries whose rows all have labels; where nothing is relevant there is no
order to be right, and the others leave such a query out. Queries are the sample: intervals are those of a mean over
independent queries, however many rows each has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from backends.entities import Estimate
from console.monitoring.quality.performance import Z95, wilson

TOP = 10
"""Ranks that are looked at where a monitor says no other number; the reciprocal rank looks at all."""
MOST = 1000
USUAL = (1, 3, 5, TOP, 20, 50, 100)
"""Those for which a version knows its own order since training."""
SUMS = (
    *("queries", "relevant", "hits"),
    *(f"{name}{power}" for name in ("ndcg", "map", "mrr", "recall_at_k", "precision_at_k") for power in ("", "2")),
)
"""Queries with all labels, those of them with a relevant row, those with one among the first k; then the sum and
the sum of squares of each metric."""
OF_ALL = ("mrr",)
"""Those that look at all ranks, however many the others look at."""
METRICS = ("ndcg", "map", "mrr", "hit_rate", "precision_at_k", "recall_at_k")


def add_ranked(first: Sequence[float], second: Sequence[float]) -> tuple[float, ...]:
    """The sums of both together; empty where neither has any."""
    if not first or not second:
        return tuple(first or second)
    return tuple(a + b for a, b in zip(first, second, strict=True))


def measure_ranked(sums: Sequence[float]) -> dict[str, Estimate]:
    """Each metric with a 95 % interval; empty without a query. sums: as `SUMS`.

    NDCG: Järvelin & Kekäläinen, ACM TOIS 20 (2002), the label itself as gain, as `sklearn.metrics.ndcg_score`; average
    precision over the first k, divided by the relevant rows that could stand there; mean reciprocal rank.
    """
    if not sums:
        return {}
    held = dict(zip(SUMS, sums, strict=True))
    queries, relevant = round(held["queries"]), round(held["relevant"])
    found: dict[str, Estimate] = {}
    if queries > 0:
        found["hit_rate"] = wilson(min(queries, round(held["hits"])), queries)
        found["precision_at_k"] = _mean(queries, held["precision_at_k"], held["precision_at_k2"])
    if relevant > 0:
        for name in ("ndcg", "map", "mrr", "recall_at_k"):
            found[name] = _mean(relevant, held[name], held[f"{name}2"])
    return {name: found[name] for name in METRICS if name in found}


def _mean(n: int, total: float, squares: float) -> Estimate:
    """A mean of shares. With k the standard error squared, mean (1 - mean) / k is as many coin tosses as would be as
    unsure, and Wilson's interval for them stays within 0 and 1 and does not shrink to nothing where all are alike."""
    mean = min(1.0, max(0.0, total / n))
    freedom = max(1, n - 1)
    # Student's quantile in place of the normal one, to the first order of its expansion.
    variance = max(0.0, squares / n - mean * mean) / freedom * (1 + (Z95 * Z95 + 1) / (2 * freedom))
    tosses = mean * (1 - mean) / variance if variance > 0 else float(n)
    tosses = min(max(tosses, 1.0), 1e12)
    z2 = Z95 * Z95
    centre = (mean + z2 / (2 * tosses)) / (1 + z2 / tosses)
    half = Z95 * math.sqrt(mean * (1 - mean) / tosses + z2 / (4 * tosses * tosses)) / (1 + z2 / tosses)
    return Estimate(value=mean, low=max(0.0, centre - half), high=min(1.0, centre + half), n=n)
