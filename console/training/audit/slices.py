"""The parts of the rows that a model serves worst: values of one feature, and of two together.

Every slice of enough rows is held against the rest by Welch's t-test on the loss of a row; the false discovery rate
over all of them is controlled at 5 % (Benjamini & Hochberg 1995). Sources: Chung et al., "Slice Finder: automated data
slicing for model validation", ICDE 2019.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Final

import numpy as np
import pandas as pd

from backends.entities import Record

BINS: Final = 4
LEVELS: Final = 12
"""Most frequent values of a column that make slices; the others are one slice together."""
PAIRED: Final = 8
"""Features whose pairs are looked at: those with the worst slices of their own."""
FALSE: Final = 0.05


class Slice(Record, frozen=True, kw_only=True):
    """A part of the rows. Losses are means over its rows; `p` is one-sided, before correction."""

    where: str
    rows: int
    loss: float
    ratio: float
    """To the loss of all rows."""
    p: float


def worst_slices(frame: pd.DataFrame, loss: Any, *, least: int, most: int = 5) -> list[Slice]:
    """The slices that are surely worse than the rest, the worst ratio first.

    frame: the features, shape (n, features). loss: shape (n,), of each row, finite.
    """
    coded = {name: _codes(frame[name]) for name in frame.columns}
    total = _Total(np.asarray(loss, float))
    found: list[tuple[Slice, tuple[str, ...]]] = []
    for name, (codes, words) in coded.items():
        found += [(each, (name,)) for each in _judged(codes, words, total, least)]
    best: dict[str, float] = {}
    for each, (name,) in found:
        best[name] = max(best.get(name, 0.0), each.ratio)
    chosen = sorted(best, key=lambda name: -best[name])[:PAIRED]
    for one, other in itertools.combinations(chosen, 2):
        codes, words = _crossed(coded[one], coded[other])
        found += [(each, (one, other)) for each in _judged(codes, words, total, least)]
    sure = _discovered(found)
    return _without_echoes(sure)[:most]


class _Total:
    def __init__(self, loss: Any) -> None:
        self.loss, self.squares = loss, loss * loss
        self.n, self.sum, self.square_sum = len(loss), float(loss.sum()), float(self.squares.sum())

    @property
    def mean(self) -> float:
        return self.sum / self.n


def _codes(column: Any) -> tuple[Any, list[str]]:
    """(the slice of each row, the words for each slice)."""
    name = str(column.name)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = column.dt.hour if column.dt.hour.nunique() > 1 else column.dt.month
        name = f"hour({name})" if column.nunique() > 12 else f"month({name})"
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        values = column.to_numpy("float64", na_value=np.nan)
        known = np.isfinite(values)
        if len(np.unique(values[known][:5_000])) > LEVELS:
            return _binned(name, values, known)
    text = column.astype("string").fillna("(missing)")
    frequent = text.value_counts().index[:LEVELS]
    shown = text.where(text.isin(frequent), "(other)")
    codes, words = pd.factorize(shown)
    return codes, [f"{name} = {word}" for word in words]


def _binned(name: str, values: Any, known: Any) -> tuple[Any, list[str]]:
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)))
    if len(edges) < 3:
        edges = np.array([edges[0], edges[-1], edges[-1]])
    codes = np.clip(np.searchsorted(edges[1:-1], values, side="right"), 0, len(edges) - 2)
    codes = np.where(known, codes, len(edges) - 1)
    words = [f"{name} {low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)]
    return codes, [*words, f"{name} missing"]


def _crossed(one: tuple[Any, list[str]], other: tuple[Any, list[str]]) -> tuple[Any, list[str]]:
    codes = one[0] * len(other[1]) + other[0]
    return codes, [f"{a} and {b}" for a in one[1] for b in other[1]]


def _judged(codes: Any, words: list[str], total: _Total, least: int) -> list[Slice]:
    counts = np.bincount(codes, minlength=len(words))
    sums = np.bincount(codes, weights=total.loss, minlength=len(words))
    squares = np.bincount(codes, weights=total.squares, minlength=len(words))
    out = []
    for at in np.flatnonzero((counts >= least) & (total.n - counts >= least)):
        n, rest = int(counts[at]), total.n - int(counts[at])
        mean, other = sums[at] / n, (total.sum - sums[at]) / rest
        if mean <= other:
            continue
        spread = _variance(squares[at], mean, n) / n + _variance(total.square_sum - squares[at], other, rest) / rest
        z = (mean - other) / math.sqrt(spread) if spread > 0 else math.inf
        ratio = mean / total.mean if total.mean > 0 else 1.0
        p = 0.5 * math.erfc(z / math.sqrt(2))
        out.append(Slice(where=words[at], rows=n, loss=float(mean), ratio=float(ratio), p=p))
    return out


def _variance(square_sum: float, mean: float, n: int) -> float:
    return max(square_sum / n - mean * mean, 0.0) * n / max(n - 1, 1)


def _discovered(found: list[tuple[Slice, tuple[str, ...]]]) -> list[tuple[Slice, tuple[str, ...]]]:
    """Those below Benjamini and Hochberg's line. Slices that are no worse than the rest were not kept, so that all
    `p` are below a half; the line is drawn as if twice as many had been looked at."""
    ordered = sorted(found, key=lambda each: each[0].p)
    tried = 2 * len(ordered)
    last = max((at for at, (each, _) in enumerate(ordered, 1) if each.p <= FALSE * at / tried), default=0)
    return ordered[:last]


def _without_echoes(found: list[tuple[Slice, tuple[str, ...]]]) -> list[Slice]:
    """A pair that is hardly worse than one of its own two says nothing new."""
    alone = {each.where: each.ratio for each, names in found if len(names) == 1}
    kept = []
    for each, names in found:
        parts = each.where.split(" and ") if len(names) == 2 else []
        if any(part in alone and each.ratio < alone[part] * 1.1 for part in parts):
            continue
        kept.append(each)
    return sorted(kept, key=lambda each: -each.ratio)
