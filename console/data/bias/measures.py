"""From counts by group to measures of bias, each with an interval and the two groups that it is about.

Only groups of at least `least` rows are compared: of a handful of rows every rate is extreme. Intervals hold for all
pairs of groups at once (Bonferroni), because the two compared are the furthest apart of all. The measures are those of
Hardt et al., "Equality of opportunity in supervised learning", 2016, and of 29 CFR 1607.4 D (the four-fifths rule);
names as in fairlearn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from backends.entities import Record
from console.data.bias.groups import BINS, Cells
from console.data.bias.intervals import newcombe, ratio_interval, wilson, z_of

LEAST: Final = 30
"""Rows below which a group is shown and not compared."""


class Rate(Record, frozen=True, kw_only=True):
    """`hits` of `n`, with the 95 % interval of the rate."""

    hits: int
    n: int
    value: float | None
    low: float
    high: float


class Group(Record, frozen=True, kw_only=True):
    """One group: how many, and its rates."""

    name: str
    rows: int
    share: float
    """Of all rows."""
    compared: bool
    rates: dict[str, Rate]
    """`label_rate`, `selection_rate`, `true_positive_rate`, `false_positive_rate`, `accuracy`, where they exist."""
    mean_score: float | None = None
    calibration_gap: float | None = None
    """Mean score less the rate of positives: above 0 the scores are too high here."""
    calibration_error: float | None = None
    """Expected calibration error over ten bins of equal width."""
    calibration_spread: float | None = None
    """Standard error of `calibration_gap`: the scores are given; what varies is how many turn out positive."""


class Measure(Record, frozen=True, kw_only=True):
    """How far the groups are apart."""

    name: str
    value: float
    low: float
    high: float
    between: tuple[str, str]
    """The two groups furthest apart, the lower first."""
    ideal: float
    """0 for a difference, 1 for a ratio."""


class Bias(Record, frozen=True, kw_only=True):
    """Everything that was measured."""

    rows: int
    least: int
    groups: tuple[Group, ...]
    measures: tuple[Measure, ...]
    small: tuple[str, ...]
    """Groups with too few rows to be compared."""


_RATES: Final[dict[str, Callable[[Cells], tuple[int, int]]]] = {
    "label_rate": lambda c: (c.positive, c.labelled),
    "selection_rate": lambda c: (c.selected, c.predicted),
    "true_positive_rate": lambda c: (c.hits, c.judged_positive),
    "false_positive_rate": lambda c: (c.false_alarms, c.judged - c.judged_positive),
    "accuracy": lambda c: (c.judged - c.judged_positive - c.false_alarms + c.hits, c.judged),
}


def measure_bias(cells: Sequence[Cells], *, least: int = LEAST) -> Bias:
    """The measures that these counts allow."""
    total = sum(each.rows for each in cells)
    groups = tuple(_group(each, total, least) for each in sorted(cells, key=lambda each: -each.rows))
    compared = [group for group in groups if group.compared]
    found: list[Measure] = []
    for rate, difference, ratio in (
        ("label_rate", "label rate difference", "label rate ratio"),
        ("selection_rate", "demographic parity difference", "demographic parity ratio"),
    ):
        found += _apart(compared, rate, difference, ratio)
    opportunity = _apart(compared, "true_positive_rate", "equal opportunity difference", "equal opportunity ratio")
    alarms = _apart(compared, "false_positive_rate", "false positive rate difference", "false positive rate ratio")
    found += opportunity
    if opportunity and alarms:
        worst = max(opportunity[0], alarms[0], key=lambda each: each.value)
        found.append(msgspec.structs.replace(worst, name="equalized odds difference"))
        lowest = min(opportunity[1], alarms[1], key=lambda each: each.value)
        found.append(msgspec.structs.replace(lowest, name="equalized odds ratio"))
    found += _apart(compared, "accuracy", "accuracy difference", "")
    found += _calibration(compared)
    return Bias(
        rows=total,
        least=least,
        groups=groups,
        measures=tuple(found),
        small=tuple(group.name for group in groups if not group.compared),
    )


def _group(cells: Cells, total: int, least: int) -> Group:
    z = z_of()
    rates = {}
    for name, of in _RATES.items():
        hits, n = of(cells)
        if n:
            low, high = wilson(hits, n, z)
            rates[name] = Rate(hits=hits, n=n, value=hits / n, low=low, high=high)
    mean = gap = error = spread = None
    if cells.scored:
        mean = cells.score_sum / cells.scored
        positive = sum(cells.bin_positive)
        gap = mean - positive / cells.scored
        error = sum(
            abs(cells.bin_scores[at] - cells.bin_positive[at]) for at in range(BINS) if cells.bin_rows[at]
        ) / cells.scored  # fmt: skip
        share = (positive + 0.5) / (cells.scored + 1)
        spread = math.sqrt(share * (1 - share) / cells.scored)
    return Group(
        name=cells.name,
        rows=cells.rows,
        share=cells.rows / total if total else 0.0,
        compared=cells.rows >= least,
        rates=rates,
        mean_score=mean,
        calibration_gap=gap,
        calibration_error=error,
        calibration_spread=spread,
    )


def _apart(groups: Sequence[Group], rate: str, difference: str, ratio: str) -> list[Measure]:
    """The difference and the ratio of the lowest and the highest rate among the groups."""
    known = [(group.name, group.rates[rate]) for group in groups if rate in group.rates]
    if len(known) < 2:
        return []
    z = z_of(pairs=len(known) * (len(known) - 1) // 2)
    low_name, low = min(known, key=lambda each: each[1].value or 0.0)
    high_name, high = max(known, key=lambda each: each[1].value or 0.0)
    a, b = (high.hits, high.n), (low.hits, low.n)
    between = (low_name, high_name)
    ends = newcombe(a, b, z)
    value = a[0] / a[1] - b[0] / b[1]
    found = [Measure(name=difference, value=value, low=max(ends[0], 0.0), high=ends[1], between=between, ideal=0.0)]
    if ratio and a[0]:
        ends = ratio_interval(b, a, z)
        value = (b[0] / b[1]) / (a[0] / a[1])
        found.append(Measure(name=ratio, value=value, low=ends[0], high=min(ends[1], 1.0), between=between, ideal=1.0))
    elif ratio:  # nobody anywhere: nothing is unequal
        found.append(Measure(name=ratio, value=1.0, low=0.0, high=1.0, between=between, ideal=1.0))
    return found


def _calibration(groups: Sequence[Group]) -> list[Measure]:
    """How differently the groups are scored for the same outcome: the span of their calibration gaps."""
    known = [(group, group.calibration_gap) for group in groups if group.calibration_gap is not None]
    if len(known) < 2:
        return []
    z = z_of(pairs=len(known) * (len(known) - 1) // 2)
    (one, low), (two, high) = min(known, key=lambda each: each[1]), max(known, key=lambda each: each[1])
    half = z * math.hypot(one.calibration_spread or 0.0, two.calibration_spread or 0.0)
    value = high - low
    return [
        Measure(
            name="calibration difference",
            value=value,
            low=max(value - half, 0.0),
            high=min(value + half, 2.0),
            between=(one.name, two.name),
            ideal=0.0,
        )
    ]
