"""What calls for a trigger: alerts, times, new data. Looking changes nothing; the answer is what is to be kept.

Each cause has an id of its own, and a firing takes its id from it: the same alert, time or version fires once, whoever
looks however often, and after whatever end.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, NotFound
from backends.entities import Alert, AlertState, Firing, Millis, Trigger, TriggerStatus
from backends.entities.triggers import ACTOR
from console.triggers import cron
from console.triggers.clock import real_now
from console.triggers.definition import model_of
from console.wording import plural, thousands

LATE_MS: Final = 300_000
"""A time that passed longer ago was missed: no agent ran then."""
SETTLED_MS: Final = 3_000
"""A file that did not change for so long is whole."""


def baseline(backend: Backend, trigger: Trigger, at: Millis) -> TriggerStatus:
    """Where a trigger begins: what is there already is not new."""
    when, status = trigger.when, trigger.status
    fresh = msgspec.structs.replace(status, next_at=None, cursor="", seen=())
    if when.schedule:
        return msgspec.structs.replace(fresh, next_at=_next(trigger, at))
    if when.alert:
        return msgspec.structs.replace(fresh, seen=tuple(sorted(each.id for each in matching(backend, trigger))))
    if when.dataset:
        return msgspec.structs.replace(fresh, cursor=_newest(backend, when.dataset)[0])
    if when.monitor:
        return msgspec.structs.replace(fresh, cursor=str(_rows(backend, when.monitor)))
    if when.folder:
        return msgspec.structs.replace(fresh, cursor=str(max((at for at, _ in _files(when.folder, 0)), default=0)))
    return fresh


def due(backend: Backend, trigger: Trigger, at: Millis) -> tuple[list[Firing], TriggerStatus]:
    """The firings that are called for now, and where the trigger stands then."""
    what = trigger.when.what
    if what == "schedule":
        return _schedule(trigger, at)
    if what == "alert":
        return _alerts(backend, trigger, at)
    if what == "dataset":
        return _dataset(backend, trigger, at)
    if what == "monitor":
        return _landed(backend, trigger, at)
    if what == "folder":
        return _folder(trigger, at)
    return [], trigger.status


def firing_of(trigger: Trigger, at: Millis, cause: str, subject: str, *, by: str = "", dry: bool = False) -> Firing:
    """A firing whose id is that of its cause."""
    said = f"{trigger.name}\0{trigger.created_at}\0{subject}"
    return Firing(
        id=hashlib.sha256(said.encode()).hexdigest()[:16],
        trigger=trigger.name,
        at=at,
        cause=cause,
        by=by,
        dry_run=dry or trigger.limits.dry_run,
        model=model_of(trigger.do),
    )


def matching(backend: Backend, trigger: Trigger) -> list[Alert]:
    """The open alerts, nobody's yet and not muted, that this trigger is about."""
    when = trigger.when
    monitor = when.alert if not set(when.alert) & set("*?[") else ""
    return [
        alert
        for alert in backend.need("monitors").alerts(monitor, open_only=True, limit=1000)
        if alert.state is AlertState.FIRING
        and alert.muted_until is None
        and not alert.monitor.startswith(ACTOR)  # that another trigger stopped is for a person
        and fnmatchcase(alert.monitor, when.alert)
        and any(fnmatchcase(each, when.metric) for each in (alert.metric, str(getattr(alert, "rule", ""))) if each)
        and when.severity in ("", alert.severity)
    ]


def times(trigger: Trigger, at: Millis, count: int = 3) -> list[Millis]:
    """When its schedule is due next; empty where it has none."""
    if not trigger.when.schedule:
        return []
    return cron.next_times(cron.parse(trigger.when.schedule), cron.zone(trigger.when.timezone), at, count)


def _schedule(trigger: Trigger, at: Millis) -> tuple[list[Firing], TriggerStatus]:
    status = trigger.status
    if status.next_at is None:
        return [], msgspec.structs.replace(status, next_at=_next(trigger, at))
    if status.next_at > at:
        return [], status
    schedule, where = cron.parse(trigger.when.schedule), cron.zone(trigger.when.timezone)
    newest, missed = status.next_at, 0
    while (following := cron.next_after(schedule, where, newest)) <= at:
        newest, missed = following, missed + 1
        if missed > 10_000:  # a long sleep of a schedule by the minute: the rest is not worth counting
            newest = at
            following = cron.next_after(schedule, where, at)
            break
    moved = msgspec.structs.replace(status, next_at=following)
    late = at - newest > LATE_MS
    if late and trigger.when.missed == "skip":
        return [], moved
    passed = f", once for {plural(missed + 1, 'time')} that passed" if missed else ", late" if late else ""
    cause = f"due at {_clock(newest, trigger.when.timezone)}{passed}"
    return [firing_of(trigger, at, cause, f"schedule\0{newest}")], moved


