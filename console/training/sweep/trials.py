"""What a sweep has tried: its child runs, read from the store. There is no other memory, so nothing can disagree."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from backends.contract import Backend, all_pages
from backends.entities import Record, Run, RunStatus
from backends.query import Compare, Key, Query
from console.training.sweep import TRIAL_TAG
from console.training.sweep.goal import lower_is_better
from console.training.sweep.space import SweepPlan, Value

NUMBER: Final = TRIAL_TAG
PARAMS: Final = "console.trial.params"
PRUNED: Final = "console.pruned"
LOSSES: Final = "console.trial.losses"
"""How many runs of this trial were lost with their machine before this one."""
PAUSED: Final = "console.sweep.paused"
SWEEP: Final = "console.sweep"
"""Tag of the sweep's own run."""


class Trial(Record, frozen=True, kw_only=True):
    """One trial. `value` is the primary metric where it finished."""

    number: int
    run: str
    name: str
    status: RunStatus
    params: dict[str, Value]
    value: float | None = None
    pruned: bool = False
    seconds: float | None = None
    losses: int = 0
    """Runs of it that were lost with their machine before this one."""

    @property
    def complete(self) -> bool:
        return self.status is RunStatus.FINISHED and self.value is not None


def trials_of(backend: Backend, sweep: str, primary: str) -> list[Trial]:
    """By number. A run that was deleted was not tried; of a trial that failed or was lost, and tried again, the last
    counts."""
    runs = backend.need("runs")
    children = Query(where=Compare(Key("attribute", "parent"), "=", sweep))
    columns = [f"metrics.{primary}", f"tags.{NUMBER}", f"tags.{PARAMS}", f"tags.{PRUNED}", f"tags.{LOSSES}"]
    found = all_pages(lambda at: runs.page(children, at=at, limit=1_000, columns=columns))
    last = {run.tags[NUMBER]: run for run in sorted(found, key=lambda run: run.created_at) if NUMBER in run.tags}
    return sorted((_trial(run, primary) for run in last.values()), key=lambda trial: trial.number)


def _trial(run: Run, primary: str) -> Trial:
    value = run.metrics.get(primary)
    params: dict[str, Any] = msgspec.json.decode(run.tags.get(PARAMS, "{}"))
    took = (run.ended_at - run.started_at) / 1000 if run.ended_at and run.started_at else None
    return Trial(
        number=int(run.tags[NUMBER]),
        run=run.id,
        name=run.name,
        status=run.status,
        params=params,
        value=value if run.status is RunStatus.FINISHED and value is not None and math.isfinite(value) else None,
        pruned=PRUNED in run.tags,
        seconds=took,
        losses=int(run.tags.get(LOSSES, "0")),
    )


def best_of(trials: list[Trial], primary: str, plan: SweepPlan | None = None) -> Trial | None:
    """The first of the best."""
    done = [trial for trial in trials if trial.complete]
    sign = 1 if lower_is_better(plan, primary) else -1
    return min(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


def since_best(trials: list[Trial], primary: str, plan: SweepPlan | None = None) -> int:
    """Trials that have ended after the best one, by number."""
    best = best_of(trials, primary, plan)
    return sum(trial.status.ended and (best is None or trial.number > best.number) for trial in trials)
