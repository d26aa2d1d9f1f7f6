"""Which metric decides between two versions, in which direction, and whether both were measured on the same rows."""

from __future__ import annotations

import math

from backends.entities import ModelVersion, Record
from console.training.measured import PRIMARY_TAG, USUAL
from console.training.recipe import LOWER_IS_BETTER

TEST_ROWS_TAG = "console.test_rows"
"""sha256 of the held-out rows' numbers in the test dataset."""
TEST_COUNT_TAG = "console.test_count"
_LOSSES = ("loss", "error", "rmse", "mae", "mse", "mape", "brier", "deviance")


class Measure(Record, frozen=True, kw_only=True):
    """One metric of the candidate beside the holder's."""

    name: str
    candidate: float | None
    holder: float | None = None
    difference: float | None = None
    """candidate - holder."""
    better: bool | None = None
    """None where there is nothing to compare, or both are equal."""


def lower_is_better(name: str) -> bool:
    """By the console's own names; a metric from elsewhere by the last word of its name (`val_loss`, `test/rmse`)."""
    last = name.replace("/", ".").rpartition(".")[2].lower()
    return last in LOWER_IS_BETTER or last.endswith(_LOSSES)


def primary_of(version: ModelVersion) -> str:
    """The metric that the recipe named, else the first usual one that was measured, else nothing."""
    named = version.tags.get(PRIMARY_TAG, "")
    return named or next((name for name in USUAL if name in version.metrics), "")


def value_of(version: ModelVersion, name: str) -> float | None:
    """A finite metric, or None."""
    value = version.metrics.get(name)
    return value if value is not None and math.isfinite(value) else None


def test_of(version: ModelVersion) -> tuple[str, str, str]:
    """(`name@version`, digest, sha256 of the row numbers) of the test data; empty where not recorded."""
    for read in version.inputs:
        if read.context == "test":
            return f"{read.dataset}@{read.version}", read.digest, version.tags.get(TEST_ROWS_TAG, "")
    return "", "", ""


def same_test(one: ModelVersion, other: ModelVersion) -> bool:
    """Whether both were measured on the very same rows."""
    mine, theirs = test_of(one)[1:], test_of(other)[1:]
    return bool(mine[0]) and mine == theirs


def measures(candidate: ModelVersion, holder: ModelVersion | None) -> tuple[Measure, ...]:
    """The test metrics of both, the primary one first; those of training, folds and baseline are left out."""
    first = primary_of(candidate)
    names = {*candidate.metrics, *(holder.metrics if holder else ())}
    shown = sorted((name for name in names if "." not in name), key=lambda name: (name != first, name))
    return tuple(_measure(name, candidate, holder) for name in shown)


def _measure(name: str, candidate: ModelVersion, holder: ModelVersion | None) -> Measure:
    mine = value_of(candidate, name)
    theirs = value_of(holder, name) if holder else None
    if mine is None or theirs is None:
        return Measure(name=name, candidate=mine, holder=theirs)
    difference = mine - theirs
    better = None if difference == 0 else (difference < 0) == lower_is_better(name)
    return Measure(name=name, candidate=mine, holder=theirs, difference=difference, better=better)
