"""Triggers in words: when, what, how far, and what came of it. One wording for screen and command line."""

from __future__ import annotations

from datetime import UTC, datetime

from backends.entities import Firing, FiringState, Millis, Trigger, TriggerState
from console.triggers.causes import times
from console.triggers.cron import zone
from console.triggers.definition import data_of, model_of, span
from console.wording import plural, thousands


def when_words(trigger: Trigger) -> str:
    """`alert on live (auc, critical)`, `every day at 03:00 Europe/Berlin`."""
    when = trigger.when
    if when.alert:
        more = ", ".join(each for each in (when.metric if when.metric != "*" else "", when.severity) if each)
        return f"alert on {'any monitor' if when.alert == '*' else when.alert}{f' ({more})' if more else ''}"
    if when.schedule:
        return f"{when.schedule} {when.timezone}"
    if when.dataset:
        return f"new version of {when.dataset}"
    if when.monitor:
        return f"{thousands(when.rows)} new rows in {when.monitor}"
    if when.folder:
        return f"{plural(when.files, 'new file')} in {when.folder}"
    return "by hand only"


def do_words(trigger: Trigger) -> str:
    """`retrain flights on flights`, `roll back champion of flights`."""
    do = trigger.do
    if do.retrain:
        data = f"rows of {do.rows_of}" if do.rows_of else data_of(do)
        return f"retrain {model_of(do)} on {data}{', promote' if do.promote else ''}"
    if do.rollback:
        return f"roll back {do.alias} of {do.rollback}"
    if do.scale:
        return f"scale {do.scale} {'to ' if do.workers[:1] not in '+-' else ''}{do.workers}"
    if do.command:
        return f"command {do.command}"
    if do.run:
        return "run a recipe"
    return f"check {do.check}"


def limit_words(trigger: Trigger) -> str:
    """`at most 3 a day, 1 h apart, a run 60 min; stops after 3 failures`."""
    limits = trigger.limits
    said = []
    if limits.per_day:
        said.append(f"at most {limits.per_day} a day")
    if span(limits.cooldown):
        said.append(f"{limits.cooldown} apart")
    if limits.run_minutes:
        said.append(f"a run {limits.run_minutes:g} min")
    if limits.cpu_hours:
        said.append(f"{limits.cpu_hours:g} CPU hours")
    whole = ", ".join(said) or "no limit but one at a time"
    return whole + (f"; stops after {plural(limits.failures, 'failure')} in a row" if limits.failures else "")


def state_word(trigger: Trigger) -> str:
    """`active`, `dry run`, `paused`, `stopped`."""
    state = trigger.status.state
    return "dry run" if state is TriggerState.ACTIVE and trigger.limits.dry_run else str(state)


def state_words(trigger: Trigger) -> str:
    """The state, and why it is not active."""
    status = trigger.status
    return f"{state_word(trigger)}: {status.reason}" if status.reason else state_word(trigger)


def next_words(trigger: Trigger, now: Millis) -> list[str]:
    """Its next three times, in its own zone; none where nothing is scheduled or it is not active."""
    if trigger.status.state is not TriggerState.ACTIVE:
        return []
    where = zone(trigger.when.timezone)
    return [
        f"{datetime.fromtimestamp(at / 1000, UTC).astimezone(where):%Y-%m-%d %H:%M %Z}" for at in times(trigger, now)
    ]


def outcome_words(firing: Firing) -> str:
    """`done: …`, `running: wait`."""
    if firing.state is FiringState.RUNNING:
        return f"running: {firing.step}{f' ({firing.reason})' if firing.reason else ''}"
    return f"{firing.state}: {firing.reason}" if firing.reason else str(firing.state)
