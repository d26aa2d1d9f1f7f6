"""What score cells by label say beside the area under the ROC curve: average precision and calibration error. Plain
Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

from backends.entities import Estimate

Z95 = 1.959963984540054
BINS = 10
"""Of equal width over the score's range, as reliability diagrams have."""
FEW = 20
"""Rows of a bin without which its gap may be chance alone: it adds nothing to the lower end."""


def average_precision(negatives: Sequence[int], positives: Sequence[int]) -> Estimate | None:
    """Mean precision over the positives, from score cells in rising order; None without a positive.

    Σ (R_k - R_k-1) P_k over falling thresholds, without interpolation, as scikit-learn's `average_precision_score`;
    rows of one cell are ties. The interval is on the logit scale with variance 1 / (P · a · (1 - a)), P the
    positives: on the wide side where many are found early.
    Source: Boyd, Eng & Page, "Area under the precision-recall curve: point estimates and confidence intervals", ECML
    PKDD (2013).
    """
    wanted, n = sum(positives), sum(positives) + sum(negatives)
    if not wanted:
        return None
    found = seen = 0.0
    area = 0.0
    for bad, good in zip(reversed(negatives), reversed(positives), strict=True):
        found += good
        seen += good + bad
        if good:
            area += good * found / seen
    area /= wanted
    if not 0 < area < 1 - 1e-12:
        edge = 1 - 0.05 ** (1 / wanted)
        return Estimate(value=area, low=max(0.0, area - edge), high=min(1.0, area + edge), n=n)
    centre = math.log(area / (1 - area))
    half = Z95 / math.sqrt(wanted * area * (1 - area))
    return Estimate(value=area, low=_logistic(centre - half), high=_logistic(centre + half), n=n)


def calibration_error(negatives: Sequence[int], positives: Sequence[int]) -> Estimate | None:
    """Expected calibration error over `BINS` bins of equal width: how far, in the mean, the share of positives is from
    the probability that was said. Cells are those of a probability in [0, 1]; None without rows.

    A perfect model has an error above 0 too, by chance alone: mean |gap| of bins with few rows. So the lower end of the
    interval is taken with that excess removed (the mean of a folded normal), and the upper end from the plain value.
    Sources: Naeini, Cooper & Hauskrecht, AAAI (2015); folded normal: Leone, Nelson & Nottingham, Technometrics 3
    (1961).
    """
    n = sum(negatives) + sum(positives)
    if not n:
        return None
    cells = len(negatives)
    bins: list[list[float]] = [[0.0, 0.0, 0.0] for _ in range(BINS)]
    for cell, (bad, good) in enumerate(zip(negatives, positives, strict=True)):
        if bad or good:
            middle = (cell + 0.5) / cells
            held = bins[min(BINS - 1, int(middle * BINS))]
            held[0] += bad + good
            held[1] += good
            held[2] += (bad + good) * middle
    value = excess = variance = 0.0
    for rows, right, said in bins:
        if not rows:
            continue
        gap = abs(right - said) / rows
        share = (right + 0.5) / (rows + 1)
        error = math.sqrt(share * (1 - share) / rows)
        folded = _folded_mean(gap, error)
        weight = rows / n
        value += weight * gap
        excess += weight * (min(gap, folded - gap) if rows >= FEW else gap)
        variance += weight * weight * max(0.0, gap * gap + error * error - folded * folded)
    half = Z95 * math.sqrt(variance)
    return Estimate(value=value, low=max(0.0, value - excess - half), high=min(1.0, value + half), n=n)


def _folded_mean(centre: float, error: float) -> float:
    """Mean of |x| where x is normal about `centre`."""
    if error <= 0:
        return abs(centre)
    ratio = centre / error
    return error * math.sqrt(2 / math.pi) * math.exp(-ratio * ratio / 2) + centre * math.erf(ratio / math.sqrt(2))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))
