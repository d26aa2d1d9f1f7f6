"""Limits for drift statistics, sized by resampling the reference, so that a small window cries wolf no oftener than a
large one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from console.monitoring.counted.cells import coarse, in_order
from console.monitoring.counted.columns import as_text, count_categorical, count_numeric, numeric_values
from console.monitoring.counted.counting import DAY_ROWS, FEWEST_DAYS, day_of
from console.monitoring.counted.distances import psi
from console.monitoring.counted.profile import (
    ALPHA,
    SCORE_CELLS,
    CategoricalColumn,
    Limits,
    NumericColumn,
    ReferenceColumn,
    ScoreCells,
)

SIZES = (50, 100, 250, 1000, 10_000)
"""Beyond the last size the scaled quantiles no longer change: counts are large and the statistics near their limits."""
DRAWS = 2000

Vector = np.ndarray[Any, Any]


def resample(counts: Sequence[int], column: ReferenceColumn, rng: np.random.Generator) -> Limits:
    """The (1 - ALPHA) quantiles of PSI and KS when reference and window both come from the reference's own
    distribution.

    Both sides are drawn anew (multinomial), because the saved reference is itself a sample of what the model was
    trained on.
    Source: parametric bootstrap, Efron & Tibshirani (1993), ch. 16.
    """
    return _limits(np.array(coarse(column, counts)), np.array(in_order(column, counts)), rng)


def resample_score(score: ScoreCells, rng: np.random.Generator) -> Limits:
    """The same for the score, all labels together."""
    whole = np.array(score.counts).reshape(3, SCORE_CELLS).sum(axis=0)
    return _limits(np.add.reduceat(whole, score.groups), whole, rng)


def _limits(groups: Vector, ordered: Vector, rng: np.random.Generator) -> Limits:
    psi_limits, ks_limits = [], []
    n = int(groups.sum())
    if not n:
        return Limits()
    # KS needs no fine cells for its limit: 32 runs of cells carry its null distribution to within its discreteness.
    runs = np.add.reduceat(ordered, np.arange(0, len(ordered), max(1, len(ordered) // 32))) if len(ordered) else ordered
    for size in SIZES:
        scale = 1 / n + 1 / size
        psi = _psi(_draw(groups, n, rng), _draw(groups, size, rng))
        psi_limits.append(float(np.quantile(psi, 1 - ALPHA)) / scale)
        filled = int(runs.sum()) if len(runs) else 0
        if filled:
            first, second = _draw(runs, filled, rng), _draw(runs, size, rng)
            gap = np.abs(first.cumsum(axis=1) / filled - second.cumsum(axis=1) / size).max(axis=1)
            ks_limits.append(float(np.quantile(gap, 1 - ALPHA)) / float(np.sqrt(1 / filled + 1 / size)))
    return Limits(sizes=SIZES, psi=tuple(psi_limits), ks=tuple(ks_limits))


def _draw(counts: Vector, size: int, rng: np.random.Generator) -> Vector:
    """shape (DRAWS, cells)"""
    return rng.multinomial(size, counts / counts.sum(), size=DRAWS)


def _psi(reference: Vector, current: Vector) -> Vector:
    """`drift.psi` row by row. Both of shape (draws, cells)."""
    n, m = reference.sum(axis=1, keepdims=True), current.sum(axis=1, keepdims=True)
    half = 0.5 / np.minimum(n, m)
    whole = 1 + half * reference.shape[1]
    p, q = (reference / n + half) / whole, (current / m + half) / whole
    found: Vector = ((q - p) * np.log(q / p)).sum(axis=1)
    return found


def natural_psi(column: ReferenceColumn, values: pd.Series[Any], times: pd.Series[Any], alpha: float) -> float:
    """How far a day of the reference itself is from the whole: the (1 - alpha) quantile of its days' PSI, 0 with
    fewer than 10 days.

    Days are no random draws from two months: the weather of one afternoon is alike. A limit under this would call
    every day a drift.
    """
    days = day_of(times)
    reference = coarse(column, column.counts)
    found = []
    rows = values.reset_index(drop=True)
    for day in np.unique(days[~pd.isna(days)]):
        part = rows[days == day]
        if len(part) < DAY_ROWS:
            continue
        if isinstance(column, NumericColumn):
            counts: Vector = count_numeric(numeric_values(part), column.edges)
        else:
            assert isinstance(column, CategoricalColumn)  # noqa: S101
            counts, _ = count_categorical(as_text(part), column)
        found.append(psi(reference, coarse(column, counts.tolist())))
    return float(np.quantile(found, 1 - alpha)) if len(found) >= FEWEST_DAYS else 0.0
