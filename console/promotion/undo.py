"""Undo: take back one's own last alias move while nobody has built on it."""

from __future__ import annotations

import msgspec

from backends.alias_changes import changes_in, turned
from backends.contract import START, Backend, Mutation, Refused
from backends.entities import AliasChange, AliasMove, JournalEntry, Outcome
from backends.query import And, Compare, In, Key, Query
from console.promotion.moves import in_force, made_before, named
from console.promotion.moving import Tell, move, silent
from console.promotion.rollback import whole

ACTIONS = ("model.promote", "model.rollback", "model.unalias")


def undoable(backend: Backend, actor: str) -> JournalEntry | None:
    """The actor's newest alias move that is not undone, if it is still what counts; else None."""
    query = Query(And((Compare(Key("attribute", "actor"), "=", actor), In(Key("attribute", "action"), ACTIONS))))
    at: str | None = START
    while at is not None:
        page = backend.need("journal").page(query, at=at, limit=50)
        for entry in page.items:
            if entry.outcome is Outcome.DONE and not entry.undone_by and not entry.undoes:
                return None if _why_not(backend, entry, actor) else entry
        at = page.next
    return None


def undo(backend: Backend, entry: JournalEntry, mutation: Mutation, *, tell: Tell = silent) -> AliasMove:
    """Put the alias, and whatever moved with it, back to where it was before the entry. Refused, with the reason, where
    that is not one's own last move any more; Conflict where somebody moves one of them at the same moment."""
    model, alias = str(entry.before.get("model", entry.target)), str(entry.before.get("alias", ""))
    if alias:
        done = made_before(backend, model, alias, mutation)
        if done is not None:
            return done
    why = _why_not(backend, entry, mutation.actor)
    if why:
        raise Refused(f"{why} Nothing was changed.")
    before, after = entry.before.get("version"), entry.after.get("version")
    gates = mutation.gates
    if before is not None:
        target = backend.need("registry").version(model, before)
        gates = (whole(backend, target, mutation, "model.undo", alias, after),)
    mutation = msgspec.structs.replace(mutation, action="model.undo", undoes=entry.id, gates=gates)
    return move(backend, model, turned(changes_in(entry)), mutation, tell=tell)


def _why_not(backend: Backend, entry: JournalEntry, actor: str) -> str:
    """Why an entry cannot be undone by this actor; empty when it can."""
    if entry.action not in ACTIONS or "alias" not in entry.before:
        return f"{entry.action} of {entry.target} cannot be undone: only moves of an alias can."
    if entry.outcome is not Outcome.DONE:
        return f"{entry.action} of {entry.target} was not done ({entry.outcome}), so there is nothing to undo."
    if entry.undone_by:
        return f"{entry.action} of {entry.target} is undone already."
    if entry.actor != actor:
        return (
            f"{entry.action} of {entry.target} was made by {entry.actor}, and one undoes one's own; roll back instead."
        )
    for change in changes_in(entry):
        if why := _moved_on(backend, entry, change):
            return why
    return ""


def _moved_on(backend: Backend, entry: JournalEntry, change: AliasChange) -> str:
    """Why one of its aliases is not where the entry left it by right; empty where it is."""
    model, alias = str(entry.before.get("model", entry.target)), change.alias
    last = in_force(backend, model, alias)
    if last is None or last.id != entry.id:
        by = (
            f" by {last.actor} ({named(last.before.get('version'))} → {named(last.after.get('version'))})"
            if last
            else ""
        )
        return f"alias {alias} of {model} was moved again since{by}; roll back instead."
    held = backend.need("registry").get(model).aliases.get(alias)
    if held != change.version:
        return f"alias {alias} of {model} is at {named(held)}, not where this move left it; roll back instead."
    return ""
