"""Figures of monitors as people write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from backends.entities import Estimate, Millis, Monitor


def label(metric: str, top: int = 0) -> str:
    """A metric's name as people write it. top: ranks that those of a ranking look at, where it is known which."""
    at = f"@{top or 'k'}"
    named = {"auc": "AUC", "brier": "Brier", "rmse": "RMSE", "mae": "MAE", "mape": "MAPE", "r2": "R²"}
    named |= {"f1": "F1", "macro_f1": "macro F1"}
    named |= {"ndcg": f"NDCG{at}", "map": f"MAP{at}", "mrr": "MRR", "hit_rate": f"hit rate{at}"}
    named |= {"precision_at_k": f"precision{at}", "recall_at_k": f"recall{at}"}
    return named.get(metric, metric.replace("_", " "))


def digits(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.5g}"


def interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f" [{digits(estimate.low)}, {digits(estimate.high)}]"


def plural(window: str) -> str:
    return {"batch": "batches"}.get(window, f"{window}s")


def newest(monitor: Monitor) -> Millis | None:
    """Until when it has looked: the end of its newest window, or now where that day or hour is not over."""
    return None if monitor.last_at is None else min(monitor.last_at, int(time.time() * 1000))


def time_words(monitor: Monitor) -> str:
    """By what its rows are put into windows."""
    return monitor.time_column or "none: each row counts when its file came"


def moment(at: Millis, window: str) -> str:
    """When, as precisely as the windows are: `12 Apr 2013`, or with the time of day (UTC)."""
    when = datetime.fromtimestamp(at / 1000, UTC)
    day = f"{when.day} {when:%b %Y}"
    return day if window == "day" else f"{day} {when:%H:%M} UTC"
