"""Ask what a policy would have done before it is saved. Light to import."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from backends.connect import place_of
from backends.contract import Backend
from backends.entities import Millis, Progress, Record
from console.monitoring.alarms.rules import Rule, read_rules
from console.offload import run_offloaded
from console.wording import plural

RARE = 0.1
"""False alarms a week below which it is only said that they are fewer."""


class Episode(Record, frozen=True, kw_only=True):
    """An alert that a rule would have opened."""

    rule: str
    segment: str = ""
    opened_at: Millis
    resolved_at: Millis | None = None
    """None where it would be open still."""
    text: str


class Quiet(Record, frozen=True, kw_only=True):
    """How often a rule fires though nothing happens, by simulation from the reference, with a 95 % interval."""

    fired: int
    windows: int
    per_week: float
    low: float
    high: float


class RuleReplay(Record, frozen=True, kw_only=True):
    """One rule over history."""

    rule: Rule
    episodes: tuple[Episode, ...]
    quiet: Quiet | None = None
    """None where there is no reference to draw quiet windows of its measure from."""


class Replay(Record, frozen=True, kw_only=True):
    """A policy over the windows that a monitor has."""

    monitor: str
    windows: int
    first: Millis
    last: Millis
    days: float
    rules: tuple[RuleReplay, ...]
    note: str = ""
    """What of the history can no more be told as finely as it was counted."""


def replay_offloaded(
    backend: Backend,
    monitor: str,
    rules: str | None = None,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Replay:
    """What these rules (TOML; those in force for None) would have done. A wrong policy is told before anything
    starts."""
    backend.need("monitors").get(monitor)
    if rules is not None:
        read_rules(rules)
    args = [place_of(backend), monitor, *([f"--rules={rules}"] if rules is not None else [])]
    return msgspec.convert(
        run_offloaded("console.monitoring.policy_replay", args, on_progress=on_progress, cancel=cancel), Replay
    )


def told(replay: RuleReplay, days: float) -> str:
    """`would have fired 3 times in 90 days; expected false alarms 0.2 a week (0.1 to 0.4)`"""
    count = len(replay.episodes)
    fired = f"would have fired {plural(count, 'time')}" if count else "would never have fired"
    words = f"{fired} in {days:.0f} days"
    if replay.rule.about_schema:
        return f"{words}, as far as columns were looked at then; none changes by chance"
    if replay.quiet is None:
        return f"{words}; nobody can say how often it fires without a reason: its measure has no reference"
    return f"{words}; expected false alarms {weekly(replay.quiet)}"


def weekly(quiet: Quiet) -> str:
    """`0.2 a week (less than 0.1 to 0.4)`: a rarer one than every ten weeks is no figure that anybody plans by."""
    if quiet.high < RARE:
        return f"{_rate(quiet.high)} a week"
    if quiet.per_week < RARE:
        return f"{_rate(quiet.per_week)} a week (at most {_rate(quiet.high)})"
    return f"{_rate(quiet.per_week)} a week ({_rate(quiet.low)} to {_rate(quiet.high)})"


def _rate(value: float) -> str:
    if value < RARE:
        return f"less than {RARE}"
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