def _clock(at: Millis, where: str) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at / 1000, UTC).astimezone(cron.zone(where)):%Y-%m-%d %H:%M %Z}"


def _next(trigger: Trigger, at: Millis) -> Millis:
    return cron.next_after(cron.parse(trigger.when.schedule), cron.zone(trigger.when.timezone), at)


def _alerts(backend: Backend, trigger: Trigger, at: Millis) -> tuple[list[Firing], TriggerStatus]:
    status = trigger.status
    now = matching(backend, trigger)
    known = set(status.seen)
    fresh = [alert for alert in reversed(now) if alert.id not in known]
    if known and not fresh and len(now) == len(known):
        return [], status
    still = {alert.id for alert in backend.need("monitors").alerts(open_only=True, limit=1000)} if known else set()
    seen = tuple(sorted((known & still) | {alert.id for alert in now}))
    firings = [
        firing_of(
            trigger,
            at,
            f"alert {alert.id[:8]} on {alert.monitor}: {alert.text}"[:400],
            f"alert\0{alert.id}\0{alert.opened_at}",
        )
        for alert in fresh
    ]
    return firings, msgspec.structs.replace(status, seen=seen)


def _dataset(backend: Backend, trigger: Trigger, at: Millis) -> tuple[list[Firing], TriggerStatus]:
    cursor, ref, rows = _newest(backend, trigger.when.dataset)
    if not cursor or cursor == trigger.status.cursor:
        return [], trigger.status
    cause = f"new version {ref} with {thousands(rows)} rows"
    moved = msgspec.structs.replace(trigger.status, cursor=cursor)
    return [firing_of(trigger, at, cause, f"dataset\0{cursor}")], moved


def _newest(backend: Backend, dataset: str) -> tuple[str, str, int]:
    """(what tells it apart, `name@version`, rows) of a dataset's newest version; empty where there is none."""
    try:
        version = backend.need("datasets").version(dataset)
    except NotFound:
        return "", "", 0
    return f"{version.ref}#{version.digest}", version.ref, version.rows


def _landed(backend: Backend, trigger: Trigger, at: Millis) -> tuple[list[Firing], TriggerStatus]:
    rows, status = _rows(backend, trigger.when.monitor), trigger.status
    before = int(status.cursor) if status.cursor.isdigit() else rows
    if rows < before:  # windows were let go: counted from there on
        return [], msgspec.structs.replace(status, cursor=str(rows))
    if rows - before < trigger.when.rows:
        return [], status
    cause = f"{thousands(rows - before)} rows landed in {trigger.when.monitor}"
    moved = msgspec.structs.replace(status, cursor=str(rows))
    return [firing_of(trigger, at, cause, f"rows\0{before}\0{rows}\0{at}")], moved


def _rows(backend: Backend, monitor: str) -> int:
    try:
        return int(backend.need("monitors").get(monitor).rows)
    except NotFound:
        return 0


def _folder(trigger: Trigger, at: Millis) -> tuple[list[Firing], TriggerStatus]:
    status, when = trigger.status, trigger.when
    after = int(status.cursor) if status.cursor.isdigit() else 0
    settled = (real_now() - SETTLED_MS) * 1_000_000
    fresh = [(changed, name) for changed, name in _files(when.folder, after) if changed <= settled]
    if len(fresh) < when.files:
        return [], status
    names = [name for _, name in sorted(fresh)]
    cause = f"{plural(len(names), 'file')} landed in {when.folder}: {_some(names)}"
    moved = msgspec.structs.replace(status, cursor=str(max(changed for changed, _ in fresh)))
    return [firing_of(trigger, at, cause[:400], f"folder\0{moved.cursor}")], moved


def _files(folder: str, after: int) -> list[tuple[int, str]]:
    """(when it last changed or came here, ns; name) of the plain files that did so later than `after`."""
    found = []
    try:
        with os.scandir(Path(folder)) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_file():
                    continue
                changed = entry.stat().st_ctime_ns  # a rename sets it, and a write does
                if changed > after:
                    found.append((changed, entry.name))
    except OSError:  # a mount that is away: nothing landed that anybody could read
        return []
    return found


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
