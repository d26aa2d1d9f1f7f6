"""How good the answers must be expected to be, from scores alone, without labels. Plain Python over score cells.

Classification (confidence-based performance estimation): the held-out labels of the reference say how often each score
was right; calibrated by isotonic regression, the scores of a window then give the expected table of labels. Regression
(direct loss estimation): the held-out rows say how large errors are where such a value is predicted.

Both hold where only the inputs have moved (covariate shift). Where the same score no longer means the same (concept
drift), no estimate without labels can see it: `quality.gap_words` says so once labels are there.
Estimates are anchored: the reference's measured metric plus the change that is expected, so what isotonic regression
flatters cancels out.

Sources: isotonic regression by pooling adjacent violators, Ayer et al., Ann. Math. Statist. 26 (1955); the idea of
expected confusion from calibrated scores, Guillory et al., ICCV (2021), and Bialek et al., arXiv 2407.08649 (2024).
Assumption of direct loss estimation here: how large an error is depends on what is predicted, not on the features
beside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from backends.entities import Estimate, Millis
from console.monitoring.counted.cells import by_label, score_total
from console.monitoring.counted.profile import PROBABILITY, SCORE_CELLS, Profile, ScoreCells
from console.monitoring.quality.performance import Z95
from console.monitoring.quality.spread import is_day

FEWEST_LABELS = 100
"""Held-out labels without which nothing is estimated."""
FEWEST_ROWS = 10

Change = tuple[float, list[float], float]
"""A metric of some rows: its value, its slope to each cell's share of positives, and its sampling variance."""
Metric = Callable[[Sequence[int], Sequence[float]], Change | None]


class Calibration(msgspec.Struct, frozen=True):
    """What held-out labels say about each score cell."""

    share: tuple[float, ...]
    """Of positives (or right answers), never falling. shape (cells,)"""
    block: tuple[int, ...]
    """Which pooled block each cell is in."""
    rows: tuple[int, ...]
    """Labelled reference rows by cell."""
    block_rows: tuple[int, ...]
    offset: dict[str, float]
    """metric → as measured on the reference, less as estimated on it."""
    slopes: dict[str, tuple[float, ...]]
    """metric → its slopes on the reference's own rows."""


def estimate(profile: Profile, score: Sequence[int], length: Millis = 0) -> dict[str, Estimate]:
    """The metrics that the rows of a window must be expected to have, each with a 95 % interval for its long-run value:
    sampling of the rows and calibration error together, and for a day how much days differ.

    score: shape (3 * SCORE_CELLS,), by label, as counted; labels are not looked at. length: of the window, in ms. Empty
    where the reference holds too few labels, or no errors by score.
    """
    cells = score_total(score)
    if sum(cells) < FEWEST_ROWS:
        return {}
    if profile.task == "regression":
        return _losses(profile, cells)
    known = calibration(profile.score, profile.task, profile.scale, tuple(sorted(profile.metrics.items())))
    if known is None:
        return {}
    found = {}
    for name, metric in metrics_of(profile.score, profile.task, profile.scale).items():
        change = metric(cells, known.share)
        if change is None or name not in known.offset:
            continue
        value, slopes, variance = change
        variance += _calibration_variance(known, slopes, known.slopes[name])
        spread = profile.within.get(name) if is_day(length) else None
        half = Z95 * math.sqrt(variance + (spread.between**2 if spread else 0.0))
        value, most = value + known.offset[name], math.inf if name == "log_loss" else 1.0
        value = min(most, max(0.0, value))
        found[name] = Estimate(value=value, low=max(0.0, value - half), high=min(most, value + half), n=sum(cells))
    return found


@lru_cache(maxsize=64)
def calibration(
    score: ScoreCells, task: str, scale: str, measured: tuple[tuple[str, float], ...]
) -> Calibration | None:
    """From the reference's score cells; None with too few labels, or with labels of one kind only. measured: the
    reference's metrics."""
    if len(score.counts) != 3 * SCORE_CELLS:
        return None
    negatives, positives, _ = by_label(score.counts)
    rows = tuple(bad + good for bad, good in zip(negatives, positives, strict=True))
    if sum(rows) < FEWEST_LABELS or not sum(positives) or not sum(negatives):
        return None
    blocks = isotonic(positives, rows)
    share, block = [0.0] * len(rows), [0] * len(rows)
    for number, (first, stop, good, held) in enumerate(blocks):
        share[first:stop] = [good / held] * (stop - first)
        block[first:stop] = [number] * (stop - first)
    offset, slopes = {}, {}
    exact = dict(measured)
    for name, metric in metrics_of(score, task, scale).items():
        own = metric(rows, share)
        if own is not None and name in exact:
            offset[name] = exact[name] - own[0]
            slopes[name] = tuple(own[1])
    return Calibration(
        share=tuple(share),
        block=tuple(block),
        rows=rows,
        block_rows=tuple(held for *_, held in blocks),
        offset=offset,
        slopes=slopes,
    )


