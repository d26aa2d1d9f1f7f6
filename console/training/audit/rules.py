"""Which tests a training must stand, and where each of them stops being good. The `[audit]` table of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.entities import Record

TESTS: Final[Mapping[str, str]] = {
    "baseline": "better than what one gets without looking at the features",
    "overfit": "what was learned holds on rows that were not trained on",
    "leakage": "no single feature gives the answer away",
    "spread": "folds agree with each other",
    "seeds": "another seed gives about the same",
    "calibration": "scores are as often right as they say",
    "slices": "no part of the rows is served much worse than the whole",
    "fairness": "groups are treated alike",
    "latency": "one row and a batch are answered in time",
    "size": "the model file is not too large",
}
"""test → what it asks, in words."""


class AuditRules(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thresholds. A test whose name is in `fail` fails the audit; the others warn."""

    fail: tuple[str, ...] = ("baseline", "leakage")
    skip: tuple[str, ...] = ()
    overfit: float = 0.5
    """Share of the gain over the baseline on training rows that may be missing on the test rows."""
    leakage: float = 0.98
    """What one feature alone may reach of what all could: AUC from 0.5 to 1 put on 0 to 1, or R²."""
    spread: float = 0.1
    """Standard deviation over folds, as a share of the mean gain over the baseline."""
    seeds: int = 0
    """How many further seeds to fit with; each costs a whole fit."""
    seed_spread: float = 0.05
    """As `spread`, over seeds."""
    calibration: float = 0.05
    """Expected calibration error; for regression the mean error as a share of the target's standard deviation."""
    slices: float = 1.5
    """How many times the whole's loss the worst slice may have."""
    slice_rows: int = 100
    """Rows below which a slice is not looked at."""
    protected: tuple[str, ...] = ()
    """Columns or conditions whose groups are compared; several cross."""
    difference: float = 0.1
    ratio: float = 0.8
    least: int = 30
    """Rows a group needs to be compared."""
    latency_ms: float = 100.0
    """One row, the 95th percentile."""
    batch_ms: float = 1000.0
    """1 000 rows, the median."""
    size_mb: float = 200.0


def wrong_rule(rules: AuditRules) -> tuple[str, str] | None:
    """(key, what is wrong with it), or None."""
    for key in ("fail", "skip"):
        for name in getattr(rules, key):
            if name not in TESTS:
                return key, f"{name!r} is not a test; there are {', '.join(TESTS)}."
    for key in ("overfit", "spread", "seed_spread", "calibration", "latency_ms", "batch_ms", "size_mb"):
        if getattr(rules, key) < 0:
            return key, f"is {getattr(rules, key)}, wanted 0 or more."
    for key in ("leakage", "difference", "ratio"):
        if not 0 <= getattr(rules, key) <= 1:
            return key, f"is {getattr(rules, key)}, wanted 0 to 1."
    if not 0 <= rules.seeds <= 20:
        return "seeds", f"is {rules.seeds}, wanted 0 to 20."
    if rules.slices < 1:
        return "slices", f"is {rules.slices}, wanted 1 or more."
    if rules.slice_rows < 10 or rules.least < 1:
        return "slice_rows", "a slice needs at least 10 rows, a group at least 1."
    return None
