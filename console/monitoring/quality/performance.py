"""How good the answers were: metrics with intervals, from score × label counts and sums of errors alone. Plain
Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

from backends.entities import Estimate

Z95 = 1.959963984540054
LARGER_IS_BETTER = {
    "auc": True,
    "average_precision": True,
    "accuracy": True,
    "precision": True,
    "recall": True,
    "f1": True,
    "macro_f1": True,
    "log_loss": False,
    "brier": False,
    "calibration_error": False,
    "mae": False,
    "rmse": False,
    "mape": False,
    "mean_error": False,
    "r2": True,
    "ndcg": True,
    "map": True,
    "mrr": True,
    "hit_rate": True,
    "precision_at_k": True,
    "recall_at_k": True,
}
"""Which way each metric is good; `mean_error` is good at 0."""
SETTLED = 0.9
"""From this coverage on a window's performance is called final: the labels that lack could hardly move it."""
PRIMARY = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}
"""What an alert on performance watches by default, by task."""


def measure(
    score: Sequence[Sequence[int]],
    sums: Sequence[float],
    task: str,
    scale: str = "probability",
    *,
    table: Sequence[Sequence[int]] = (),
    positive: int = 1,
    only: str = "",
) -> dict[str, Estimate]:
    """Every metric that the labelled rows allow, with a 95 % interval.

    score: shape (3, cells), counts by label 0, label 1, unlabelled. sums: as `counts.CLASSIFICATION_SUMS` or
    `REGRESSION_SUMS`. table: predicted × true classes as `Counts.confusion` gives it, for precision, recall and F1;
    positive: position of the positive class in it. only: the one metric that is wanted, where others cost time. A
    metric that cannot be had (no labels; one class only) is left out.
    """
    n = round(sums[0])
    if n < 1:
        return {}
    if task == "regression":
        return _regression(n, sums)
    found: dict[str, Estimate | None] = {}
    if task == "binary":
        found["auc"] = auc(score[0], score[1])
        if only == "auc":
            return {"auc": found["auc"]} if found["auc"] is not None else {}
    found["accuracy"] = wilson(round(sums[1]), n)
    if scale == "probability":
        found["log_loss"] = _mean(n, sums[2], sums[3])
        found["brier"] = _mean(n, sums[4], sums[5])
    if not only or only not in found:
        found |= _beyond(score, task, scale, table, positive)
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _beyond(
    score: Sequence[Sequence[int]], task: str, scale: str, table: Sequence[Sequence[int]], positive: int
) -> dict[str, Estimate | None]:
    """What the cells and the table say beyond the sums. For many classes, the calibration is that of the largest
    probability: how often the class that was said was right."""
    from console.monitoring.quality.curves import average_precision, calibration_error
    from console.monitoring.quality.per_class import macro_f1, of_class

    found: dict[str, Estimate | None] = {}
    if task == "binary":
        found["average_precision"] = average_precision(score[0], score[1])
    if scale == "probability":
        found["calibration_error"] = calibration_error(score[0], score[1])
    if table:
        found |= of_class(table, positive) if task == "binary" else {"macro_f1": macro_f1(table)}
    return found


def auc(negatives: Sequence[int], positives: Sequence[int]) -> Estimate | None:
    """Area under the ROC curve from score cells in rising order, ties counted half; None where a class is absent.

    The interval is DeLong's, with the rows of one cell as ties: binning the score into 256 cells moves the area by <
    0.001 unless most scores share few cells. It is taken on the logit scale, so that it stays within 0 and 1.
    Source: DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988); logit interval: Pepe, "The Statistical Evaluation…"
    (2003), 5.2.
    """
    m, n = sum(positives), sum(negatives)
    if m == 0 or n == 0:
        return None
    below = 0
    total = positive_squares = negative_squares = 0.0
    positives_above = m
    for bad, good in zip(negatives, positives, strict=True):
        positives_above -= good
        if good:
            share = (below + bad / 2) / n
            total += good * share
            positive_squares += good * share * share
        if bad:
            share = (positives_above + good / 2) / m
            negative_squares += bad * share * share
        below += bad
    area = total / m
    variance = 0.0
    if m > 1 and n > 1:
        variance = max(0.0, positive_squares / m - area * area) / (m - 1)
        variance += max(0.0, negative_squares / n - area * area) / (n - 1)
    if not variance or not 0 < area < 1:
        # All pairs ordered alike: DeLong's variance is 0, Hanley and McNeil's continuity keeps an honest width.
        edge = 1 - 0.05 ** (1 / max(1, min(m, n)))
        return Estimate(value=area, low=max(0.0, area - edge), high=min(1.0, area + edge), n=m + n)
    centre = math.log(area / (1 - area))
    width = Z95 * math.sqrt(variance) / (area * (1 - area))
    return Estimate(value=area, low=_logistic(centre - width), high=_logistic(centre + width), n=m + n)


