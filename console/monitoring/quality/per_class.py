"""Precision, recall and F1 of classes from a table of predicted against true ones. Plain Python.

A table is as `Counts.confusion` gives it: shape (classes, classes + 1), predicted by true, unlabelled last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from backends.entities import Estimate
from console.monitoring.quality.performance import Z95, wilson

Table = Sequence[Sequence[int]]


def of_class(table: Table, at: int) -> dict[str, Estimate]:
    """`precision`, `recall` and `f1` of the class at this position; one that has no row to be taken over is left out.

    Precision and recall are shares, with Wilson's interval. F1 = 2 s / (1 + s), where s = TP / (TP + FP + FN) is a
    share too, so that its interval is s's, carried over.
    """
    hits = table[at][at]
    said = sum(table[at][: len(table)])
    true = sum(row[at] for row in table)
    found: dict[str, Estimate] = {}
    if said:
        found["precision"] = wilson(hits, said)
    if true:
        found["recall"] = wilson(hits, true)
    union = said + true - hits
    if union:
        share = wilson(hits, union)
        found["f1"] = Estimate(
            value=_f1(share.value), low=_f1(share.low or 0.0), high=_f1(share.high or 0.0), n=share.n
        )
    return found


def per_class(table: Table, classes: Sequence[str]) -> dict[str, dict[str, Estimate]]:
    """class → its metrics, in the order of the classes; empty where no table is counted."""
    return {name: of_class(table, at) for at, name in enumerate(classes)} if table else {}


def macro_f1(table: Table) -> Estimate | None:
    """The mean of the F1 of all classes that were said or true; None without labels.

    The interval is that of a function of multinomial shares (delta method).
    Source: Takahashi, Yamamoto, Kuchiba & Koyama, Applied Intelligence 52 (2022).
    """
    size = len(table)
    cells = [list(row[:size]) for row in table]
    n = sum(map(sum, cells))
    if not n:
        return None
    both = [sum(cells[at]) + sum(row[at] for row in cells) for at in range(size)]
    own = [cells[at][at] for at in range(size)]
    met = sum(1 for count in both if count)
    value = sum(2 * hits / count for hits, count in zip(own, both, strict=True) if count) / met
    mean = square = 0.0
    for said in range(size):
        for true in range(size):
            count = cells[said][true]
            if not count:
                continue
            # d F1 of a class / d share: 2 / margin for its own cell, less 2 hits / margin² for each margin it is in.
            slope = -2 * n * (own[said] / both[said] ** 2 + own[true] / both[true] ** 2)
            slope += 2 * n / both[said] if said == true else 0.0
            mean += count / n * slope
            square += count / n * slope * slope
    half = Z95 * math.sqrt(max(0.0, square - mean * mean) / n) / met
    return Estimate(value=value, low=max(0.0, value - half), high=min(1.0, value + half), n=n)


def _f1(share: float) -> float:
    return 2 * share / (1 + share)
