"""From rows that carry a query to the sums of `quality.ranking`. numpy and pandas: a worker process alone.

A query's rows are ranked where they came together: in one chunk, one window and one version.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from console.monitoring.counted.columns import Vector, as_text
from console.monitoring.quality.ranking import SUMS, TOP

QUERY = "query:"
"""Column beside each scored prediction: which query the row answers, text, None where it is not ranked."""


def query_of(values: pd.Series[Any], ids: pd.Series[Any] | None) -> Vector:
    """The query of each row, shape (n,). A query with a row that no label can find (it has no id) is not ranked."""
    named = pd.Series(as_text(values).to_pandas()).astype("object").reset_index(drop=True)
    if ids is not None:
        lost = set(named[ids.isna().to_numpy()].dropna())
        named = named.mask(named.isin(lost))
    found: Vector = named.where(named.notna(), None).to_numpy(dtype=object)
    return found


def count_ranked(queries: Any, scores: Vector, targets: Vector, top: int = TOP) -> tuple[float, ...]:
    """Sums as `SUMS` over the queries whose rows all have labels; empty without one. top: ranks that are looked at.

    queries, scores, targets: shape (n,), targets NaN where unlabelled; below 0 counts as 0. Rows with one score share
    their places' discount in NDCG, as scikit-learn has it; for the other metrics the worst of them comes first, so that
    a model that says the same of all rows cannot look good.
    """
    codes, _ = pd.factorize(pd.Series(queries, dtype="object"))
    known = ~np.isnan(targets)
    spoiled = np.unique(codes[~known])
    kept = (codes >= 0) & ~np.isin(codes, spoiled)
    if not kept.any():
        return ()
    _, query = np.unique(codes[kept], return_inverse=True)
    score, gain = scores[kept], np.maximum(targets[kept], 0.0)
    order = np.lexsort((gain, -score, query))
    query, score, gain = query[order], score[order], gain[order]
    size = np.bincount(query)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    rank = np.arange(len(query)) - start[query]
    first_few = rank < top
    discount = np.where(first_few, 1 / np.log2(rank + 2), 0.0)
    relevant = gain > 0
    wanted = np.bincount(query, relevant)
    found_at = np.bincount(query, relevant & first_few)
    # NDCG: rows of one score share the mean of their gains.
    fresh = np.r_[True, (query[1:] != query[:-1]) | (score[1:] != score[:-1])]
    tie = np.cumsum(fresh) - 1
    dcg = np.bincount(query, discount * (np.bincount(tie, gain) / np.bincount(tie))[tie])
    ideal = np.bincount(query, discount * gain[np.lexsort((-gain, query))])
    # Precision at each relevant row: the relevant rows up to it, over its place.
    before = np.cumsum(relevant)
    upto = before - (before - relevant)[start][query]
    precision = np.bincount(query, np.where(relevant & first_few, upto / (rank + 1), 0.0))
    first = np.full(len(size), np.inf)
    np.minimum.at(first, query[relevant], rank[relevant])
    some = wanted > 0
    values = {
        "ndcg": dcg[some] / ideal[some],
        "map": precision[some] / np.minimum(wanted[some], top),
        "mrr": 1 / (first[some] + 1),
        "recall_at_k": found_at[some] / wanted[some],
        "precision_at_k": found_at / np.minimum(size, top),
    }
    held = {"queries": len(size), "relevant": int(some.sum()), "hits": int((found_at > 0).sum())}
    sums = {
        f"{name}{power or ''}": float((each ** (power or 1)).sum()) for name, each in values.items() for power in (0, 2)
    }
    return tuple(float((held | sums)[name]) for name in SUMS)


def change_ranked(
    rows: pd.DataFrame, scores: Vector, old: Vector, fresh: Vector, reached: Vector, top: int = TOP
) -> tuple[float, ...]:
    """What new labels add to the sums of a window. rows: all kept predictions of it in one file, with `QUERY`; scores,
    old, fresh: shape (n,), theirs; reached: which of them have a new label."""
    if QUERY not in rows:
        return ()
    queries = rows[QUERY].to_numpy(dtype=object)
    inside = pd.Series(queries).isin(set(queries[reached]) - {None}).to_numpy()
    after = count_ranked(queries[inside], scores[inside], fresh[inside], top)
    before = count_ranked(queries[inside], scores[inside], old[inside], top)
    if not after and not before:
        return ()
    nothing = (0.0,) * len(SUMS)
    return tuple(a - b for a, b in zip(after or nothing, before or nothing, strict=True))
