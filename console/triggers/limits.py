"""How far a trigger may go: how often, how soon again, beside what, at what cost, and for how long in vain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from backends.contract import Backend
from backends.entities import Firing, FiringState, Millis, Run, Trigger
from backends.system_metrics import RUN_CPU_S
from console.triggers.clock import real_now
from console.triggers.definition import span

DAY_MS: Final = 86_400_000
LOOKED_AT: Final = 200
"""Newest firings of a trigger that its limits look at."""


def began(firings: Sequence[Firing]) -> list[Firing]:
    """Those that did something, or set out to: what a rate is counted of."""
    return [each for each in firings if each.started_at is not None]


def refusal(trigger: Trigger, firing: Firing, earlier: Sequence[Firing], at: Millis) -> str:
    """Why this firing may not begin, with the figures and when it could; empty where it may.

    A person who fires it by hand is not held to rate and cooldown.
    """
    limits = trigger.limits
    if firing.by or firing.dry_run:
        return ""
    done = [each for each in began(earlier) if each.id != firing.id]
    recent = [each for each in done if each.started_at is not None and at - each.started_at < DAY_MS]
    if limits.per_day and len(recent) >= limits.per_day:
        return f"rate: {len(recent)} in the last 24 hours, and {limits.per_day} are allowed (per_day)"
    quiet = span(limits.cooldown)
    newest = max((each.started_at or 0 for each in done), default=None)
    if quiet and newest is not None and at - newest < quiet:
        return f"cooldown: it began {(at - newest) / 60_000:.0f} min ago, and {limits.cooldown} of quiet are wanted"
    return ""


def in_the_way(firing: Firing, running: Sequence[Firing]) -> str:
    """What it waits for: one at a time of each trigger, and of each model. Empty where nothing is in the way."""
    for other in running:
        if other.id == firing.id:
            continue
        if other.trigger == firing.trigger:
            return f"waits for firing {other.id[:8]} of the same trigger to end"
        if firing.model and other.model == firing.model:
            return f"waits for trigger {other.trigger} (firing {other.id[:8]}), which is at work on {firing.model}"
    return ""


def overspent(trigger: Trigger, run: Run) -> str:
    """Which limit a run is past, with the figures; empty where it is within them all."""
    limits = trigger.limits
    if run.status.ended:
        return ""
    if limits.run_minutes and run.started_at is not None:
        minutes = (real_now() - run.started_at) / 60_000
        if minutes > limits.run_minutes:
            return f"the run took {minutes:.3g} minutes, and {limits.run_minutes:g} are allowed (run_minutes)"
    hours = run.metrics.get(RUN_CPU_S, 0.0) / 3600
    if limits.cpu_hours and hours > limits.cpu_hours:
        return f"the run took {hours:.3g} CPU hours, and {limits.cpu_hours:g} are allowed (cpu_hours)"
    return ""


def in_vain(backend: Backend, trigger: Trigger) -> int:
    """How many of its newest firings failed or were refused half way, one after the other, since it was last resumed.

    Counted from what is kept, so that nothing is counted twice after a crash.
    """
    found = 0
    for each in backend.need("triggers").firings(trigger.name, limit=LOOKED_AT):
        if each.started_at is None or not each.state.ended or each.dry_run:
            continue
        if (each.ended_at or 0) < trigger.status.since:
            break
        if each.state is FiringState.DONE:
            break
        found += 1
    return found
