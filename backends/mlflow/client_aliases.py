"""Moves of aliases on a server that compares nothing, keeps no history and may fall silent at any moment.

A move is an intent in the journal, then the change, then its outcome. Where the answer is lost, the intent stays, and
the next look at the model tells what became of it: exactly one outcome is written down, by whoever looks first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from backends.contract import BackendError, Conflict, Mutation, NotFound, Unreachable
from backends.entities import AliasMove, JournalEntry, Millis, Model, Outcome
from backends.mlflow import decode, names, trouble
from backends.mlflow.client_room import Room
from backends.mlflow.state import clock, now
from backends.mlflow.transport import Kept

_MOVES: Final = 20
"""Moves that a version keeps as tags; older ones are in the journal of whoever made them."""
_TAG: Final = 5_000
_AT_IT_MS: Final = 60_000
"""So long a server may still be at what it was asked for and never answered."""
_LOOKED_AT: Final = 200
_UNDOES: Final = "undoes "
"""Begins the detail of an intent that undoes an entry: only what is done may name it."""


class MlflowAliases:
    """The moves of all models of one server.

    `change` asks for a change, `told` gives a model's versions as the server tells them, `forget` lets go of what is
    kept of them, `version` gives the number of a version that is there.
    """

    def __init__(
        self,
        room: Room,
        *,
        change: Callable[..., dict[str, Any]],
        told: Callable[[str], Iterable[dict[str, Any]]],
        forget: Callable[[str], None],
        version: Callable[[str, str], str],
    ) -> None:
        self._room = room
        self._change = change
        self._told = told
        self._forget = forget
        self._version = version
        self._unsettled = True

    # ------------------------------------------------------------ moving

    def move(
        self, model: str, alias: str, version: str | None, *, expected: str | None, mutation: Mutation
    ) -> AliasMove:
        """Read, compare, set, read back. One at a time of this sidecar's consoles."""
        state = self._room.state
        with state.alone():
            made = state.made_before("model.alias", mutation)
            if made is not None:
                return msgspec.json.decode(made, type=AliasMove)
            try:
                if version is not None:
                    version = self._version(model, version)
                found = self._fresh(model)
            except Unreachable as away:
                raise trouble.nothing_done(away) from None
            self._settle(found, about=alias, key=mutation.key)
            made = state.made_before("model.alias", mutation)  # an earlier try of which no answer came
            if made is not None:
                return msgspec.json.decode(made, type=AliasMove)
            state.notice(model, found.aliases)
            holder = found.aliases.get(alias)
            self._compare(model, alias, holder, version, expected)
            move = self._moved(model, alias, version, holder, mutation)
        self._tell(model)
        return move

    def _moved(self, model: str, alias: str, version: str | None, holder: str | None, mutation: Mutation) -> AliasMove:
        action = mutation.action or ("model.unalias" if version is None else "model.promote")
        before = {"model": model, "alias": alias, "version": holder}
        after = {"model": model, "alias": alias, "version": version}
        intent = msgspec.structs.replace(mutation, undoes="")

        def write(outcome: Outcome, detail: str) -> None:
            self._room.journal.record(action, model, intent, before=before, after=after, outcome=outcome, detail=detail)

        write(Outcome.INTENT, f"{_UNDOES}{mutation.undoes}" if mutation.undoes else "")
        try:
            self._point(model, alias, version)
        except trouble.Uncertain:
            self._unsettled = True
            raise
        except BackendError as error:
            write(Outcome.FAILED, str(error))
            raise
        try:
            seen = self._fresh(model).aliases.get(alias)
        except BackendError:
            seen = version  # it said that it did it; what anybody did since is seen at the next look
        if seen != version:
            write(Outcome.FAILED, f"somebody else moved it to {named(seen)} at the same moment")
            raise Conflict(
                f"alias {alias} of {model} changed under you: it is at {named(seen)}, not at {named(version)}, "
                "because somebody else moved it at the same moment. Look again and repeat."
            )
        entry = self._room.record(action, model, mutation, before=before, after=after)
        return self._keep(model, alias, version, holder, mutation, action, entry, now())

    def _keep(
        self,
        model: str,
        alias: str,
        version: str | None,
        previous: str | None,
        mutation: Mutation,
        action: str,
        entry: str,
        at: Millis,
    ) -> AliasMove:
        move = AliasMove(
            model=model,
            alias=alias,
            version=version,
            previous=previous,
            at=at,
            actor=mutation.actor,
            reason=mutation.reason,
            action=action.removeprefix("model."),
            entry=entry,
        )
        self._room.state.add_move(move)
        self._room.state.note("model.alias", mutation, msgspec.json.encode(move).decode())
        self._room.state.owe(move)
        return move

    def _compare(self, model: str, alias: str, holder: str | None, version: str | None, expected: str | None) -> None:
        if holder != expected:
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
        if holder == version:
            where = f"at {named(holder)} already" if holder else "not set already"
            raise Conflict(f"alias {alias} of {model} is {where}; nothing was changed.")

    def _point(self, model: str, alias: str, version: str | None) -> None:
        if version is None:
            self._change("DELETE", "registered-models/alias", {"name": model, "alias": alias}, repeatable=True)
        else:
            body = {"name": model, "alias": alias, "version": version}
            self._change("POST", "registered-models/alias", body, repeatable=True)

    def _fresh(self, model: str) -> Model:
        """As it is on the server now; not what was kept of it."""
        answer = self._room.transport.get("registered-models/get", {"name": model}, keep=False)
        return decode.model(answer["registered_model"])

    # ------------------------------------------------------------ what other consoles read

    def _tell(self, model: str) -> None:
        """Leave our moves as tags of the versions that they are about. What cannot be told is told after the next."""
        for move in self._room.state.owed(model):
            try:
                self._leave_trail(move)
            except Unreachable:
                return
            except BackendError:
                pass  # the version is gone, or tags are not for us to set: it stays with this console
            self._room.state.told(move)

    def _leave_trail(self, move: AliasMove) -> None:
        version = move.version or move.previous
        assert version is not None  # noqa: S101 a move has one end at least
        key = f"{names.MOVE}{move.alias}.{move.at}"
        said = msgspec.json.encode(msgspec.structs.replace(move, entry="")).decode()
        body = {"name": move.model, "version": version}
        if len(said) <= _TAG:
            self._change("POST", "model-versions/set-tag", {**body, "key": key, "value": said}, repeatable=True)
        raw = self._room.transport.get("model-versions/get", {**body}, keep=False)["model_version"]
        old = sorted(each for each in decode.pairs(raw.get("tags", ())) if each.startswith(names.MOVE))
        for each in sorted(old, key=lambda name: decode.integer(name.rpartition(".")[2]) or 0)[:-_MOVES]:
            self._change("DELETE", "model-versions/delete-tag", {**body, "key": each}, repeatable=True)

    # ------------------------------------------------------------ looking

    def notice(self, model: Model, answer: object, changes: int) -> None:
        """An alias that moved while we looked away was moved by somebody else, or by us without hearing of it."""
        if isinstance(answer, Kept) or changes != self._room.changes:
            return  # an old answer, or one asked for before we changed something, tells nothing of today
        state = self._room.state
        if self._unsettled or state.differs(model.name, model.aliases):
            try:
                with state.alone(wait=0.0):
                    self._settle(model)
                    moved = state.notice(model.name, model.aliases)
            except Conflict:
                return  # one of this sidecar's consoles is moving one just now: at the next look then
        else:
            moved = state.notice(model.name, model.aliases)
        if moved:
            self._forget(model.name)
            self._room.touch()

    def moves(self, model: str, alias: str = "", among: Iterable[dict[str, Any]] | None = None) -> list[AliasMove]:
        """Newest first: our own, those that others left as tags, those that we noticed and nobody explains."""
        found = {(each.alias, each.at, each.version): each for each in self._room.state.moves(model)}
        for raw in self._told(model) if among is None else among:
            for key, text in decode.pairs(raw.get("tags", ())).items():
                move = decode.json_tag(text, AliasMove) if key.startswith(names.MOVE) else None
                if move is not None:
                    told = msgspec.structs.replace(move, model=model, entry="")
                    found.setdefault((told.alias, told.at, told.version), told)
        explained = _explained(list(found.values()))
        return sorted((each for each in explained if alias in ("", each.alias)), key=lambda move: move.at, reverse=True)

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

    def _settle(self, model: Model, *, about: str = "", key: str = "") -> None:
        """Write down what became of the model's moves half done, as the server says. Only `alone`: whoever is at one
        holds that. Those of the alias `about` are ended in any case, but for the one that is asked for anew by its
        key."""
        waiting = False
        for entry in self.half_done():
            if entry.target != model.name:
                waiting = True
                continue
            alias, wanted = str(entry.after["alias"]), entry.after.get("version")
            held = model.aliases.get(alias)
            if held == wanted:
                self._made(entry, alias, wanted)
            elif held != entry.before.get("version") or alias == about or now() - entry.at > _AT_IT_MS:
                if not (key and entry.key == key):
                    self._abandon(entry, f"no answer came; the server has {alias} at {named(held)}")
            else:
                waiting = True
        self._unsettled = waiting

    def _made(self, entry: JournalEntry, alias: str, version: str | None) -> None:
        undoes = entry.detail.removeprefix(_UNDOES) if entry.detail.startswith(_UNDOES) else ""
        mutation = _mutation(entry, undoes)
        done = self._room.journal.record(
            entry.action,
            entry.target,
            mutation,
            before=entry.before,
            after=entry.after,
            outcome=Outcome.DONE,
            detail="its answer was lost; this is what the server says",
        )
        self._keep(entry.target, alias, version, entry.before.get("version"), mutation, entry.action, done.id, entry.at)

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


def _explained(moves: list[AliasMove]) -> list[AliasMove]:
    """Without what we noticed of moves that whoever made them tells better."""
    told = [each for each in moves if each.action != "elsewhere"]
    return told + [
        each
        for each in moves
        if each.action == "elsewhere"
        and not any(
            other.alias == each.alias and other.version == each.version and 0 <= each.at - other.at < 3_600_000
            for other in told
        )
    ]


def named(version: str | None) -> str:
    return "nothing" if version is None else f"v{version}"
