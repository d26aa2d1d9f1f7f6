"""In which order the metrics of a run or of a model version are shown: what it is judged by first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from backends.entities import ModelVersion, Run
from backends.system_metrics import RUN_CPU_S, RUN_PEAK_MB, SYSTEM
from console.wording import duration, size

PRIMARY_TAG = "console.primary"
"""Names the metric that the recipe calls primary."""

SIDE = ("train.", "baseline.", "fold.", "cv_sd.", "system.", SYSTEM)
"""Metrics with these beginnings are about something else than how good the model is."""

USUAL = ("auc", "f1", "accuracy", "r2", "log_loss", "brier", "rmse", "mae")
"""Of metrics that are used alike, these stand first."""

_RANK = {name: at for at, name in enumerate(USUAL)}


def in_order(found: Run | ModelVersion) -> list[str]:
    """Names of all its metrics: the primary one, the usual ones, the others, then those about something else, and last
    those of machine and processes."""
    primary = found.tags.get(PRIMARY_TAG, "")
    return sorted(
        found.metrics,
        key=lambda name: (
            name != primary,
            name.startswith(SYSTEM),
            name.startswith(SIDE),
            _RANK.get(name, len(_RANK)),
            name,
        ),
    )


def taken(found: Run) -> list[tuple[str, str]]:
    """What the run took of the machine, as (name, value); nothing where nobody looked."""
    facts = []
    if RUN_CPU_S in found.metrics:
        facts.append(("cpu time", duration(found.metrics[RUN_CPU_S])))
    if RUN_PEAK_MB in found.metrics:
        facts.append(("peak memory", size(round(found.metrics[RUN_PEAK_MB] * 1e6))))
    return facts


def headline(found: Run | ModelVersion) -> str:
    """The one metric to show where there is room for one; empty where nothing tells how good it is."""
    return next((name for name in in_order(found) if not name.startswith(SIDE)), "")


def shared_order(items: Iterable[Run | ModelVersion]) -> list[str]:
    """Main metrics of several, for columns: what most are judged by, the usual ones, the others by use."""
    primary: Counter[str] = Counter()
    used: Counter[str] = Counter()
    for found in items:
        named = found.tags.get(PRIMARY_TAG, "")
        primary[named if named in found.metrics else ""] += 1
        used.update(name for name in found.metrics if not name.startswith(SIDE))
    primary.pop("", None)
    return sorted(used, key=lambda name: (-primary[name], _RANK.get(name, len(_RANK)), -used[name], name))
