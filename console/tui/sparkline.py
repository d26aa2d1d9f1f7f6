"""A course in one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from console.tui.glyphs import drawn

BLOCKS = "▁▂▃▄▅▆▇"
"""Not the full block: lines above each other would run together."""


def sparkline(
    values: Sequence[float | None], cells: int, *, low: float | None = None, high: float | None = None
) -> str:
    """The last values in exactly `cells` cells; more values than cells are averaged, what is missing is a blank.

    `low` and `high` fix the scale where several lines are to be compared; without them it is the values' own.
    """
    known = [v if v is not None and math.isfinite(v) else math.nan for v in values]
    if len(known) > cells:
        known = [_mean(known[i * len(known) // cells : (i + 1) * len(known) // cells]) for i in range(cells)]
    finite = [v for v in known if not math.isnan(v)]
    if not finite or cells <= 0:
        return " " * max(0, cells)
    floor = min(finite) if low is None else low
    top = max(finite) if high is None else high
    span = top - floor
    out = []
    for value in known:
        if math.isnan(value):
            out.append(" ")
        elif span <= 0:
            out.append(BLOCKS[0])
        else:
            step = int((value - floor) / span * len(BLOCKS))
            out.append(BLOCKS[min(len(BLOCKS) - 1, max(0, step))])
    return drawn("".join(out)).ljust(cells)


def _mean(values: Sequence[float]) -> float:
    finite = [v for v in values if not math.isnan(v)]
    return sum(finite) / len(finite) if finite else math.nan
