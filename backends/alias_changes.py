"""Several aliases of a model changed as one: what is asked for, and how a journal entry tells of it.

An entry says `{"model": …, "alias": …, "version": …}` before and after, of the first alias; where there are more, it
says `"aliases": {alias: version}` of all besides. Who reads only the first reads it right, and not all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backends.contract import Conflict, Invalid, Mutation
from backends.entities import AliasChange, AliasMove, JournalEntry, Millis


def check_changes(changes: Sequence[AliasChange]) -> Sequence[AliasChange]:
    """The changes, if there are any and each alias is named once; else Invalid."""
    names = [change.alias for change in changes]
    if not names:
        raise Invalid("no alias is named that should move; nothing was changed.", "aliases")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Invalid(f"alias {twice} is named twice; nothing was changed. Say where it goes once.", "aliases")
    return changes


def check_moves(model: str, changes: Sequence[AliasChange]) -> None:
    """Conflict where an alias is where it should go already."""
    for change in changes:
        if change.expected == change.version:
            where = f"at v{change.version} already" if change.version is not None else "not set already"
            raise Conflict(f"alias {change.alias} of {model} is {where}; nothing was changed.")


def action_of(changes: Sequence[AliasChange]) -> str:
    """The journal's word, where whoever asks has none of their own."""
    return "model.unalias" if all(change.version is None for change in changes) else "model.promote"


def ends(model: str, changes: Sequence[AliasChange]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(before, after) of the journal entry."""
    first = changes[0]
    before: dict[str, Any] = {"model": model, "alias": first.alias, "version": first.expected}
    after: dict[str, Any] = {"model": model, "alias": first.alias, "version": first.version}
    if len(changes) > 1:
        before["aliases"] = {change.alias: change.expected for change in changes}
        after["aliases"] = {change.alias: change.version for change in changes}
    return before, after


def moves_of(
    model: str, changes: Sequence[AliasChange], mutation: Mutation, *, action: str, entry: str, at: Millis
) -> tuple[AliasMove, ...]:
    """What the history keeps of a change that was made; `entry` is the journal's."""
    return tuple(
        AliasMove(
            model=model,
            alias=change.alias,
            version=change.version,
            previous=change.expected,
            at=at,
            actor=mutation.actor,
            reason=mutation.reason,
            action=action.removeprefix("model."),
            entry=entry,
            along=tuple(other.alias for other in changes if other is not change),
        )
        for change in changes
    )


def changes_in(entry: JournalEntry) -> tuple[AliasChange, ...]:
    """The changes that an entry tells of, the first alias first; none where it is about something else."""
    before, after = entry.before, entry.after
    first = after.get("alias") or before.get("alias")
    if not first:
        return ()
    was, will = before.get("aliases"), after.get("aliases")
    if not isinstance(was, dict) or not isinstance(will, dict):
        was, will = {first: before.get("version")}, {first: after.get("version")}
    names = [str(first), *(str(alias) for alias in will if alias != first)]
    return tuple(AliasChange(alias=name, version=will.get(name), expected=was.get(name)) for name in names)


def turned(changes: Sequence[AliasChange]) -> tuple[AliasChange, ...]:
    """The way back."""
    return tuple(
        AliasChange(alias=change.alias, version=change.expected, expected=change.version) for change in changes
    )