def isotonic(positives: Sequence[int], rows: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Blocks of cells whose share of positives rises from one to the next: (first cell, one past the last, positives,
    rows). Cells without a row belong to the block below them, the first ones to the block above."""
    blocks: list[tuple[int, int, int, int]] = []
    for cell, (good, held) in enumerate(zip(positives, rows, strict=True)):
        if not held:
            if blocks:
                first, _, before, kept = blocks[-1]
                blocks[-1] = (first, cell + 1, before, kept)
            continue
        fresh = (cell if blocks else 0, cell + 1, good, held)
        # Shares compared as fractions, so that equal ones are equal.
        while blocks and blocks[-1][2] * fresh[3] >= fresh[2] * blocks[-1][3]:
            first, _, before, kept = blocks.pop()
            fresh = (first, fresh[1], before + fresh[2], kept + fresh[3])
        blocks.append(fresh)
    return blocks


def metrics_of(score: ScoreCells, task: str, scale: str) -> dict[str, Metric]:
    """What can be expected of this kind of model: name → metric of (rows by cell, share of positives by cell)."""
    if task == "multiclass":
        ones = [1.0] * SCORE_CELLS
        return {"accuracy": linear(ones, [0.0] * SCORE_CELLS)}
    width = (score.high - score.low) / SCORE_CELLS
    middle = [score.low + width * (cell + 0.5) for cell in range(SCORE_CELLS)]
    said = [1.0 if value >= (0.5 if scale == PROBABILITY else 0.0) else 0.0 for value in middle]
    found: dict[str, Metric] = {"auc": area, "accuracy": linear(said, [1 - value for value in said])}
    if scale == PROBABILITY:
        found["brier"] = linear([(1 - p) ** 2 for p in middle], [p * p for p in middle])
        if score.costs:
            # Within a cell, above all an outermost one, scores are taken to lie as those of the held-out rows did.
            found["log_loss"] = linear([good for good, _ in score.costs], [bad for _, bad in score.costs])
    return found


def linear(positive: Sequence[float], negative: Sequence[float]) -> Metric:
    """A mean over rows, of what a positive and a negative row of each cell count for."""

    def metric(cells: Sequence[int], share: Sequence[float]) -> Change:
        n = sum(cells)
        slopes = [0.0] * len(cells)
        total = squares = 0.0
        for cell, count in enumerate(cells):
            if count:
                apart = positive[cell] - negative[cell]
                expected = negative[cell] + share[cell] * apart
                total += count * expected
                squares += count * expected * expected
                slopes[cell] = count * apart / n
        mean = total / n
        return mean, slopes, max(0.0, squares / n - mean * mean) / n

    return metric


def area(cells: Sequence[int], share: Sequence[float]) -> Change | None:
    """The expected area under the ROC curve: expected positives and negatives by cell, rows of one cell as ties. None
    where a class is not expected at all."""
    n = sum(cells)
    good = [count * p for count, p in zip(cells, share, strict=True)]
    bad = [count - expected for count, expected in zip(cells, good, strict=True)]
    positives, negatives = math.fsum(good), math.fsum(bad)
    if positives <= 0 or negatives <= 0:
        return None
    # Share of negatives under a positive of each cell, and of positives over a negative of it.
    under, over = [0.0] * len(cells), [0.0] * len(cells)
    below, above, total = 0.0, positives, 0.0
    for cell in range(len(cells)):
        above -= good[cell]
        under[cell] = (below + bad[cell] / 2) / negatives
        over[cell] = (above + good[cell] / 2) / positives
        below += bad[cell]
        total += good[cell] * under[cell]
    value = total / positives
    slopes = [0.0] * len(cells)
    squares = 0.0
    for cell, count in enumerate(cells):
        if count:
            up, down = (under[cell] - value) / positives, (over[cell] - value) / negatives
            slopes[cell] = count * (up - down)
            squares += count * (share[cell] * up + (1 - share[cell]) * down) ** 2
    return value, slopes, squares * n / max(1, n - 1)


def _calibration_variance(known: Calibration, window: Sequence[float], reference: Sequence[float]) -> float:
    """What chance in the held-out labels adds to the estimate's variance.

    A label moves the measured metric of the reference by its cell's slope, the estimated one by its block's mean slope,
    and the window's estimate by the window's slopes in its block.
    """
    both = [0.0] * len(known.block_rows)
    for cell, number in enumerate(known.block):
        both[number] += window[cell] - reference[cell]
    total = 0.0
    for cell, held in enumerate(known.rows):
        if held:
            rows = known.block_rows[known.block[cell]]
            # Half a label more of each kind: a block of few rows that are all alike is not certain.
            p = (known.share[cell] * rows + 0.5) / (rows + 1)
            weight = reference[cell] / held + both[known.block[cell]] / rows
            total += held * p * (1 - p) * weight * weight
    return total


def _losses(profile: Profile, cells: Sequence[int]) -> dict[str, Estimate]:
    """Mean absolute and root mean squared error, from the errors of held-out rows by groups of predictions."""
    stops = [*profile.score.groups[1:], len(cells)]
    counts = [sum(cells[first:stop]) for first, stop in zip(profile.score.groups, stops, strict=True)]
    if len(profile.losses) != len(counts) or sum(held[0] for held in profile.losses) < FEWEST_LABELS:
        return {}
    n = sum(counts)
    found = {}
    for name, first, second in (("mae", 1, 2), ("rmse", 2, 3)):
        value = squares = variance = 0.0
        for count, held in zip(counts, profile.losses, strict=True):
            if not count:
                continue
            rows, share = held[0], count / n
            if rows < 2:
                return {}  # nobody knows how large errors are where such values are predicted
            mean = held[first] / rows
            value += share * mean
            squares += share * mean * mean
            own = max(0.0, held[second] / rows - mean * mean)
            variance += share * share * own / (rows - 1)
        half = Z95 * math.sqrt(variance + max(0.0, squares - value * value) / n)
        low, high = max(0.0, value - half), value + half
        if name == "rmse":
            value, low, high = math.sqrt(value), math.sqrt(low), math.sqrt(high)
        found[name] = Estimate(value=value, low=low, high=high, n=n)
    return found
