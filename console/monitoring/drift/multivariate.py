"""What many columns say together and none alone: a relation between two that has turned, though each looks as before.

Held against a sample of rows that the model was not trained on, which is kept with the version
(`profile.REFERENCE_SAMPLE`). Seldom done, on samples, and in a worker alone.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd

from backends.contract import Invalid
from backends.entities import Estimate, Record
from console.monitoring.counted.columns import as_text, is_numeric, numeric_values
from console.monitoring.counted.profile import CategoricalColumn, NumericColumn, Profile
from console.monitoring.quality.performance import Z95, auc

FEWEST = 200
"""Rows of either side under which nothing is said."""
MOST = 2500
"""Rows of either side that are looked at."""
LEVELS = 20
"""Of a category, those that get a column of their own."""
FAR = 10.0
"""Standard deviations at which a value stops to count for more."""
KEPT = 0.65
"""Share of the variance that the components keep, so that what ties columns together is in them and noise is not."""
FOLDS = 2
CELLS = 256

Vector = np.ndarray[Any, Any]


class Together(Record, frozen=True, kw_only=True):
    """Window against reference, over all columns at once."""

    reconstruction: Estimate
    """How much worse the reference's components rebuild the window's rows than rows of the reference, in standard
    deviations of a row's error; 0 without drift."""
    domain: Estimate
    """Area under the ROC curve of a classifier that tells the window's rows from the reference's; 0.5 without drift."""
    columns: tuple[tuple[str, float], ...]
    """What the classifier tells them apart by: the fall of its area where a column is shuffled, largest first."""
    rows: int
    reference_rows: int


def together(profile: Profile, reference: pd.DataFrame, current: pd.DataFrame, *, seed: int = 0) -> Together:
    """How far rows are from the reference's, all columns together. reference, current: rows with the profile's columns
    (what is absent from either is left out). Raises Invalid with fewer than `FEWEST` rows of either."""
    for rows, of in ((reference, "the reference"), (current, "the window")):
        if len(rows) < FEWEST:
            raise Invalid(f"{of} has {len(rows)} sampled rows; {FEWEST} are needed to look at columns together", "rows")
    columns = [each for each in profile.columns if each.name in reference.columns and each.name in current.columns]
    if len(columns) < 2:
        raise Invalid("there are fewer than two columns to look at together", "columns")
    rng = np.random.default_rng(seed)
    old, new = _drawn(reference, rng), _drawn(current, rng)
    spread = [_encoding(column, old) for column in columns]
    before = np.concatenate([_encoded(column, old, how) for column, how in zip(columns, spread, strict=True)], axis=1)
    now = np.concatenate([_encoded(column, new, how) for column, how in zip(columns, spread, strict=True)], axis=1)
    area, weights = _domain(_table(columns, old), _table(columns, new), rng)
    names = [column.name for column in columns]
    ranked = sorted(zip(names, weights, strict=True), key=lambda item: -item[1])
    return Together(
        reconstruction=reconstruction(before, now, rng),
        domain=area,
        columns=tuple((name, round(weight, 5)) for name, weight in ranked if weight > 0),
        rows=len(new),
        reference_rows=len(old),
    )


def reconstruction(before: Vector, now: Vector, rng: np.random.Generator) -> Estimate:
    """Excess error of rebuilding `now` from the components of `before`, both of shape (n, columns).

    Components come from one half of the reference and errors are compared with those of the other half, and the other
    way round, so that the reference has no advantage of having been fitted to. The interval takes rows as independent.
    Source: PCA residuals as a control chart, Jackson & Mudholkar, Technometrics 21 (1979).
    """
    order = rng.permutation(len(before))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    values, errors = [], []
    for fitted, held in (halves, halves[::-1]):
        centre = before[fitted].mean(axis=0)
        _, scale, axes = np.linalg.svd(before[fitted] - centre, full_matrices=False)
        share = np.cumsum(scale**2) / max(float((scale**2).sum()), 1e-12)
        kept = axes[: max(1, min(len(axes) - 1, int(np.searchsorted(share, KEPT)) + 1))]

        def residual(rows: Vector, centre: Vector = centre, kept: Vector = kept) -> Vector:
            off = rows - centre
            found: Vector = np.linalg.norm(off - off @ kept.T @ kept, axis=1)
            return found

        known, seen = residual(before[held]), residual(now)
        unit = max(float(known.std(ddof=1)), 1e-9)
        values.append((float(seen.mean()) - float(known.mean())) / unit)
        errors.append(math.sqrt(1 / len(known) + (float(seen.std(ddof=1)) / unit) ** 2 / len(seen)))
    value, half = sum(values) / 2, Z95 * sum(errors) / 2
    return Estimate(value=value, low=value - half, high=value + half, n=len(now))


