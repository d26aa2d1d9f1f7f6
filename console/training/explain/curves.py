"""Permutation importance with its spread, and partial dependence.

Sources: Breiman, "Random forests", Machine Learning 45, 2001, and Fisher et al., "All models are wrong, but many are
useful", JMLR 20, 2019 (importance); Friedman, "Greedy function approximation", Ann. Stat. 29, 2001 (dependence). Both
shuffle or set one column alone: where columns hang together, they also ask about rows that do not occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from console.training.explain.figures import Curve, Importance

REPEATS: Final = 10
POINTS: Final = 24
LEVELS: Final = 12
CENTRE: Final = (0.05, 0.95)
"""Quantiles between which a number's curve is drawn: outside there are few rows to speak of."""


def importance(
    better: Callable[[Any], float], frame: pd.DataFrame, *, repeats: int = REPEATS, seed: int = 0
) -> Iterator[Importance]:
    """Of each column the fall of `better` (frame → a number, more is better) when it is shuffled."""
    rng = np.random.default_rng(seed)
    whole = better(frame)
    for name in frame.columns:
        falls = np.empty(repeats)
        for at in range(repeats):
            shuffled = frame.copy(deep=False)
            shuffled[name] = frame[name].take(rng.permutation(len(frame))).array
            falls[at] = whole - better(shuffled)
        yield Importance(column=str(name), fall=float(falls.mean()), spread=float(falls.std()))


def dependence(score: Callable[[Any], Any], frame: pd.DataFrame, name: str) -> Curve | None:
    """The partial dependence on a column; None where it has one value, or none that a curve could be drawn over."""
    column = frame[name]
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return None
    present = column.dropna()
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        grid: list[Any] = numbers(present.to_numpy("float64"))
    else:
        grid = list(present.value_counts().index[:LEVELS])
    if len(grid) < 2:
        return None
    means = []
    for value in grid:
        put = frame.copy(deep=False)
        put[name] = np.full(len(frame), value, dtype=object if isinstance(value, str) else None)
        means.append(float(np.mean(score(put))))
    if isinstance(grid[0], float):
        return Curve(column=name, values=tuple(grid), means=tuple(means))
    return Curve(column=name, levels=tuple(map(str, grid)), means=tuple(means))


def numbers(values: Any) -> list[float]:
    """Where a number's curve is measured: each of its values where they are few, else evenly between two quantiles."""
    distinct = np.unique(values)
    if len(distinct) <= POINTS:
        return [float(value) for value in distinct]
    low, high = np.quantile(values, CENTRE)
    if high <= low:
        low, high = distinct[0], distinct[-1]
    return [float(value) for value in np.linspace(low, high, POINTS)]
