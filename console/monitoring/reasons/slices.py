"""The worst slices, found by themselves: parts of the sampled rows that are answered worse than the rest. numpy, pandas
and scipy live here: a worker process alone.

Every level, band and missing value of every column is tried, alone and in pairs of columns. Of so many something is
always bad by chance: p-values are corrected over all that were tried (Benjamini & Hochberg, JRSS B 57, 1995), and of
slices that share their rows the strongest stays, the others only if they are bad without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from backends.query_text import KEYWORDS
from console.monitoring.counted.columns import Vector, as_text, is_numeric, numeric_values
from console.monitoring.counted.distances import benjamini_hochberg
from console.monitoring.counted.profile import PROBABILITY, Profile
from console.monitoring.feeds.sample import OWN
from console.monitoring.reasons.found_slices import Slice

LEVELS = 12
"""Most frequent levels of a column that are tried."""
BANDS = 4
LEAST_ROWS = 30
LEAST_SHARE = 0.01
"""Rows that a slice needs, and of all rows."""
FALSE_DISCOVERIES = 0.05
LEAST_EFFECT = 0.02
"""Error rates that differ by less are called alike; of a regression, a tenth of the mean error."""
ALSO = 0.01
"""p-value without the slices that were found already, under which a slice is bad by itself."""
MOST = 20


@dataclass
class _Conditions:
    """All that is tried: shape (rows, conditions) truth, and of each condition its column and words."""

    inside: Vector
    columns: list[str]
    words: list[str]


def error_name(profile: Profile) -> str:
    return "absolute error" if profile.task == "regression" else "error rate"


def errors_of(sample: pd.DataFrame, profile: Profile) -> Vector:
    """Error of each sampled row, shape (n,): 1 for a wrong answer, 0 for a right one; of a regression the absolute
    error. NaN where unlabelled or unscored."""
    names = [name for name in sample.columns if str(name).startswith(f"{OWN}score")]
    target = sample[f"{OWN}target"].to_numpy(dtype=np.float64)
    if not names:
        return np.full(len(sample), np.nan)
    scores = sample[sorted(names, key=lambda name: int(name.removeprefix(f"{OWN}score")))].to_numpy(dtype=np.float64)
    if profile.task == "regression":
        distance: Vector = np.abs(scores[:, 0] - target)
        return distance
    if profile.task == "binary":
        wrong = (scores[:, 0] >= (0.5 if profile.scale == PROBABILITY else 0.0)) != (target == 1)
    else:
        wrong = np.where(np.isfinite(scores), scores, -np.inf).argmax(axis=1) != target
    found: Vector = np.where(np.isnan(target) | ~np.isfinite(scores[:, 0]), np.nan, wrong.astype(np.float64))
    return found


def worst_slices(rows: pd.DataFrame, errors: Vector, *, level: float = FALSE_DISCOVERIES) -> tuple[list[Slice], int]:
    """The slices that are worse than the rest, most telling first, and how many were tried.

    rows: the features of n rows; errors: shape (n,), 0 or 1, or absolute errors; both without missing labels. Error
    rates are tested by the hypergeometric distribution (Fisher), errors in units by Welch's t; one-sided.
    """
    if len(rows) < 2 * LEAST_ROWS:
        return [], 0
    tried = _conditions(rows)
    n = len(rows)
    inside = tried.inside.astype(np.float32)
    support = inside.T @ inside
    total = inside.T @ (inside * errors[:, None].astype(np.float32))
    least = max(LEAST_ROWS, int(LEAST_SHARE * n))
    upper = np.triu(np.ones(support.shape, dtype=bool))
    column = np.array(tried.columns, dtype=object)
    same = column[:, None] == column[None, :]
    alone = np.diag(support)
    # A pair that is nearly one of its own two conditions says nothing that this one does not.
    new = (support <= 0.95 * np.minimum(alone[:, None], alone[None, :])) & ~same
    fit = upper & (new | np.eye(len(column), dtype=bool)) & (support >= least) & (support <= n - least)
    first, second = np.nonzero(fit)
    if not len(first):
        return [], 0
    counts, sums = support[first, second].astype(np.float64), total[first, second].astype(np.float64)
    whole = float(errors.sum())
    if set(np.unique(errors)) <= {0.0, 1.0}:
        p_values = stats.hypergeom.sf(np.round(sums) - 1, n, round(whole), np.round(counts))
        floor = LEAST_EFFECT
    else:
        squares = (inside.T @ (inside * (errors**2)[:, None].astype(np.float32)))[first, second].astype(np.float64)
        p_values = _welch(counts, sums, squares, n, whole, float((errors**2).sum()))
        floor = 0.1 * whole / n
    q_values = np.array(benjamini_hochberg([float(value) for value in p_values]))
    effects = sums / counts - (whole - sums) / (n - counts)
    order = [at for at in np.lexsort((-effects, p_values)) if q_values[at] <= level and effects[at] >= floor]
    found: list[Slice] = []
    covered = np.zeros(n, dtype=bool)
    for at in order:
        mask = tried.inside[:, first[at]] & tried.inside[:, second[at]]
        if found and not _bad_without(mask, covered, errors, floor):
            continue
        covered |= mask
        words = list(dict.fromkeys((tried.words[first[at]], tried.words[second[at]])))
        found.append(_slice(words, errors, mask, float(p_values[at]), float(q_values[at]), share_of=n))
        if len(found) == MOST:
            break
    return found, len(first)


def _slice(words: Sequence[str], errors: Vector, mask: Vector, p_value: float, q_value: float, share_of: int) -> Slice:
    inside, outside = float(errors[mask].mean()), float(errors[~mask].mean())
    rows = int(mask.sum())
    whole = float(errors.sum())
    where = " and ".join(words)
    return Slice(
        where=where,
        depth=len(words),
        rows=rows,
        share=rows / share_of,
        error=inside,
        rest=outside,
        effect=inside - outside,
        contribution=(inside - outside) * rows / whole if whole > 0 else 0.0,
        p_value=p_value,
        q_value=q_value,
        text=f"{inside:.3g} against {outside:.3g} elsewhere, {rows} rows ({rows / share_of * 100:.0f} %)",
    )


def _bad_without(mask: Vector, covered: Vector, errors: Vector, floor: float) -> bool:
    """Whether a slice is bad among the rows that no better slice explains: else it only borrows from one."""
    left, rest = errors[mask & ~covered], errors[~mask & ~covered]
    if len(left) < LEAST_ROWS or len(rest) < LEAST_ROWS or left.mean() - rest.mean() < floor:
        return False
    if set(np.unique(errors)) <= {0.0, 1.0}:
        tail = stats.hypergeom.sf(left.sum() - 1, len(left) + len(rest), left.sum() + rest.sum(), len(left))
        return bool(tail <= ALSO)
    return bool(stats.ttest_ind(left, rest, equal_var=False, alternative="greater").pvalue <= ALSO)


def _welch(counts: Vector, sums: Vector, squares: Vector, n: int, whole: float, whole_squares: float) -> Vector:
    """One-sided p-values of Welch's t-test of each slice against its rest, from sums alone."""
    others = n - counts
    here, there = sums / counts, (whole - sums) / others
    spread = np.maximum(squares / counts - here**2, 0) / np.maximum(counts - 1, 1)
    spread_rest = np.maximum((whole_squares - squares) / others - there**2, 0) / np.maximum(others - 1, 1)
    both = np.maximum(spread + spread_rest, 1e-300)
    freedom = both**2 / np.maximum(
        spread**2 / np.maximum(counts - 1, 1) + spread_rest**2 / np.maximum(others - 1, 1), 1e-300
    )
    tails: Vector = stats.t.sf((here - there) / np.sqrt(both), freedom)
    return tails


