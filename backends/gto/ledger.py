"""What a model's tags add up to: its versions, who holds which stage, and every move of one. Read as `gto` reads them.

Tags count in the order of their times, and those of one time in that of their numbers. A stage is held by the active
version to which it was assigned last; assigning it elsewhere does not take it from the one before, which counts again
once the newer is unassigned. Tags that one change made count as one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from backends.entities import AliasMove, Millis
from backends.gto.names import Action, Named, order
from backends.gto.tags import Change, Tag, reason_of


class Event(NamedTuple):
    """A tag, its name read."""

    named: Named
    tag: Tag
    name: str

    @property
    def step(self) -> str:
        """What made it."""
        return self.tag.change.id if self.tag.change is not None else self.name


class Registered(msgspec.Struct):
    """A version as its tags tell."""

    version: str
    """With its `v`; the whole hash of a commit that nobody gave a version."""
    commit: str
    at: Millis
    actor: str
    reason: str = ""
    change: Change | None = None
    active: bool = True


class Step(NamedTuple):
    """One change of a model, for the journal."""

    id: str
    events: tuple[Event, ...]
    moves: tuple[AliasMove, ...]
    at: Millis

    @property
    def change(self) -> Change | None:
        return self.events[0].tag.change


class Ledger(msgspec.Struct):
    """A model by its tags alone. Versions are as tags spell them."""

    name: str
    versions: dict[str, Registered]
    """All that there ever were, by version."""
    aliases: dict[str, str]
    moves: tuple[AliasMove, ...]
    """Oldest first."""
    steps: tuple[Step, ...]
    deprecated_at: Millis | None
    """When it was retired, if that was the last that happened."""
    last_at: int
    """Seconds of the newest tag."""
    counter: int
    """The highest number of a tag."""
    assigned: dict[str, tuple[str, ...]]
    """stage → every active version that it is assigned to, not only the one that holds it."""
    touched: dict[tuple[str, str], int]
    """(stage or empty, version) → seconds of the newest tag about it."""

    @property
    def active(self) -> list[Registered]:
        """Newest version first."""
        found = [each for each in self.versions.values() if each.active]
        return sorted(found, key=lambda each: order(each.version), reverse=True)

    @property
    def there(self) -> bool:
        return bool(self.steps) and self.deprecated_at is None

    def version_at(self, commit: str) -> str:
        return next((each.version for each in self.versions.values() if each.commit == commit), commit)


def ledger(name: str, events: Iterable[Event]) -> Ledger:
    """What they add up to."""
    ordered = sorted(events, key=lambda each: (each.tag.at, each.named.counter, each.name))
    at_commit: dict[str, str] = {}
    touched: dict[tuple[str, str], int] = {}
    for each in ordered:
        if each.named.action is Action.REGISTER:
            at_commit.setdefault(each.tag.commit, each.named.version)
    for each in ordered:
        about = each.named.version or at_commit.get(each.tag.commit, each.tag.commit)
        touched[each.named.stage, about] = each.tag.at
    reading = _Reading(name, at_commit)
    steps = [reading.step(group) for group in _grouped(ordered)]
    return Ledger(
        name=name,
        versions=reading.versions,
        aliases=reading.holders(),
        moves=tuple(move for step in steps for move in step.moves),
        steps=tuple(steps),
        deprecated_at=reading.deprecated_at,
        last_at=max((each.tag.at for each in ordered), default=0),
        counter=max((each.named.counter for each in ordered), default=0),
        assigned=reading.assigned(),
        touched=touched,
    )


def _grouped(ordered: Sequence[Event]) -> list[tuple[Event, ...]]:
    """By the change that made them, in the order of their last tags."""
    groups: dict[str, list[Event]] = {}
    for each in ordered:
        groups.setdefault(each.step, []).append(each)
    return sorted(
        (tuple(group) for group in groups.values()), key=lambda group: (group[-1].tag.at, group[-1].named.counter)
    )


class _Reading:
    """A model's state while its tags are gone through."""

    def __init__(self, name: str, at_commit: Mapping[str, str]) -> None:
        self._name = name
        self._at_commit = at_commit
        self.versions: dict[str, Registered] = {}
        self._stages: dict[str, dict[str, int]] = {}
        """stage → version → number of the assignment that is in force."""
        self._count = 0
        self.deprecated_at: Millis | None = None

    def step(self, group: tuple[Event, ...]) -> Step:
        before = self.holders()
        for each in group:
            self._apply(each)
        after = self.holders()
        last = group[-1]
        change = last.tag.change
        at = change.at if change is not None else last.tag.at * 1_000
        changed = [alias for alias in {**before, **after} if before.get(alias) != after.get(alias)]
        if change is not None and change.aliases:
            asked = {alias: place for place, alias in enumerate(change.aliases)}
            changed.sort(key=lambda alias: asked.get(alias, len(asked)), reverse=True)
        moves = tuple(self._move(alias, before, after, changed, last, at) for alias in changed)
        return Step(last.step, group, moves, at)

    def _move(
        self,
        alias: str,
        before: Mapping[str, str],
        after: Mapping[str, str],
        changed: Sequence[str],
        event: Event,
        at: Millis,
    ) -> AliasMove:
        change, action = event.tag.change, event.named.action
        said = change.action.removeprefix("model.") if change is not None else _WORDS[action]
        others = [each for each in reversed(changed) if each != alias]
        return AliasMove(
            model=self._name,
            alias=alias,
            version=after.get(alias),
            previous=before.get(alias),
            at=at,
            actor=event.tag.actor,
            reason=reason_of(event.tag),
            action="delete" if said.startswith("delete") else said,
            entry=event.step,
            along=tuple(others) if change is not None and not said.startswith("delete") else (),
        )

    def _apply(self, event: Event) -> None:
        named, tag = event.named, event.tag
        self.deprecated_at = tag.at * 1_000 if named.action is Action.DEPRECATE else None
        if named.action is Action.REGISTER:
            known = self.versions.get(named.version)
            if known is not None:
                known.active = True  # taken away once, and registered anew
                return
            at = tag.change.at if tag.change is not None else tag.at * 1_000
            self.versions[named.version] = Registered(
                named.version, tag.commit, at, tag.actor, reason_of(tag), tag.change
            )
        elif named.action is Action.DEREGISTER:
            if named.version in self.versions:
                self.versions[named.version].active = False
        elif named.stage:
            self._stage(named, tag)

    def _stage(self, named: Named, tag: Tag) -> None:
        version = self._at_commit.get(tag.commit, tag.commit)
        if version not in self.versions and version == tag.commit:
            self.versions[version] = Registered(version, tag.commit, tag.at * 1_000, tag.actor, reason_of(tag))
        held = self._stages.setdefault(named.stage, {})
        if named.action is Action.ASSIGN:
            self._count += 1
            held[version] = self._count
        else:
            held.pop(version, None)

    def assigned(self) -> dict[str, tuple[str, ...]]:
        return {stage: tuple(held) for stage, held in self._stages.items() if held}

    def holders(self) -> dict[str, str]:
        """stage → version that holds it."""
        found = {}
        for stage, held in sorted(self._stages.items()):
            there = [version for version in held if version in self.versions and self.versions[version].active]
            if there:
                found[stage] = max(there, key=lambda version: held[version])
        return found


_WORDS = {
    Action.ASSIGN: "promote",
    Action.UNASSIGN: "unalias",
    Action.REGISTER: "register",
    Action.DEREGISTER: "delete",
    Action.DEPRECATE: "delete",
}
"""What the history calls what `gto` did."""
