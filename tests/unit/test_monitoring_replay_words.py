"""How often a policy would cry wolf, in words that one can plan by."""

from __future__ import annotations

import pytest

from console.monitoring.alarms.replaying import Quiet, weekly


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ((0.0018, 4.5e-05, 0.0098), "less than 0.1 a week"),
        ((0.0, 0.0, 0.065), "less than 0.1 a week"),
        ((0.02, 0.001, 0.31), "less than 0.1 a week (at most 0.31)"),
        ((0.2, 0.05, 0.4), "0.2 a week (less than 0.1 to 0.4)"),
        ((1.25, 0.9, 1.8), "1.2 a week (0.9 to 1.8)"),
        ((126.0, 104.0, 151.0), "126 a week (104 to 151)"),
    ],
)
def test_rates_are_told_as_precisely_as_they_matter(figures: tuple[float, float, float], said: str) -> None:
    rate, low, high = figures
    assert weekly(Quiet(fired=1, windows=400, per_week=rate, low=low, high=high)) == said
