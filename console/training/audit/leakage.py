"""How far one feature alone gives the answer away.

Cross-fitted, so that what is learned by heart counts for nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

BINS: Final = 20
ROWS: Final = 50_000
FOLDS: Final = 2


def single_feature_scores(frame: pd.DataFrame, target: Any, *, task: str, seed: int) -> dict[str, float]:
    """column → what it alone reaches, 0 (nothing) to 1 (everything), the highest first.

    The mean of the target by value (or by one of 20 quantile bins) on one half predicts the other. Classification: the
    highest `2 AUC - 1` of any class against the rest; regression: R². frame: (n, features); target: (n,).
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(frame))[:ROWS]
    half = rng.integers(0, FOLDS, len(rows))
    if task == "regression":
        truths = [np.asarray(target, float)[rows]]
    else:
        values, counts = np.unique(target, return_counts=True)
        chosen = values[np.argsort(-counts)][:10]
        truths = [
            (np.asarray(target) == value)[rows].astype(float) for value in (chosen[:1] if len(values) == 2 else chosen)
        ]
    found = {}
    for name in frame.columns:
        codes = _codes(frame[name].iloc[rows])
        found[str(name)] = max(_reached(codes, truth, half, task) for truth in truths)
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _codes(column: Any) -> Any:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = column.astype("int64")
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        values = column.to_numpy("float64", na_value=np.nan)
        known = values[np.isfinite(values)]
        if len(np.unique(known)) > BINS:
            edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
            return np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), len(edges) + 1)
        return pd.factorize(values, use_na_sentinel=False)[0]
    return pd.factorize(column.astype("string"), use_na_sentinel=False)[0]


def _reached(codes: Any, truth: Any, half: Any, task: str) -> float:
    predicted = np.empty(len(truth))
    size = int(codes.max()) + 1 if len(codes) else 1
    for fold in range(FOLDS):
        fit, held = half != fold, half == fold
        overall = truth[fit].mean() if fit.any() else 0.0
        counts = np.bincount(codes[fit], minlength=size)
        sums = np.bincount(codes[fit], weights=truth[fit], minlength=size)
        # One row's weight of the overall mean: a value that was seen once decides little.
        means = (sums + overall) / (counts + 1)
        predicted[held] = means[codes[held]]
    if task == "regression":
        spread = ((truth - truth.mean()) ** 2).sum()
        return float(max(0.0, 1 - ((truth - predicted) ** 2).sum() / spread)) if spread > 0 else 0.0
    from sklearn.metrics import roc_auc_score

    if truth.min() == truth.max():
        return 0.0
    return float(abs(2 * roc_auc_score(truth, predicted) - 1))
