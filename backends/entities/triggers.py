"""What acts by itself: triggers, and each time that one fired."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from backends.entities.record import Millis, Record

ACTOR = "trigger:"
"""What a trigger is called by begins with it, in the journal and among alerts."""


class TriggerState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    """A person wants it quiet."""
    STOPPED = "stopped"
    """It failed too often in a row, and waits for a person."""


class TriggerWhen(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a trigger waits for: one of an alert, a schedule, new data, and a person alone."""

    alert: str = ""
    """Monitor whose alerts it acts on; a pattern, `*` is every monitor."""
    metric: str = "*"
    """Only alerts on this metric or rule; a pattern."""
    severity: str = ""
    """Only alerts of this severity; empty for any."""
    schedule: str = ""
    """`0 3 * * *`, `@daily`, `every day at 03:00`."""
    timezone: str = ""
    """IANA name of the zone that the schedule is meant in."""
    missed: Literal["once", "skip"] = "once"
    """What becomes of times that passed while no agent ran: one firing for all of them, or none."""
    dataset: str = ""
    """A new version of this dataset."""
    monitor: str = ""
    """Rows that land in this monitor."""
    rows: int = 0
    """So many of them."""
    folder: str = ""
    """Files that land in this folder."""
    files: int = 1
    """So many of them."""
    hand: bool = False
    """Nothing: it fires when a person says so, and never else."""

    @property
    def what(self) -> str:
        """`alert`, `schedule`, `dataset`, `monitor`, `folder` or `hand`."""
        return next((each for each in CAUSES if getattr(self, each)), "")


CAUSES = ("alert", "schedule", "dataset", "monitor", "folder", "hand")


class TriggerDo(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a trigger does: one of retrain, rollback, scale, command, run and check."""

    retrain: str = ""
    """Text of a recipe: trained on fresh data, judged, made a challenger."""
    rollback: str = ""
    """Model whose alias goes back to its holder before."""
    scale: str = ""
    """Deployment that is given other workers."""
    command: str = ""
    """A command line, run as a run."""
    run: str = ""
    """Text of a recipe, run as it stands."""
    check: str = ""
    """Dataset whose newest version is checked."""
    model: str = ""
    """Of a retrain: the model that its version belongs to; by default the one that the recipe registers."""
    alias: str = "champion"
    """Of a rollback: what goes back. Of a retrain: whom the new version is judged against."""
    data: str = ""
    """Of a retrain: dataset whose newest version is trained on; by default that of the recipe."""
    rows_of: str = ""
    """Of a retrain: monitor whose labelled rows become a new version of `data`, which is then trained on."""
    promote: bool = False
    """Of a retrain: go on to promote the challenger, where the policy lets a trigger do so."""
    workers: str = ""
    """Of a scaling: `4`, or `+1`."""
    most: int = 8
    """Of a relative scaling: never more workers than this."""
    workdir: str = ""
    """Folder of a command, and of what a recipe names."""
    experiment: str = "triggers"
    """Of a command: where its runs are kept."""

    @property
    def what(self) -> str:
        """`retrain`, `rollback`, `scale`, `command`, `run` or `check`."""
        return next((each for each in DEEDS if getattr(self, each)), "")


DEEDS = ("retrain", "rollback", "scale", "command", "run", "check")


class TriggerLimits(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a trigger may go; 0 is no limit."""

    dry_run: bool = False
    """Say what it would do, and do nothing."""
    per_day: int = 3
    """Times in 24 hours."""
    cooldown: str = "1 h"
    """Quiet after a firing began."""
    run_minutes: float = 60.0
    """A run past this is stopped."""
    cpu_hours: float = 0.0
    """A run whose processes took more is stopped."""
    failures: int = 3
    """After so many failures in a row it stops itself."""


class TriggerStatus(Record, frozen=True, kw_only=True):
    """Where a trigger stands. Written by who runs it; a change of the definition leaves it."""

    state: TriggerState = TriggerState.ACTIVE
    reason: str = ""
    """Why it is paused or stopped."""
    since: Millis = 0
    next_at: Millis | None = None
    """When its schedule is due."""
    cursor: str = ""
    """How far it has seen new data: a version, a number of rows, a digest of a folder's files."""
    seen: tuple[str, ...] = ()
    """Alerts and files that it has acted on or left alone."""
    failures: int = 0
    """In a row."""
    last: str = ""
    """Id of its newest firing."""


class Trigger(Record, frozen=True, kw_only=True):
    """When something happens, something is done, within limits."""

    name: str
    when: TriggerWhen
    do: TriggerDo
    limits: TriggerLimits = TriggerLimits()
    note: str = ""
    created_at: Millis = 0
    created_by: str = ""
    changed_at: Millis = 0
    status: TriggerStatus = TriggerStatus()

    @property
    def actor(self) -> str:
        """Who the journal names for what it does."""
        return f"{ACTOR}{self.name}"


class FiringState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    """A limit, a gate or a policy said no."""
    DRY_RUN = "dry run"
    """It said what it would do."""

    @property
    def ended(self) -> bool:
        return self not in (FiringState.WAITING, FiringState.RUNNING)


class FiringStep(Record, frozen=True, kw_only=True):
    """One step of a firing that is behind it."""

    step: str
    at: Millis
    said: str = ""


class Firing(Record, frozen=True, kw_only=True):
    """One time that a trigger fired. Its id is made from the cause, so that the same cause fires once."""

    id: str
    trigger: str
    at: Millis
    cause: str
    """In words: `alert a1b2 on live: AUC 0.61`, `due at 03:00`, `by ann@box`."""
    by: str = ""
    """The person who asked for it by hand; empty where the trigger acted by itself."""
    state: FiringState = FiringState.WAITING
    step: str = ""
    """What is under way."""
    reason: str = ""
    """Why it waits, failed or was refused; what came of it when done."""
    steps: tuple[FiringStep, ...] = ()
    dry_run: bool = False
    model: str = ""
    started_at: Millis | None = None
    ended_at: Millis | None = None
    expected: str = ""
    """What it found when it began (holder of the alias, number of workers), so that a repeated step does the same."""
    wanted: str = ""
    """What it set out for (number of workers)."""
    dataset: str = ""
    """`name@version` that is trained on or checked."""
    run: str = ""
    version: str = ""
    """Of the model."""
