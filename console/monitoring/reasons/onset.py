"""When it began: the one moment that best parts a series of windows into before and after. Plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

from backends.entities import Millis, Record, Window
from console.monitoring.counted.counts import Counts, unpack
from console.monitoring.counted.profile import PROBABILITY, Profile

SURE = 3.5
"""Standard errors that after must be worse than before: about one series of a hundred windows without a change reaches
it somewhere."""
WITHIN = 3.84
"""Moments are as good whose misfit is within this many variances: 95 % of a chi-square with one degree of freedom."""


class Point(Record, frozen=True):
    """A window of a series."""

    start: Millis
    value: float
    weight: float
    """Inverse variance, up to a factor."""


class Onset(Record, frozen=True, kw_only=True):
    """When something began."""

    start: Millis
    """Of the first window after the change."""
    earliest: Millis
    latest: Millis
    """Windows that could as well be the first."""
    what: str
    """What changed: `log loss`, `error rate`, `squared error`, or `drift` where there are no labels."""
    before: float | None
    """Mean before; None where no window is from before."""
    after: float
    windows: int
    """From the first one on."""
    certain: bool
    """Whether the change is more than chance makes."""


def find_onset(points: Sequence[Point], what: str) -> Onset | None:
    """The change for the worse (upwards) that fits the series best, by weighted least squares; None of no points.

    The misfit itself says how much windows differ by nature. Where no split is worse than chance the first window
    stands for the onset, not certain. Source: a single change-point by binary segmentation, Scott & Knott, Biometrics
    30 (1974).
    """
    if not points:
        return None
    whole = _Sums.of(points)
    best: tuple[float, int] | None = None
    misfits: dict[int, float] = {}
    left = _Sums()
    for split in range(1, len(points)):
        left = left.plus(points[split - 1])
        right = whole.minus(left)
        if left.weight <= 0 or right.weight <= 0 or right.mean <= left.mean:
            continue
        misfits[split] = left.misfit + right.misfit
        if best is None or misfits[split] < best[0]:
            best = (misfits[split], split)
    if best is None or len(points) < 4:
        return _from_the_first(points, what, whole.mean)
    misfit, split = best
    before, after = _Sums.of(points[:split]), _Sums.of(points[split:])
    variance = misfit / (len(points) - 2)
    error = math.sqrt(variance * (1 / before.weight + 1 / after.weight))
    if after.mean - before.mean <= SURE * error:
        return _from_the_first(points, what, whole.mean)
    likely = [spot for spot, found in misfits.items() if found <= misfit + WITHIN * variance]
    return Onset(
        start=points[split].start,
        earliest=points[min(likely)].start,
        latest=points[max(likely)].start,
        what=what,
        before=before.mean,
        after=after.mean,
        windows=len(points) - split,
        certain=True,
    )


def _from_the_first(points: Sequence[Point], what: str, mean: float) -> Onset:
    return Onset(
        start=points[0].start,
        earliest=points[0].start,
        latest=points[-1].start,
        what=what,
        before=None,
        after=mean,
        windows=len(points),
        certain=False,
    )


class _Sums(Record, frozen=True):
    weight: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    @staticmethod
    def of(points: Sequence[Point]) -> _Sums:
        return _Sums(
            math.fsum(point.weight for point in points),
            math.fsum(point.weight * point.value for point in points),
            math.fsum(point.weight * point.value**2 for point in points),
        )

    def plus(self, point: Point) -> _Sums:
        return _Sums(
            self.weight + point.weight,
            self.total + point.weight * point.value,
            self.squares + point.weight * point.value**2,
        )

    def minus(self, other: _Sums) -> _Sums:
        return _Sums(self.weight - other.weight, self.total - other.total, self.squares - other.squares)

    @property
    def mean(self) -> float:
        return self.total / self.weight

    @property
    def misfit(self) -> float:
        return max(0.0, self.squares - self.total**2 / self.weight)


class Loss(Record, frozen=True):
    """How wrong the labelled rows of a window were, all together."""

    labelled: int
    total: float


def loss_name(profile: Profile) -> str:
    """The loss that adds up over rows and that parts of a stretch can be held against each other by."""
    if profile.task == "regression":
        return "squared error"
    return "log loss" if profile.scale == PROBABILITY else "error rate"


def loss_of(counts: Counts, profile: Profile) -> Loss:
    """Of the labelled rows."""
    labelled, correct, total, *_ = counts.sums
    wrong = total if loss_name(profile) != "error rate" else labelled - correct
    return Loss(labelled=round(labelled), total=wrong)


def onset_of(windows: Sequence[Window], profile: Profile) -> Onset | None:
    """When performance fell, by the loss of labelled rows; without labels: when features began to drift where the
    model looks. windows: of one version, oldest first."""
    losses = [(window.start, loss_of(unpack(window.counts), profile)) for window in windows if window.labelled]
    if losses:
        points = [Point(start, found.total / found.labelled, found.labelled) for start, found in losses]
        return find_onset(points, loss_name(profile))
    weights = {column.name: column.importance for column in profile.columns}
    whole = sum(weights.values())
    if not whole:
        weights, whole = dict.fromkeys(weights, 1.0), len(weights) or 1
    points = [
        Point(
            window.start,
            sum(weights.get(score.column, 0.0) / whole * (score.psi or 0.0) for score in window.columns),
            max(1, window.rows),
        )
        for window in windows
    ]
    return find_onset(points, "drift")
