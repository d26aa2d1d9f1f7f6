"""How many trials of a sweep run at once, where neither its recipe nor a person says so."""

from __future__ import annotations

from typing import Final

from console.training.sweep.space import SweepPlan

MOST: Final = 100
"""However large the cluster: others are there too, and whoever wants more says it."""
LEARNS_AFTER: Final = 10
"""So many trials TPE draws at random before it learns: beside each other they lose nothing."""
SHARE: Final = 4
"""Of a sampler that learns from what has ended, one trial in so many at once: each has more to go by."""


def at_once(plan: SweepPlan, fits: int | None) -> int:
    """`fits` is for how many such runs the cluster has room in all; None for this machine, where it is one."""
    if plan.parallel:
        return plan.parallel
    if fits is None:
        return 1
    learns = plan.sampler == "tpe"
    most = max(LEARNS_AFTER, plan.trials // SHARE) if learns else plan.trials
    return max(1, min(fits, most, plan.trials, MOST))