def _conditions(rows: pd.DataFrame) -> _Conditions:
    masks: list[Vector] = []
    columns: list[str] = []
    words: list[str] = []
    for name in rows.columns:
        for mask, said in _parts(rows[name], spelled(str(name))):
            if LEAST_ROWS <= mask.sum() <= len(rows) - LEAST_ROWS:
                masks.append(mask)
                columns.append(str(name))
                words.append(said)
    inside = np.stack(masks, axis=1) if masks else np.zeros((len(rows), 0), dtype=bool)
    return _Conditions(inside, columns, words)


def _parts(values: pd.Series[Any], name: str) -> list[tuple[Vector, str]]:
    """Levels of a column, or bands of about equal rows, and what is missing."""
    found: list[tuple[Vector, str]] = []
    if is_numeric(values):
        numbers = numeric_values(values)
        missing = np.isnan(numbers)
        known = numbers[np.isfinite(numbers)]
        distinct = np.unique(known)
        if 1 < len(distinct) <= BANDS + 1:
            found += [(numbers == value, f"{name} = {value:.6g}") for value in distinct]
        elif len(distinct) > 1:
            inner = np.unique(np.quantile(known, np.arange(1, BANDS) / BANDS, method="inverted_cdf"))
            # As spelled: the condition that a person copies means these very rows.
            cuts = [-np.inf, *sorted({float(f"{cut:.6g}") for cut in inner}), np.inf]
            for low, high in pairwise(cuts):
                said = [f"{name} > {low:.6g}"] * bool(np.isfinite(low)) + [f"{name} <= {high:.6g}"] * bool(
                    np.isfinite(high)
                )
                if said:
                    found.append(((numbers > low) & (numbers <= high), " and ".join(said)))
    else:
        text = pd.Series(as_text(values).to_pandas()).astype("object")
        missing = text.isna().to_numpy(dtype=bool)
        for level in text.value_counts().index[:LEVELS]:
            found.append(((text == level).to_numpy(dtype=bool), f"{name} = {quoted(str(level))}"))
    found.append((missing, f"{name} is null"))
    return found


def spelled(name: str) -> str:
    """A column's name as the query language reads it."""
    plain = name.isascii() and name.isidentifier() and name.lower() not in KEYWORDS
    return name if plain else "`" + name.replace("`", "``") + "`"


def quoted(value: str) -> str:
    plain = value.isascii() and value.isidentifier() and value.lower() not in KEYWORDS
    return value if plain else "'" + value.replace("'", "''") + "'"