def _domain(old: pd.DataFrame, new: pd.DataFrame, rng: np.random.Generator) -> tuple[Estimate, list[float]]:
    """Area with its interval, and each column's share in it.

    Cross-fitted: each half is scored by a model that never saw it, and areas are taken within halves, since scores of
    two models do not compare. Source: classifier two-sample tests, Lopez-Paz & Oquab, ICLR (2017).
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    rows = min(len(old), len(new))
    table = pd.concat(
        [old.iloc[rng.permutation(len(old))[:rows]], new.iloc[rng.permutation(len(new))[:rows]]], ignore_index=True
    )
    target = np.repeat([0, 1], rows)
    fold = np.concatenate([rng.permutation(rows) % FOLDS, rng.permutation(rows) % FOLDS])
    areas, variances, weights = [], [], np.zeros(table.shape[1])
    for each in range(FOLDS):
        learned, held = fold != each, fold == each
        model = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=15, min_samples_leaf=20, early_stopping=False, random_state=0,
            categorical_features="from_dtype",
        )  # fmt: skip
        own, truth = table[held], target[held]
        # A few thousand rows gain nothing from many threads, and a server beside us would lose by them.
        with warnings.catch_warnings(), threadpool_limits(limits=1):
            warnings.simplefilter("ignore", category=UserWarning)  # columns that are missing throughout
            model.fit(table[learned], target[learned])
            area, variance = _area(model.predict_proba(own)[:, 1], truth)
            areas.append(area)
            variances.append(variance)
            for at, name in enumerate(own.columns):
                mixed = own.copy()
                mixed[name] = own[name].iloc[rng.permutation(len(own))].array
                weights[at] += max(0.0, area - _area(model.predict_proba(mixed)[:, 1], truth)[0]) / FOLDS
    value = sum(areas) / FOLDS
    half = Z95 * math.sqrt(sum(variances)) / FOLDS
    return Estimate(value=value, low=max(0.0, value - half), high=min(1.0, value + half), n=2 * rows), weights.tolist()


def _area(scores: Vector, truth: Vector) -> tuple[float, float]:
    """Area and its DeLong variance, by ranks put into cells."""
    at = np.minimum((pd.Series(scores).rank(pct=True).to_numpy() * CELLS).astype(np.int64), CELLS - 1)
    found = auc(
        np.bincount(at[truth == 0], minlength=CELLS).tolist(), np.bincount(at[truth == 1], minlength=CELLS).tolist()
    )
    if found is None or found.low is None or found.high is None:
        return 0.5, 0.25
    return found.value, ((found.high - found.low) / (2 * Z95)) ** 2


def _drawn(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return rows if len(rows) <= MOST else rows.iloc[np.sort(rng.permutation(len(rows))[:MOST])]


def _table(columns: list[Any], rows: pd.DataFrame) -> pd.DataFrame:
    """For trees: numbers as they are, categories as categories of the reference's levels."""
    made: dict[str, Any] = {}
    for column in columns:
        values = rows[column.name]
        if isinstance(column, NumericColumn):
            numbers = numeric_values(values) if is_numeric(values) else np.full(len(rows), np.nan)
            made[column.name] = np.where(np.isfinite(numbers), numbers, np.nan)
        else:
            text = pd.Series(as_text(values).to_pandas()).astype("object")
            levels = [*column.levels[:LEVELS], "\0other"]
            kept = text.where(text.isin(levels) | text.isna(), "\0other")
            made[column.name] = pd.Categorical(kept, categories=levels)
    return pd.DataFrame(made)


def _encoding(column: NumericColumn | CategoricalColumn, rows: pd.DataFrame) -> tuple[float, float]:
    """Centre and scale of a numeric column, robust against single values."""
    if not isinstance(column, NumericColumn):
        return 0.0, 1.0
    values = numeric_values(rows[column.name]) if is_numeric(rows[column.name]) else np.array([])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    scale = (high - low) / 1.349 or float(values.std()) or 1.0
    return float(middle), float(scale)


def _encoded(column: NumericColumn | CategoricalColumn, rows: pd.DataFrame, how: tuple[float, float]) -> Vector:
    """shape (n, 1) for numbers, in robust standard deviations, missing at the middle; (n, levels) for categories."""
    values = rows[column.name]
    if isinstance(column, NumericColumn):
        numbers = numeric_values(values) if is_numeric(values) else np.full(len(rows), np.nan)
        found: Vector = np.clip(np.nan_to_num((numbers - how[0]) / how[1], nan=0.0, posinf=FAR, neginf=-FAR), -FAR, FAR)
        return found[:, None]
    text = pd.Series(as_text(values).to_pandas()).astype("object").to_numpy()
    total = max(1, sum(column.counts))
    parts = []
    for level, count in zip(column.levels[:LEVELS], column.counts, strict=False):
        share = min(max(count / total, 0.01), 0.99)
        parts.append(((text == level) - share) / math.sqrt(share * (1 - share)))
    return np.stack(parts, axis=1) if parts else np.zeros((len(rows), 1))