def wilson(hits: int, n: int) -> Estimate:
    """A share with its interval. Source: Wilson, JASA 22 (1927)."""
    share = hits / n
    z2 = Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Estimate(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half), n=n)


def coverage(rows: int, labelled: int) -> float:
    """Share of rows that have their label, 0 to 1."""
    return labelled / rows if rows else 0.0


def provisional(rows: int, labelled: int) -> bool:
    """Whether so few labels have come that the performance may still change; not where there are none."""
    return labelled > 0 and coverage(rows, labelled) < SETTLED


def shortfall(metric: str, value: float, reference: float) -> float:
    """How much worse `value` is than `reference`, in the metric's own unit; negative when it is better."""
    if metric == "mean_error":
        return abs(value) - abs(reference)
    return reference - value if LARGER_IS_BETTER.get(metric, True) else value - reference


def _mean(n: int, total: float, squares: float, *, least: float = 0.0) -> Estimate:
    """A mean with the interval of the central limit theorem."""
    mean = total / n
    if n < 2:
        return Estimate(value=mean, n=n)
    half = Z95 * math.sqrt(max(0.0, squares / n - mean * mean) / (n - 1))
    return Estimate(value=mean, low=max(least, mean - half), high=mean + half, n=n)


def _regression(n: int, sums: Sequence[float]) -> dict[str, Estimate]:
    """Windows of before the signed errors were summed have six sums, and neither mean error nor MAPE."""
    _, absolute, squared, squared2, target, target2 = sums[:6]
    mse = _mean(n, squared, squared2)
    found = {
        # |error| squared is error squared: the sums of the one serve the interval of the other.
        "mae": _mean(n, absolute, squared),
        "rmse": Estimate(
            value=math.sqrt(mse.value),
            low=None if mse.low is None else math.sqrt(mse.low),
            high=None if mse.high is None else math.sqrt(mse.high),
            n=n,
        ),
    }
    spread = target2 - target * target / n
    if n > 1 and spread > 0:
        found["r2"] = _explained(n, squared / spread, mse.value, squared2 / n)
    if len(sums) > 6:
        error, percent, percent2, nonzero = sums[6:10]
        found["mean_error"] = _mean(n, error, squared, least=-math.inf)
        # Where a label is 0, or a few near 0 carry all of it, a share of the label says nothing.
        if round(nonzero) == n > 1:
            share = _mean(n, percent, percent2)
            if share.low is not None and share.low > 0:
                found["mape"] = share
    return found


def _explained(n: int, left: float, mse: float, fourth: float) -> Estimate:
    """R² = 1 - `left`, with the interval of log(left) = log(squared errors) - log(spread of the labels).

    Delta method, with labels about normal and errors that do not depend on the prediction: the variance is
    (k + 2 - 2 k · left) / n, where k = var(error²) / mse². For normal errors that is 4 R² / n, which is Olkin & Finn's.
    Source: Olkin & Finn, Psychological Bulletin 118 (1995).
    """
    if n < 3 or left <= 0 or mse <= 0:
        return Estimate(value=1 - left, n=n)
    k = max(0.0, fourth / (mse * mse) - 1)
    half = Z95 * math.sqrt(max(0.0, k + 2 - 2 * k * min(left, 1 / left)) / n)
    return Estimate(value=1 - left, low=1 - left * math.exp(half), high=1 - left * math.exp(-half), n=n)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))
