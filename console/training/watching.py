"""What a recipe says of how its runs are watched: `stalled_after` and `system_metrics`."""

from __future__ import annotations

import math
from typing import Final

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 3600.0
MOST_MIN: Final = 1e6


def sample_s(system_metrics: bool | float) -> float | None:
    """As `LaunchSpec.sample_s`: None often at first, then less; 0 not at all."""
    if isinstance(system_metrics, bool):
        return None if system_metrics else 0.0
    return float(system_metrics)


def wrong_watching(stalled_after: float | None, system_metrics: bool | float) -> tuple[str, str] | None:
    """(which key, what is wrong with it), or None."""
    if stalled_after is not None and not 0 <= stalled_after <= MOST_MIN:
        return "stalled_after", f"is {stalled_after:g}, wanted minutes from 0 (never) to {MOST_MIN:g}."
    if isinstance(system_metrics, bool) or system_metrics == 0:
        return None
    if not math.isfinite(system_metrics) or not SHORTEST_S <= system_metrics <= LONGEST_S:
        return (
            "system_metrics",
            f"is {system_metrics:g}, wanted true, false, or seconds between samples from {SHORTEST_S:g} to "
            f"{LONGEST_S:g}.",
        )
    return None
