"""How far one column's values moved between two versions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backends.entities import Column, ColumnType
from console.data.diff import Move
from console.data.profile import pieces
from console.data.profile_numbers import milliseconds
from console.data.profile_texts import count_texts
from console.data.sketch import Chooser, rank_error
from console.monitoring.counted.distances import jensen_shannon, psi

SAMPLED = 1 << 21
"""Numbers of a side that are compared; of a longer column a random sample of this size."""
CELLS = 10
DRAWN = 20
LEVELS = 30
"""Texts that are told apart; the others are one cell."""
NAMED = 20
REST = "(all others)"


def compare_column(first: Any, second: Any, column: Column, sampled: int) -> Move:
    """A column of two `ParquetFile`s that has the same type in both."""
    if column.type in (ColumnType.INT, ColumnType.FLOAT, ColumnType.DATETIME, ColumnType.DATE):
        return _numbers(first, second, column, sampled)
    return _texts(first, second, column)


def _numbers(first: Any, second: Any, column: Column, sampled: int) -> Move:
    old, missing, wide = _values(first, column.name, sampled)
    new, without, long = _values(second, column.name, sampled)
    shares = (missing, without)
    if not len(old) or not len(new):
        side = "before" if not len(old) else "after"
        return Move(name=column.name, type=column.type, missing=shares, compared=f"no value {side}")
    cuts = np.unique(np.quantile(old, np.linspace(0, 1, CELLS + 1)[1:-1], method="inverted_cdf"))
    a, b = _cells(old, cuts), _cells(new, cuts)
    low, high = min(old[0], new[0]), max(old[-1], new[-1])
    edges = np.linspace(low, high, DRAWN + 1) if high > low else np.array([low - 0.5, low + 0.5])
    return Move(
        name=column.name,
        type=column.type,
        psi=psi(a, b),
        js=jensen_shannon(a, b),
        ks=ks_distance(old, new),
        wasserstein=wasserstein_distance(old, new),
        missing=shares,
        median=(float(np.median(old)), float(np.median(new))),
        mean=(float(old.mean()), float(new.mean())),
        edges=tuple(edges.tolist()),
        before=tuple(np.histogram(old, edges)[0].tolist()),
        after=tuple(np.histogram(new, edges)[0].tolist()),
        error=max(rank_error(len(old)) if wide else 0.0, rank_error(len(new)) if long else 0.0),
        noise=chance(len(a), len(old), len(new)),
    )


def _values(file: Any, name: str, sampled: int) -> tuple[Any, float, bool]:
    """(values as floats, sorted, times in ms; share without a value; whether they are a sample)."""
    import pyarrow as pa

    total = file.metadata.num_rows
    chooser = Chooser(total, sampled) if total > sampled else None
    parts: list[Any] = [np.empty(0)]
    missing, scale = 0, 1.0
    for piece in pieces(file, name):
        missing += piece.null_count
        if pa.types.is_temporal(piece.type):
            scale, whole = milliseconds(piece.type)
            piece = piece.cast(whole)
        values = piece.drop_null().to_numpy()
        if values.dtype.kind == "f":
            missing += int(np.isnan(values).sum())
            values = values[np.isfinite(values)]
        parts.append((values if chooser is None else values[chooser.places(len(values))]).astype(float))
    found = np.concatenate(parts) * scale
    found.sort()
    return found, missing / total if total else 0.0, chooser is not None


def _cells(values: Any, cuts: Any) -> list[int]:
    """Counts of sorted values up to each cut, itself included, and above the last."""
    ends = np.searchsorted(values, cuts, "right")
    counts: list[int] = np.diff(np.concatenate([[0], ends, [len(values)]])).tolist()
    return counts


def ks_distance(old: Any, new: Any) -> float:
    """Two-sample Kolmogorov-Smirnov distance of sorted values; as `scipy.stats.ks_2samp`."""
    both = np.concatenate([old, new])
    below = np.searchsorted(old, both, "right") / len(old)
    other = np.searchsorted(new, both, "right") / len(new)
    return float(np.abs(below - other).max())


def wasserstein_distance(old: Any, new: Any) -> float:
    """First Wasserstein distance of sorted values: the area between the distribution functions; as
    `scipy.stats.wasserstein_distance`."""
    both = np.concatenate([old, new])
    both.sort(kind="mergesort")
    below = np.searchsorted(old, both[:-1], "right") / len(old)
    other = np.searchsorted(new, both[:-1], "right") / len(new)
    return float(np.sum(np.abs(below - other) * np.diff(both)))


def chance(cells: int, n: int, m: int) -> float:
    """PSI that two samples of one distribution stay under, but for about one pair in a thousand.

    PSI / (1/n + 1/m) is about chi-square with cells - 1 degrees of freedom; its quantile by Wilson & Hilferty (1931).
    """
    freedom = cells - 1
    if freedom < 1 or not n or not m:
        return 0.0
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + 3.09 * math.sqrt(part)) ** 3 * (1 / n + 1 / m))


def _texts(first: Any, second: Any, column: Column) -> Move:
    old, new = count_texts(first, column.name), count_texts(second, column.name)
    if old is None or new is None:
        return Move(name=column.name, type=column.type, compared="too many distinct values to compare")
    shares = tuple(side.missing / side.rows if side.rows else 0.0 for side in (old, new))
    n, m = sum(old.counts.values()), sum(new.counts.values())
    if not n or not m:
        side = "before" if not n else "after"
        return Move(name=column.name, type=column.type, missing=(shares[0], shares[1]), compared=f"no value {side}")
    share = {text: old.counts.get(text, 0) / n + new.counts.get(text, 0) / m for text in {*old.counts, *new.counts}}
    named = sorted(share, key=lambda text: (-share[text], text))[:LEVELS]
    a = [old.counts.get(text, 0) for text in named]
    b = [new.counts.get(text, 0) for text in named]
    if len(share) > len(named):
        named.append(REST)
        a.append(n - sum(a))
        b.append(m - sum(b))
    return Move(
        name=column.name,
        type=column.type,
        psi=psi(a, b),
        js=jensen_shannon(a, b),
        missing=(shares[0], shares[1]),
        labels=tuple(named),
        before=tuple(a),
        after=tuple(b),
        new=_only(new.counts, old.counts),
        lost=_only(old.counts, new.counts),
        noise=chance(len(a), n, m),
    )


def _only(here: dict[str, int], there: dict[str, int]) -> tuple[str, ...]:
    return tuple(sorted(here.keys() - there.keys(), key=lambda text: (-here[text], text))[:NAMED])
