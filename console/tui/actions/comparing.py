"""Runs side by side: the keys of the comparison, beside those of its chart and of export."""

from __future__ import annotations

from console.tui.actions import when
from console.tui.actions.action import Action

ACTIONS: tuple[Action, ...] = (
    Action(
        "compare.baseline",
        "b",
        "baseline",
        "Hold the compared runs against the next of them.",
        "comparing:baseline",
        ("compare",),
        available=when.a_comparison,
        cli="mlops-console run compare RUN RUN --baseline RUN",
    ),
    Action(
        "compare.baseline_back",
        "B",
        "baseline back",
        "Hold the compared runs against the one before.",
        "comparing:baseline_back",
        ("compare",),
        available=when.a_comparison,
        cli="mlops-console run compare RUN RUN --baseline RUN",
    ),
)
