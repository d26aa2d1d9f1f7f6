"""What a journal entry about a monitor, an alert or a trigger says, in few words. Plain Python.

Entries are data of whoever wrote them: what is not as expected is told field by field, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from backends.entities import JournalEntry, TriggerDo, TriggerLimits, TriggerWhen
from backends.entities.triggers import Trigger
from console.wording import local_time, plural

ANY = "*"
_NAME = re.compile(r"^\s*name\s*=\s*[\"'](.*?)[\"']\s*$", re.MULTILINE)
Words = Callable[[Mapping[str, Any], Mapping[str, Any], JournalEntry], str]


def watch_words(entry: JournalEntry) -> str:
    """`paused`, `segments + north (region = north)`, `auc: firing → acked`, `retrain churn on churn, by ann@box`; empty
    for an entry about something else, or one that says nothing known."""
    noun = entry.action.partition(".")[0]
    if noun not in ("monitor", "alert", "trigger"):
        return ""
    words = _VERBS.get(entry.action)
    said = words(entry.before, entry.after, entry) if words is not None else ""
    return said or ", ".join(_changed(entry.before, entry.after))


def _created(_: Mapping[str, Any], after: Mapping[str, Any], __: JournalEntry) -> str:
    said = [f"watches {after.get('model', '')}@{after.get('alias', '')} by {after.get('window', '')}"]
    if after.get("deployment"):
        said.append(f"fed by deployment {after['deployment']}")
    elif after.get("source"):
        said.append(f"from {after['source']}")
    return ", ".join(said)


def _deleted(before: Mapping[str, Any], _: Mapping[str, Any], __: JournalEntry) -> str:
    return f"{before.get('windows', 0)} windows, {before.get('rows', 0)} rows of {before.get('model', '')}"


def _forgot(before: Mapping[str, Any], _: Mapping[str, Any], __: JournalEntry) -> str:
    nouns = {"windows": "window", "scored": "scored file", "samples": "sampled file", "ids": "id"}
    gone = [
        plural(before[key], noun) for key, noun in nouns.items() if isinstance(before.get(key), int) and before[key]
    ]
    rows = before.get("rows")
    counted = f" with {plural(rows, 'row')}" if isinstance(rows, int) else ""
    return f"let go of {', '.join(gone)}{counted}: older than is kept" if gone else ""


def _policy(before: Mapping[str, Any], after: Mapping[str, Any], _: JournalEntry) -> str:
    parts = []
    if "rules" in after:
        names = _NAME.findall(str(after["rules"]))
        was = _NAME.findall(str(before.get("rules", "")))
        parts.append(f"rules {', '.join(names)}" if names else "the default rules")
        parts += [f"without {name}" for name in was if names and name not in names]
    if "policy" in after:
        parts += _changed(_mapping(before.get("policy")), _mapping(after["policy"]))
    return ", ".join(parts)


def _segments(before: Mapping[str, Any], after: Mapping[str, Any], _: JournalEntry) -> str:
    was, now = _segments_of(before), _segments_of(after)
    added = [f"+ {name} ({where})" for name, where in now.items() if name not in was]
    return ", ".join([*added, *(f"- {name}" for name in was if name not in now)])


def _segments_of(side: Mapping[str, Any]) -> dict[str, str]:
    found = side.get("segments")
    rows = found if isinstance(found, list | tuple) else ()
    return {str(row.get("name", "")): str(row.get("where", "")) for row in rows if isinstance(row, Mapping)}


def _protected(_: Mapping[str, Any], after: Mapping[str, Any], __: JournalEntry) -> str:
    columns = after.get("protected")
    named = ", ".join(map(str, columns)) if isinstance(columns, list | tuple) else ""
    return f"compares the groups of {named}" if named else "compares no groups"


def _note(_: Mapping[str, Any], after: Mapping[str, Any], __: JournalEntry) -> str:
    about = f"{after['metric']}: " if after.get("metric") else ""
    return f"{about}“{after['note']}”" if after.get("note") else f"{about}note taken away"


def _alert(before: Mapping[str, Any], after: Mapping[str, Any], _: JournalEntry) -> str:
    moved = " → ".join(str(side["state"]) for side in (before, after) if side.get("state"))
    return f"{after.get('metric') or 'alert'}: {moved}" if moved else ""


def _muted(_: Mapping[str, Any], after: Mapping[str, Any], __: JournalEntry) -> str:
    until = after.get("until")
    ends = f" until {local_time(until)}" if isinstance(until, int) else ""
    return f"{_covered(after)}{ends}"


def _unmuted(before: Mapping[str, Any], _: Mapping[str, Any], __: JournalEntry) -> str:
    return f"{_covered(before)} heard again"


def _covered(side: Mapping[str, Any]) -> str:
    rule, segment = side.get("rule", ANY), side.get("segment", ANY)
    what = "all alerts" if rule == ANY else str(rule)
    return what if segment == ANY else f"{what} of {segment or 'the whole'}"


def _trigger(before: Mapping[str, Any], after: Mapping[str, Any], entry: JournalEntry) -> str:
    """A definition, whole or what of it changed."""
    if entry.action == "trigger.change":
        return ", ".join(_changed(before, after))
    from console.triggers.telling import do_words, when_words  # with what it needs: only where there are triggers

    said = before if entry.action == "trigger.delete" else after
    try:
        trigger = Trigger(
            name=entry.target,
            when=msgspec.convert(said.get("when", {}), TriggerWhen),
            do=msgspec.convert(said.get("do", {}), TriggerDo),
            limits=msgspec.convert(said.get("limits", {}), TriggerLimits),
        )
        return f"{when_words(trigger)} → {do_words(trigger)}"
    except (msgspec.ValidationError, ValueError):  # of another version of this program
        return ""


def _turned(before: Mapping[str, Any], after: Mapping[str, Any], _: JournalEntry) -> str:
    moved = " → ".join(str(side["state"]) for side in (before, after) if side.get("state"))
    failures = before.get("failures")
    return moved + (f", after {plural(failures, 'failure')}" if isinstance(failures, int) and failures else "")


def _fired(_: Mapping[str, Any], after: Mapping[str, Any], __: JournalEntry) -> str:
    by = f", by {after['by']}" if after.get("by") else ""
    return f"begins: {after['do']}{by}" if after.get("do") else ""


def _ended(_: Mapping[str, Any], after: Mapping[str, Any], entry: JournalEntry) -> str:
    found = [f"run {str(after['run'])[:4]}"] if after.get("run") else []
    found += [str(after["dataset"])] if after.get("dataset") else []
    found += [f"v{after['version']}"] if after.get("version") else []
    said = [str(after.get("state", "")), *found]
    return " ".join(filter(None, said)) + (f": {entry.detail}" if entry.detail else "")


_VERBS: dict[str, Words] = {
    "monitor.create": _created,
    "monitor.delete": _deleted,
    "monitor.forget": _forgot,
    "monitor.policy": _policy,
    "monitor.segment": _segments,
    "monitor.protect": _protected,
    "monitor.pause": lambda *_: "watches its source no longer",
    "monitor.resume": lambda *_: "watches its source again",
    "monitor.note": _note,
    "alert.ack": _alert,
    "alert.unack": _alert,
    "alert.resolve": _alert,
    "alert.note": _note,
    "alert.mute": _muted,
    "alert.unmute": _unmuted,
    "trigger.create": _trigger,
    "trigger.change": _trigger,
    "trigger.delete": _trigger,
    "trigger.pause": _turned,
    "trigger.resume": _turned,
    "trigger.stop": _turned,
    "trigger.fire": _fired,
    "trigger.end": _ended,
}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """`limits.per_day 3 → 5` for each field that differs, within records too."""
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        name = f"{path}{key}"
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            yield from _changed(_mapping(old), _mapping(new), f"{name}.")
        else:
            yield f"{name} {_shown(old)} → {_shown(new)}" if old not in (None, "") else f"{name} {_shown(new)}"


def _shown(value: object) -> str:
    if value in (None, "", [], ()):
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
