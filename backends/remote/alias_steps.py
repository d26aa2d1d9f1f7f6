"""Moves of aliases on a server that compares nothing, keeps no history and may fall silent at any moment.

A move is an intent in the journal, then the change, then its outcome. Where the answer is lost, the intent stays, and
the next look at the model tells what became of it: exactly one outcome is written down, by whoever looks first. Of
aliases that move together one intent tells; once the first has moved the others follow, by whoever looks next if need
be, and where they cannot, those that moved are put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from backends.alias_changes import action_of, changes_in, check_moves, ends, moves_of
from backends.contract import BackendError, Conflict, Journal, Mutation, NotFound, Unreachable
from backends.entities import AliasChange, AliasMove, JournalEntry, Millis, Model, Outcome
from backends.remote import doubt
from backends.remote.state import State, clock, now

_AT_IT_MS: Final = 60_000
"""So long a server may still be at what it was asked for and never answered."""
_LOOKED_AT: Final = 200
_UNDOES: Final = "undoes "
"""Begins the detail of an intent that undoes an entry: only what is done may name it."""


class Room(Protocol):
    """What an adapter's parts work with, as far as moves need it."""

    @property
    def state(self) -> State: ...

    @property
    def journal(self) -> Journal: ...

    @property
    def changes(self) -> int:
        """How often we changed something."""
        ...

    def touch(self) -> None: ...

    def record(
        self,
        action: str,
        target: str,
        mutation: Mutation,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> str: ...


class AliasSteps:
    """The moves of all models of one server. An adapter says how one alias is pointed at a version (`_point`), what is
    on the server now (`_fresh`), which version is meant (`_number`), which moves are known (`moves`), how others are
    told (`_tell`), and lets go of what it keeps of a model (`_forget`)."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._unsettled = True

    def moves(self, model: str, alias: str = "") -> list[AliasMove]:
        """Newest first."""
        raise NotImplementedError

    def _point(self, model: str, alias: str, version: str | None, expected: str | None) -> None:
        raise NotImplementedError

    def _fresh(self, model: str) -> Model:
        """As it is on the server now; not what was kept of it."""
        raise NotImplementedError

    def _number(self, model: str, version: str) -> str:
        """NotFound where there is no such version."""
        raise NotImplementedError

    def _tell(self, model: str) -> None:
        raise NotImplementedError

    def _forget(self, model: str) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------ moving

    def move(self, model: str, changes: Sequence[AliasChange], mutation: Mutation) -> tuple[AliasMove, ...]:
        """Read, compare, set one by one, read back. One at a time of this sidecar's consoles."""
        state = self._room.state
        with state.alone():
            made = state.made_before("model.alias", mutation)
            if made is not None:
                return _noted(made)
            try:
                changes = [self._resolved(model, change) for change in changes]
                found = self._fresh(model)
            except Unreachable as away:
                raise doubt.nothing_done(away) from None
            found = self._settle(found, about=frozenset(change.alias for change in changes), key=mutation.key)
            made = state.made_before("model.alias", mutation)  # an earlier try of which no answer came
            if made is not None:
                return _noted(made)
            state.notice(model, found.aliases)
            for change in changes:
                self._compare(model, change, found.aliases.get(change.alias))
            check_moves(model, changes)
            moves = self._moved(model, changes, mutation)
        self._tell(model)
        return moves

    def _resolved(self, model: str, change: AliasChange) -> AliasChange:
        if change.version is None:
            return change
        return msgspec.structs.replace(change, version=self._number(model, change.version))

    def _moved(self, model: str, changes: Sequence[AliasChange], mutation: Mutation) -> tuple[AliasMove, ...]:
        action = mutation.action or action_of(changes)
        before, after = ends(model, changes)
        intent = msgspec.structs.replace(mutation, undoes="")

        def write(outcome: Outcome, detail: str) -> None:
            self._room.journal.record(action, model, intent, before=before, after=after, outcome=outcome, detail=detail)

        write(Outcome.INTENT, f"{_UNDOES}{mutation.undoes}" if mutation.undoes else "")
        done: list[AliasChange] = []
        try:
            for change in changes:
                self._point(model, change.alias, change.version, change.expected)
                done.append(change)
        except doubt.Uncertain:
            self._unsettled = True
            self._forget(model)
            self._room.touch()  # perhaps something changed: what was asked for before is no longer today's
            raise
        except BackendError as error:
            back = self._turned_back(model, done, error)
            write(Outcome.FAILED, f"{error}{back}")
            raise
        try:
            seen = self._fresh(model).aliases
        except BackendError:  # it said that it did it; what anybody did since is seen at the next look
            seen = {change.alias: change.version for change in changes if change.version is not None}
        other = next((change for change in changes if seen.get(change.alias) != change.version), None)
        if other is not None:
            at = named(seen.get(other.alias))
            told = Conflict(
                f"alias {other.alias} of {model} changed under you: it is at {at}, not at {named(other.version)}, "
                "because somebody else moved it at the same moment. Look again and repeat."
            )
            back = self._turned_back(model, [change for change in changes if change is not other], told)
            write(Outcome.FAILED, f"somebody else moved {other.alias} to {at} at the same moment{back}")
            raise told
        entry = self._room.record(action, model, mutation, before=before, after=after)
        # Moves are told apart and put in order by their time, also where the clock was set back since the last one.
        made_at = max(now(), 1 + max((move.at for move in self._room.state.moves(model)), default=0))
        return self._keep(model, changes, mutation, action, entry, made_at)

    def _turned_back(self, model: str, done: Sequence[AliasChange], error: BackendError) -> str:
        """What had moved is put back, and said in words. Where that cannot be, the intent stays for the next look, and
        the error says so."""
        if not done:
            return ""
        names = ", ".join(change.alias for change in done)
        try:
            self._put_back(model, done)
        except BackendError as away:
            self._unsettled = True
            raise Unreachable(
                f"{error} Of the aliases that were to move together, {names} of {model} moved and could not be put "
                f"back ({away}) The next look at the model finishes the change or puts them back, and the journal says "
                "which."
            ) from error
        return f"; {names}, which had moved, was put back"

    def _put_back(self, model: str, done: Sequence[AliasChange]) -> None:
        """Those that are still where we put them, the first last: while it stands, the change counts as half done."""
        held = self._fresh(model).aliases
        for change in reversed(done):
            if held.get(change.alias) == change.version:
                self._point(model, change.alias, change.expected, change.version)

    def _keep(
        self,
        model: str,
        changes: Sequence[AliasChange],
        mutation: Mutation,
        action: str,
        entry: str,
        at: Millis,
    ) -> tuple[AliasMove, ...]:
        at = self._room.state.in_order(model, [change.alias for change in changes], at)
        moves = moves_of(model, changes, mutation, action=action, entry=entry, at=at)
        for move in moves:
            self._room.state.add_move(move)
            self._room.state.owe(move)
        self._room.state.note("model.alias", mutation, msgspec.json.encode(moves).decode())
        return moves

    def _compare(self, model: str, change: AliasChange, holder: str | None) -> None:
        alias, expected = change.alias, change.expected
        if holder == expected:
            return
        self._forget(model)
        last = next(iter(self.moves(model, alias)), None)
        if last is None:
            raise Conflict(
                f"alias {alias} of {model} changed under you: it is at {named(holder)}, and you saw "
                f"{named(expected)}; nothing was changed. Look again and repeat."
            )
        raise Conflict(
            f"alias {alias} of {model} moved from {named(last.previous)} to {named(holder)} by {last.actor} "
            f"at {clock(last.at)} while you were looking (you saw {named(expected)}); nothing was changed. "
            "Look again and repeat."
        )

    # ------------------------------------------------------------ looking

    def notice(self, model: Model) -> None:
        """An alias that moved while we looked away was moved by somebody else, or by us without hearing of it. `model`
        is as the server says now, and was asked for after our last change."""
        state = self._room.state
        if self._unsettled or state.differs(model.name, model.aliases):
            try:
                with state.alone(wait=0.0):
                    model = self._settle(model)
                    moved = state.notice(model.name, model.aliases)
            except Conflict:
                return  # one of this sidecar's consoles is moving one just now: at the next look then
        else:
            moved = state.notice(model.name, model.aliases)
        if moved:
            self._forget(model.name)
            self._room.touch()

    # ------------------------------------------------------------ what became of a move

    def half_done(self) -> list[JournalEntry]:
        """Moves of which only the intent is written down, the oldest first."""
        page = self._room.journal.page(limit=_LOOKED_AT)
        ended: dict[tuple[str, str, str], int] = {}
        for each in page.items:
            if each.outcome is not Outcome.INTENT:
                what = each.key, each.target, str(each.after)
                ended[what] = max(each.seq, ended.get(what, 0))
        return [
            entry
            for entry in reversed(page.items)
            if entry.outcome is Outcome.INTENT
            and entry.after.get("alias")
            and ended.get((entry.key, entry.target, str(entry.after)), 0) < entry.seq
        ]

    def _settle(self, model: Model, *, about: frozenset[str] = frozenset(), key: str = "") -> Model:
        """Write down what became of the model's moves half done, as the server says, and finish those of which a part
        is done; the model as it is then. Only `alone`: whoever is at one holds that. Those of the aliases `about` are
        ended in any case, but for the one that is asked for anew by its key."""
        waiting = False
        for entry in self.half_done():
            if entry.target != model.name:
                waiting = True
                continue
            changes = changes_in(entry)
            held = model.aliases
            there = [change for change in changes if held.get(change.alias) == change.version]
            gone = [change for change in changes if held.get(change.alias) not in (change.version, change.expected)]
            if len(there) == len(changes):
                self._made(entry, changes, "its answer was lost; this is what the server says")
            elif changes[0] in there:  # the first moves first and is put back last: what else is there is ours
                ended = False
                try:
                    ended = self._finished(entry, changes, there, gone)
                    model = self._fresh(model.name)
                except BackendError:
                    pass  # neither forward nor back just now: the intent stays for the next look
                waiting = waiting or not ended
                if not ended and about & {change.alias for change in changes}:
                    raise Conflict(
                        f"an earlier change of {', '.join(change.alias for change in changes)} of {model.name} stands "
                        "half done, and the server does not let it be finished or put back yet; nothing more was "
                        "changed. Look again in a moment, and repeat."
                    )
            elif gone or about & {change.alias for change in changes} or now() - entry.at > _AT_IT_MS:
                if not (key and entry.key == key):
                    at = ", ".join(f"{change.alias} at {named(held.get(change.alias))}" for change in changes)
                    self._abandon(entry, f"no answer came; the server has {at}")
            else:
                waiting = True
        self._unsettled = waiting
        return model

    def _finished(
        self,
        entry: JournalEntry,
        changes: Sequence[AliasChange],
        there: list[AliasChange],
        gone: Sequence[AliasChange],
    ) -> bool:
        """A change of which a part was made: the rest follows. Where somebody else moved one of the rest meanwhile, or
        the server refuses, what had moved is put back. False where the next look has to see to it. Unreachable where
        the server falls silent."""
        model, names = entry.target, ", ".join(change.alias for change in there)
        if gone:
            self._put_back(model, there)
            others = ", ".join(change.alias for change in gone)
            self._abandon(entry, f"it stood half done and somebody else moved {others}; {names} was put back")
            return True
        rest = [change for change in changes if change not in there]
        try:
            for change in rest:
                self._point(model, change.alias, change.version, change.expected)
                there.append(change)
        except Unreachable:
            raise
        except BackendError as error:
            self._put_back(model, there)
            self._abandon(entry, f"it stood half done and the rest was refused ({error}); {names} was put back")
            return True
        seen = self._fresh(model).aliases
        if any(seen.get(change.alias) != change.version for change in changes):
            return False
        self._made(entry, changes, f"it stood half done, with {names} moved; the rest was moved too")
        return True

    def _made(self, entry: JournalEntry, changes: Sequence[AliasChange], detail: str) -> None:
        undoes = entry.detail.removeprefix(_UNDOES) if entry.detail.startswith(_UNDOES) else ""
        mutation = _mutation(entry, undoes)
        done = self._room.journal.record(
            entry.action,
            entry.target,
            mutation,
            before=entry.before,
            after=entry.after,
            outcome=Outcome.DONE,
            detail=detail,
        )
        self._keep(entry.target, changes, mutation, entry.action, done.id, entry.at)

    def _abandon(self, entry: JournalEntry, detail: str) -> None:
        self._room.journal.record(
            entry.action,
            entry.target,
            _mutation(entry),
            before=entry.before,
            after=entry.after,
            outcome=Outcome.ABANDONED,
            detail=detail,
        )

    def settle(self, look: Callable[[str], object], entries: Sequence[JournalEntry]) -> None:
        """Look at every model of which something is half done."""
        for model in dict.fromkeys(entry.target for entry in entries):
            try:
                look(model)
            except NotFound:
                with self._room.state.alone():
                    for entry in self.half_done():
                        if entry.target == model:
                            self._abandon(entry, "the model is not there any more")


def _mutation(entry: JournalEntry, undoes: str = "") -> Mutation:
    return Mutation(
        actor=entry.actor, reason=entry.reason, key=entry.key, action=entry.action, gates=entry.gates, undoes=undoes
    )


def named(version: str | None) -> str:
    return "nothing" if version is None else f"v{version}"


def _noted(text: str) -> tuple[AliasMove, ...]:
    """The moves that a key made; older notes hold one move alone."""
    found = msgspec.json.decode(text, type=AliasMove | tuple[AliasMove, ...])
    return (found,) if isinstance(found, AliasMove) else found
