"""What is wrong with a run although it has not failed: it says nothing any more, or a metric of it is no number.

Derived from what the run said, whoever ran it, at every look anew: when it goes on, the flag is gone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import msgspec

from backends.entities import Record, Run, RunStatus
from backends.system_metrics import is_system
from console.wording import duration

STALLED_TAG: Final = "console.stalled_after"
"""Minutes without a word after which a run counts as stalled; 0 for never. Its recipe's `stalled_after`."""
STALLED_AFTER_MIN: Final = 15.0
"""Where nobody said. A fit says nothing while it works, so that less would cry wolf."""
FORGOTTEN_MS: Final = 7 * 86_400_000
NAMED: Final = 3
"""Metrics that a sentence names."""


class Flag(StrEnum):
    """The word that it is known by."""

    STALLED = "stalled"
    NAN = "NaN"
    """A metric is NaN or infinite, though it was finite before."""


class RunFlag(Record, frozen=True):
    flag: Flag
    text: str
    """A sentence that says what is, in plain words."""
    since: int
    """Milliseconds for `stalled`: when it was last heard. For `NaN` the step from which on."""
    metrics: tuple[str, ...] = ()


def flags(run: Run, at: int | None = None) -> tuple[RunFlag, ...]:
    """What is wrong with the run at this moment (milliseconds), the worse first. Of one that has ended: its metrics."""
    found: list[RunFlag] = []
    broken = {name: step for name, step in run.broken.items() if not is_system(name)}
    if broken:
        names = sorted(broken, key=lambda name: (broken[name], name))
        said = [f"{name} is {_spelled(run.metrics.get(name))} since step {broken[name]}" for name in names[:NAMED]]
        if len(names) > NAMED:
            said.append(f"and {len(names) - NAMED} more metrics are so")
        found.append(RunFlag(flag=Flag.NAN, text=", ".join(said), since=broken[names[0]], metrics=tuple(names)))
    after, heard = stalled_after(run), heard_at(run)
    silent = (time.time_ns() // 1_000_000 if at is None else at) - heard
    if run.status is RunStatus.RUNNING and after > 0 and silent >= after * 60_000:
        text = f"no metric, progress or output for {duration(silent / 1000)}"
        found.append(RunFlag(flag=Flag.STALLED, text=text, since=heard))
    return tuple(found)


def stalled_after(run: Run) -> float:
    """Minutes; 0 for never."""
    try:
        minutes = float(run.tags.get(STALLED_TAG, STALLED_AFTER_MIN))
    except ValueError:  # a tag is anybody's
        return STALLED_AFTER_MIN
    return minutes if math.isfinite(minutes) else 0.0


def heard_at(run: Run) -> int:
    """When it last said anything, as far as anybody knows; in milliseconds."""
    progress = run.progress.at if run.progress is not None else 0
    return max(run.heard_at or 0, progress, run.started_at or run.created_at)


def flagged(runs: Iterable[Run], at: int | None = None) -> list[tuple[Run, RunFlag]]:
    """Each of these runs that is under way and has something wrong with it, with all of that. Left out is what was
    silent for so long that whoever cared has seen it: a client may end without a word, and its run never."""
    now = time.time_ns() // 1_000_000 if at is None else at
    return [
        (run, flag)
        for run in runs
        if not run.status.ended
        for flag in flags(run, now)
        if flag.flag is not Flag.STALLED or now - flag.since < FORGOTTEN_MS
    ]


def with_flags(run: Run) -> dict[str, Any]:
    """The run as a document, with what is wrong with it."""
    found: dict[str, Any] = msgspec.to_builtins(run)
    return found | {"flags": msgspec.to_builtins(flags(run))}


def stalled_tag(minutes: float | None) -> dict[str, str]:
    """The tag that keeps what a recipe says; nothing where it says nothing."""
    return {} if minutes is None else {STALLED_TAG: f"{minutes:g}"}


def _spelled(value: float | None) -> str:
    """A list may not know the value, only that it is none."""
    return "inf" if value == math.inf else "-inf" if value == -math.inf else "NaN"
