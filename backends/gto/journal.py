"""The sidecar's journal, with what others did in the repository written into it once it is seen.

What this console does it writes down itself. A tag that `gto` made, and a change that another console made, becomes an
entry at the next look: by whom, when and why as the tag says. An entry lies there for as long as the sidecar, also
where somebody deletes the tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from backends.alias_changes import ends
from backends.contract import START, BackendError, Journal, Page
from backends.entities import AliasChange, JournalEntry
from backends.gto.ledger import Step
from backends.gto.names import Action, Numbering
from backends.gto.repository import Repository, Snapshot
from backends.gto.state import State
from backends.gto.tags import Change, reason_of
from backends.query import Query

FIRST: Final = 1_000
"""Changes that were made before this sidecar was, and still get an entry: the newest. The history has them all."""
_CHAIN: Final = 200
"""Changes of one model that are read from its chain at once."""
_MARK: Final = b"\nmlops-console: "
_DOES: Final = {
    Action.REGISTER: "model.register",
    Action.DEREGISTER: "model.delete_version",
    Action.ASSIGN: "model.promote",
    Action.UNASSIGN: "model.unalias",
    Action.DEPRECATE: "model.delete",
}


class GtoJournal:
    """`Journal`: the sidecar's, followed by what others do."""

    def __init__(self, beside: Journal, repository: Repository, numbering: Numbering, state: State) -> None:
        self._beside = beside
        self._repository = repository
        self._numbering = numbering
        self._state = state
        self._followed: object = None
        self.record = beside.record
        self.take_in = beside.take_in
        self.verify = beside.verify

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[JournalEntry]:
        self.follow()
        return self._beside.page(query, at=at, limit=limit)

    def get(self, entry: str) -> JournalEntry:
        return self._beside.get(entry)

    def follow(self) -> None:
        """Write down what others did. Somebody who is at it just now does it, and a repository that is away tells it
        later."""
        try:
            seen = self._repository.look()
            if seen.models is self._followed:
                return
            with self._state.alone(wait=0.0):
                self._follow(seen)
        except BackendError:
            return
        self._followed = seen.models

    def _follow(self, seen: Snapshot) -> None:
        known = self._state.known()
        steps = [
            (name, step) for name, kept in seen.models.items() for step in kept.ledger.steps if step.id not in known
        ]
        steps.sort(key=lambda each: each[1].at)
        first = self._state.learn("followed")
        if first:
            self._state.passed(step.id for _, step in steps[:-FIRST])
            steps = steps[-FIRST:]
        found = [
            (step.id, _entry(step.change) if step.change is not None else self._of_step(name, step))
            for name, step in steps
        ]
        known |= {step.id for _, step in steps}
        chains = {name: kept.chain for name, kept in seen.models.items() if kept.chain}
        followed = self._state.chains()
        for name, newest in chains.items():
            if followed.get(name, "") != newest and not first:
                changes = self._of_chain(followed.get(name, ""), newest)
                found += [(change.id, _entry(change)) for change in changes if change.id not in known]
        if found:
            entries = self._beside.take_in([entry for _, entry in found])
            self._state.journaled({step: entry.id for (step, _), entry in zip(found, entries, strict=True)})
        self._state.follow(chains)

    def _of_chain(self, before: str, newest: str) -> Iterator[Change]:
        """Changes that came to a chain, oldest first: notes and tags are told nowhere else."""
        words = ["log", "-z", "--format=%B", f"--max-count={_CHAIN}", newest, *([f"^{before}"] if before else [])]
        done = self._repository.git.run(*words)
        for message in reversed(done.out.split(b"\0")):
            _, mark, said = message.rpartition(_MARK)
            if mark:
                try:
                    yield msgspec.json.decode(said.strip(), type=Change)
                except msgspec.DecodeError:
                    continue

    # ------------------------------------------------------------ entries

    def _of_step(self, name: str, step: Step) -> JournalEntry:
        """Of `gto`, or of somebody's git."""
        event = step.events[-1]
        target, before, after = self._told(name, step)
        return JournalEntry(
            seq=0,
            id="",
            at=step.at,
            actor=event.tag.actor,
            action=_DOES[event.named.action],
            target=target,
            before=before,
            after=after,
            reason=reason_of(event.tag),
            detail=f"by git tag {event.name}",
            key=f"git:{event.tag.commit}:{step.id}",
        )

    def _told(self, name: str, step: Step) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """(target, before, after)."""
        named, commit = step.events[-1].named, step.events[-1].tag.commit
        outside = self._numbering.outside
        if named.stage:
            moves = [move for move in step.moves if move.alias == named.stage]
            ends_of = [(move.previous, move.version) for move in moves] or [(None, None)]
            previous, version = (None if each is None else outside(each) for each in ends_of[0])
            return (name, *ends(name, [AliasChange(alias=named.stage, version=version, expected=previous)]))
        if named.version:
            number = outside(named.version)
            after = {"model": name, "version": number, "commit": commit}
            return (f"{name}@{number}", *((after, {}) if named.action is Action.DEREGISTER else ({}, after)))
        return name, {"model": name}, {}


def _entry(change: Change) -> JournalEntry:
    """Of another console, as it told it."""
    return JournalEntry(
        seq=0,
        id="",
        at=change.at,
        actor=change.actor,
        action=change.action,
        target=change.target,
        before=change.before,
        after=change.after,
        reason=change.reason,
        gates=change.gates,
        detail="by another console",
        key=change.key or f"git:{change.id}",
    )
