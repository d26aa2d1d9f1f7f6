"""Which columns a sweep's trials have."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from backends.entities import Run
from console.training.sweep.begin import SweepState
from console.training.sweep.trials import NUMBER, PARAMS, PRUNED
from console.tui.columns import Column, Tone, metric
from console.tui.run_columns import status_cell, status_tone
from console.tui.state import state_of
from console.wording import NOTHING, duration, number

TAGS = [f"tags.{name}" for name in (NUMBER, PARAMS, PRUNED)]
"""What a trial's row is told by, beside its metric."""


def trial_number(run: Run) -> str:
    return run.tags.get(NUMBER, NOTHING)


def trial_status(run: Run) -> str:
    return f"{state_of('stopped').glyph} pruned" if PRUNED in run.tags and run.status.ended else status_cell(run)


def _tone(run: Run) -> Tone:
    return "dim" if PRUNED in run.tags else status_tone(run)


@lru_cache(maxsize=4_096)
def _params(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _param(name: str, at: int) -> Column[Run]:
    def cell(run: Run) -> object:
        value = _params(run.tags.get(PARAMS, "")).get(name)
        return number(value, 4) if isinstance(value, float) else NOTHING if value is None else value

    title = name.rsplit(".", 1)[-1]
    return Column(
        f"params.{name}", title, cell, max(6, min(14, len(title) + 2)), right=True, priority=2 + at,
        grow=1, most=20, sort=f"params.{name}",
    )  # fmt: skip


def _took(run: Run) -> str:
    return duration((run.ended_at - run.started_at) / 1000) if run.ended_at and run.started_at else NOTHING


def trial_columns(state: SweepState) -> tuple[Column[Run], ...]:
    """Number, status, the metric, the parameters, how long it took; on a narrow screen the last parameters give way."""
    primary = state.primary
    value: Column[Run] = Column(
        f"metrics.{primary}", primary, lambda run: metric(run.metrics.get(primary)),
        max(8, min(12, len(primary) + 2)), right=True, sort=f"metrics.{primary}",
    )  # fmt: skip
    return (
        Column("created", "trial", trial_number, 7, right=True, sort="created"),
        Column("status", "status", trial_status, 10, sort="status", tone=_tone),
        value,
        *(_param(name, at) for at, name in enumerate(state.plan.space)),
        Column("duration", "took", _took, 6, right=True, priority=1, sort="duration"),
    )
