"""`ModelRegistry` over a repository: each change is tags and a commit of the model's chain, all or none."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from backends.alias_changes import action_of, check_changes, check_moves, ends, moves_of
from backends.contract import ArtifactStore, BackendError, Conflict, Invalid, Journal, Mutation
from backends.entities import (
    AliasChange,
    AliasMove,
    DatasetInput,
    Model,
    ModelFile,
    ModelVersion,
    Signature,
)
from backends.gto import packing
from backends.gto.ledger import Registered
from backends.gto.names import Action, Named, Numbering, check_alias, check_model, following
from backends.gto.registry_read import GtoReading
from backends.gto.repository import Kept, Record, Repository, Snapshot, Words
from backends.gto.state import State
from backends.gto.tags import Change, change_of
from backends.gto.versions import VersionRecord, read_index, record_of
from backends.gto.writing import Plan, Writer

SETTLE_S: Final = 5.0
"""So long a context that is opened waits for a git that outlived its console: it needs milliseconds."""
_TEXT: Final = 1_000_000
_GATES: Final = 200_000
"""Characters of an account of gates that a tag still carries."""


class GtoRegistry(GtoReading):
    """Reading from `GtoReading`; every change here."""

    def __init__(
        self,
        repository: Repository,
        numbering: Numbering,
        state: State,
        journal: Journal,
        artifacts: Callable[[], ArtifactStore | None],
        max_file: int,
    ) -> None:
        super().__init__(repository, numbering, state)
        self._writer = Writer(repository, state)
        self._journal = journal
        self._artifacts = artifacts
        self._max_file = max_file

    # ------------------------------------------------------------ models

    def create(
        self,
        model: str,
        mutation: Mutation,
        *,
        note: str = "",
        tags: dict[str, str] | None = None,
        kind: str = "model",
    ) -> Model:
        check_model(model)
        _check_texts(note, tags or {})

        def plan(seen: Snapshot) -> Plan:
            if seen.get(model).there:
                raise Conflict(f"model {model} is there already; nothing was changed. Use it, or another name.")
            change = change_of(mutation, "model.create", target=model, after=_made(model, kind))
            record = self._begun(seen.get(model), change)
            return Plan(model, change, records={model: _with(record, change, note=note, tags=tags or {}, kind=kind)})

        self._change("model.create", mutation, plan)
        return self.get(model)

    def _begun(self, kept: Kept, change: Change) -> Record:
        """The record of a name that is there from now on."""
        if kept.there:
            return kept.said
        return Record(created_at=change.at, created_by=change.actor, updated_at=change.at)

    def rename(self, model: str, name: str, mutation: Mutation) -> Model:
        check_model(name)

        def plan(seen: Snapshot) -> Plan:
            kept = self._kept(seen, model)
            if name != model and seen.get(name).there:
                raise Conflict(f"model {name} is there already; nothing was changed. Take another name.")
            ever = seen.get(name).ledger.versions
            clash = next((each.version for each in kept.ledger.active if each.version in ever), None)
            if name == model or clash is not None:
                raise Conflict(
                    f"{name} had a version {self._numbering.outside(clash or '')} before, and tags are not used twice; "
                    "nothing was changed. Take another name."
                    if clash
                    else f"model {model} has this name already; nothing was changed."
                )
            records = {each.version: record_of(each) for each in kept.ledger.active if record_of(each)}
            change = change_of(
                mutation, "model.rename", target=model, before={"name": model}, after={"name": name}, records=records
            )
            tags = [(Named(Action.REGISTER, name, each.version), each.commit) for each in reversed(kept.ledger.active)]
            for alias, version in kept.ledger.aliases.items():
                commit = kept.ledger.versions[version].commit
                tags.append((Named(Action.ASSIGN, name, stage=alias), commit))
            tags += _retired(model, kept)
            record = _with(kept.said, change, was=(*kept.said.was, model))
            gone = Record(updated_at=change.at, deleted=True)
            words = f"Renaming {model} to {name}"
            return Plan(model, change, tuple(tags), {name: record, model: gone}, words)

        self._change("model.rename", mutation, plan)
        return self.get(name)

    def delete(self, model: str, mutation: Mutation) -> None:
        def plan(seen: Snapshot) -> Plan:
            kept = self._kept(seen, model)
            told = self._versions.model(model, kept)
            before = {"versions": told.versions, "latest": told.latest, "aliases": told.aliases}
            change = change_of(mutation, "model.delete", target=model, before=before)
            gone = Record(updated_at=change.at, deleted=True)
            return Plan(model, change, tuple(_retired(model, kept)), {model: gone}, f"Deprecating artifact '{model}'")

        self._change("model.delete", mutation, plan)

    # ------------------------------------------------------------ versions

    def delete_version(self, model: str, version: str, mutation: Mutation) -> None:
        def plan(seen: Snapshot) -> Plan:
            kept = self._kept(seen, model)
            each = self._registered(model, kept, version)
            found = self._versions.of([(model, kept, each)])[0]
            before = {"run": found.run, "sha256": found.file.sha256, "aliases": found.aliases}
            change = change_of(mutation, "model.delete_version", target=found.ref, before=before)
            words = f"Deregistering artifact {model} version {each.version}"
            return Plan(model, change, tuple(_taken(model, kept, each)), {}, words)

        self._change("model.delete_version", mutation, plan)

    def register(
        self,
        model: str,
        *,
        run: str,
        file: ModelFile,
        signature: Signature,
        mutation: Mutation,
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
        inputs: Sequence[DatasetInput] = (),
        tags: dict[str, str] | None = None,
        note: str = "",
        source: str = "",
        logged_model: str = "",
    ) -> ModelVersion:
        check_model(model)
        _check_texts(note, tags or {})
        said = VersionRecord(
            id=uuid.uuid4().hex,
            run=run,
            created_by=mutation.actor,
            file=file,
            signature=signature,
            metrics={key: _spelled(value) for key, value in (metrics or {}).items()},
            params=params or {},
            inputs=tuple(inputs),
            tags=tags or {},
            note=note,
            source=source,
            logged_model=logged_model,
        )
        packed: packing.Packed | None = None
        number = ""

        def plan(seen: Snapshot) -> Plan | None:
            nonlocal packed, number
            known = _by_key(seen, model, mutation.key)
            if known is not None:
                number = self._numbering.outside(known.version)
                return None
            if packed is None:
                packed = packing.pack(self._repository, self._artifacts(), model, said, mutation, self._max_file)
            kept = seen.get(model)
            version = following(list(kept.ledger.versions), self._numbering.bump)
            number = self._numbering.outside(version)
            after = {"model": model, "version": number, "run": run, "sha256": file.sha256}
            change = change_of(
                mutation, "model.register", target=f"{model}@{number}", after=after, record=packed.record
            )
            record = _with(self._begun(kept, change), change)
            tag = Named(Action.REGISTER, model, version), packed.commit
            return Plan(model, change, (tag,), {model: record}, f"Registering artifact {model} version {version}")

        made = self._change("model.register", mutation, plan, result=lambda: f"{model}@{number}")
        name, _, number = made.rpartition("@")
        return self.version(name or model, number)

    # ------------------------------------------------------------ aliases

    def set_alias(
        self, model: str, alias: str, version: str | None, *, expected: str | None, mutation: Mutation
    ) -> AliasMove:
        change = AliasChange(alias=alias, version=version, expected=expected)
        return self.set_aliases(model, (change,), mutation=mutation)[0]

    def set_aliases(self, model: str, changes: Sequence[AliasChange], *, mutation: Mutation) -> tuple[AliasMove, ...]:
        for change in check_changes(changes):
            check_alias(change.alias)
        made: tuple[AliasChange, ...] = ()
        done: Change | None = None

        def plan(seen: Snapshot) -> Plan | None:
            nonlocal made, done
            kept = self._kept(seen, model)
            done = _change_by_key(kept, mutation.key)
            if done is not None:
                return None
            self._allowed(changes)
            outside = self._numbering.outside
            targets = {
                change.alias: self._registered(model, kept, change.version)
                for change in changes
                if change.version is not None
            }
            for change in changes:
                holder = kept.ledger.aliases.get(change.alias)
                expected = None if change.expected is None else self._numbering.inside(change.expected)
                if holder != expected:
                    raise Conflict(self._elsewhere(model, kept, change, holder))
            made = tuple(
                AliasChange(
                    alias=change.alias,
                    version=outside(targets[change.alias].version) if change.alias in targets else None,
                    expected=None if change.expected is None else outside(self._numbering.inside(change.expected)),
                )
                for change in changes
            )
            check_moves(model, made)
            tags: list[tuple[Named, str]] = []
            for change in changes:
                target = targets.get(change.alias)
                for version in kept.ledger.assigned.get(change.alias, ()):
                    if target is None or version != target.version:
                        commit = kept.ledger.versions[version].commit
                        tags.append((Named(Action.UNASSIGN, model, stage=change.alias), commit))
                if target is not None:
                    tags.append((Named(Action.ASSIGN, model, stage=change.alias), target.commit))
            before, after = ends(model, made)
            aliases = tuple(change.alias for change in changes)
            done = change_of(mutation, action_of(changes), target=model, before=before, after=after, aliases=aliases)
            if len(msgspec.json.encode(done.gates)) > _GATES:
                done = msgspec.structs.replace(done, gates=())
            return Plan(model, done, tuple(tags), {}, _words(model, made))

        noted = self._change("model.alias", mutation, plan, result=lambda: done.id if done is not None else "")
        if not made:  # by this key, before
            return tuple(self._moves_by(model, noted))
        action, at = (done.action, done.at) if done is not None else ("", 0)
        return moves_of(model, made, mutation, action=action, entry=self._state.entry(noted), at=at)

    def _moves_by(self, model: str, change: str) -> list[AliasMove]:
        """The moves that a change made, in the order in which they were asked for."""
        kept = self._kept(self._repository.look(), model)
        return [self._outside(model, move) for move in reversed(kept.ledger.moves) if move.entry == change]

    def _allowed(self, changes: Sequence[AliasChange]) -> None:
        """Where the repository's `.gto` names the stages that there are, no others are made."""
        head = self._repository.git.run("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
        if head.code:
            return
        place = f"{head.out.decode().strip()}:.gto"
        content = self._repository.files([place])[place]
        stages = read_index(content).get("stages") if content else None
        if isinstance(stages, list):
            names = [str(stage) for stage in stages]
            wrong = next((change.alias for change in changes if change.alias not in names), None)
            if wrong is not None:
                raise Invalid(
                    f"the repository's file .gto names its stages, {', '.join(names[:20])}, and {wrong} is none of "
                    "them; nothing was changed. Take one of these, or add it there.",
                    "alias",
                )

    def _elsewhere(self, model: str, kept: Kept, change: AliasChange, holder: str | None) -> str:
        """Who moved the alias, and when, since the caller looked."""
        saw = _named(change.expected)
        last = next((move for move in reversed(kept.ledger.moves) if move.alias == change.alias), None)
        if last is None:
            return (
                f"alias {change.alias} of {model} was expected at {saw}, and it was never set; nothing was changed. "
                "Look again and repeat."
            )
        told = self._outside(model, last)
        now = _named(None if holder is None else self._numbering.outside(holder))
        return (
            f"alias {change.alias} of {model} moved from {_named(told.previous)} to {now} by {told.actor} at "
            f"{_clock(told.at)} while you were looking (you saw {saw}); nothing was changed. Look again and repeat."
        )

    # ------------------------------------------------------------ notes and tags

    def set_note(self, model: str, version: str, note: str, mutation: Mutation) -> None:
        _check_texts(note, {})

        def plan(seen: Snapshot) -> Plan | None:
            kept = self._kept(seen, model)
            target, before, each = self._noted(model, kept, version)
            if before.note == note:
                return None
            change = change_of(
                mutation, "model.note", target=target, before={"note": before.note}, after={"note": note}
            )
            record = _with(self._begun(kept, change), change)
            if each is None:
                return Plan(model, change, records={model: _with(record, change, note=note)})
            words = _reworded(record, each, note=note)
            return Plan(model, change, records={model: _with(record, change, versions=words)})

        self._change("model.note", mutation, plan)

    def set_tags(self, model: str, version: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        _check_texts("", tags)

        def plan(seen: Snapshot) -> Plan | None:
            kept = self._kept(seen, model)
            target, known, each = self._noted(model, kept, version)
            changed = {key: value for key, value in tags.items() if known.tags.get(key) != value}
            if not changed:
                return None
            before = {key: known.tags.get(key) for key in changed}
            change = change_of(mutation, "model.tag", target=target, before={"tags": before}, after={"tags": changed})
            kept_tags = {key: value for key, value in {**known.tags, **changed}.items() if value is not None}
            record = _with(self._begun(kept, change), change)
            if each is None:
                return Plan(model, change, records={model: _with(record, change, tags=kept_tags)})
            words = _reworded(record, each, tags=kept_tags)
            return Plan(model, change, records={model: _with(record, change, versions=words)})

        self._change("model.tag", mutation, plan)

    def _noted(self, model: str, kept: Kept, version: str) -> tuple[str, Model | ModelVersion, Registered | None]:
        """(journal target, what carries the note, the version) of a version, or of the model itself."""
        if not version:
            return model, self._versions.model(model, kept), None
        each = self._registered(model, kept, version)
        found = self._versions.of([(model, kept, each)])[0]
        return found.ref, found, each

    # ------------------------------------------------------------ every change

    def _change(
        self,
        verb: str,
        mutation: Mutation,
        plan: Callable[[Snapshot], Plan | None],
        result: Callable[[], str] = lambda: "",
    ) -> str:
        """Make it under its key, and write it down. What is noted under the key."""
        with self._state.alone():
            made = self._state.made_before(verb, mutation)
            if made is not None:
                return made
            self._check_undo(mutation)
            self._writer.settle()
            found = self._writer.make(plan)
            if found is not None:
                self._write_down(found[1], mutation)
            told = result()
            self._state.note(verb, mutation, told)
            return told

    def _check_undo(self, mutation: Mutation) -> None:
        """An entry is undone once: known before anything is changed."""
        if not mutation.undoes:
            return
        entry = self._journal.get(mutation.undoes)
        if entry.undone_by:
            raise Conflict(f"{entry.action} of {entry.target} was undone already; nothing was changed.")

    def _write_down(self, change: Change, mutation: Mutation) -> None:
        keyed = msgspec.structs.replace(mutation, key=mutation.key or f"git:{change.id}")
        entry = self._journal.record(change.action, change.target, keyed, before=change.before, after=change.after)
        self._state.journaled({change.id: entry.id})

    def settle(self) -> None:
        """Finish what a process of this sidecar that was killed left half done."""
        if not self._state.intents():
            return
        try:
            with self._state.alone(wait=SETTLE_S):
                self._writer.settle()
        except BackendError:
            pass  # somebody is at it, or the repository is away: the next change does it


# ---------------------------------------------------------------- tags of a change


def _taken(model: str, kept: Kept, each: Registered) -> list[tuple[Named, str]]:
    """A version that goes, and with it its stages."""
    found = [
        (Named(Action.UNASSIGN, model, stage=stage), each.commit)
        for stage, versions in kept.ledger.assigned.items()
        if each.version in versions
    ]
    if each.version.startswith("v"):
        found.append((Named(Action.DEREGISTER, model, version=each.version), each.commit))
    return found


def _retired(model: str, kept: Kept) -> list[tuple[Named, str]]:
    """A model that goes with all its versions; nothing where it has no tags."""
    if not kept.ledger.there:
        return []
    found = [tag for each in reversed(kept.ledger.active) for tag in _taken(model, kept, each)]
    newest = kept.ledger.steps[-1].events[-1].tag.commit
    return [*found, (Named(Action.DEPRECATE, model), newest)]


def _by_key(seen: Snapshot, model: str, key: str) -> Registered | None:
    """The version that this key made, here or on another machine."""
    versions = seen.get(model).ledger.versions.values() if key else ()
    return next((each for each in versions if each.active and each.change is not None and each.change.key == key), None)


def _change_by_key(kept: Kept, key: str) -> Change | None:
    if not key:
        return None
    found = (step.change for step in kept.ledger.steps)
    return next((change for change in found if change is not None and change.key == key and change.aliases), None)


# ---------------------------------------------------------------- records


def _with(record: Record, change: Change, **more: Any) -> Record:
    return msgspec.structs.replace(record, updated_at=change.at, **more)


def _reworded(record: Record, each: Registered, **more: Any) -> dict[str, Words]:
    words = record.versions.get(each.version, Words())
    return {**record.versions, each.version: msgspec.structs.replace(words, **more)}


def _made(model: str, kind: str) -> dict[str, Any]:
    return {"model": model} | ({"kind": kind} if kind != "model" else {})


def _spelled(value: float) -> float | str:
    return value if abs(value) < float("inf") else str(value)


# ---------------------------------------------------------------- words


def _check_texts(note: str, tags: Mapping[str, str | None]) -> None:
    size = len(note) + sum(len(key) + len(value or "") for key, value in tags.items())
    if size > _TEXT:
        raise Invalid(
            f"a note or tags may have {_TEXT:,} characters together, and these have {size:,}; nothing was changed.",
            "note",
        )
    for key in tags:
        if not key.strip():
            raise Invalid("a tag needs a name, and it is empty; nothing was changed.", "tags")


def _named(version: str | None) -> str:
    return "nothing" if version is None else f"v{version}"


def _words(model: str, changes: Sequence[AliasChange]) -> str:
    """What the tags say where nobody gave a reason, as `gto` would."""
    first = changes[0]
    if first.version is None:
        return f"Unassigning stage '{first.alias}' to artifact '{model}' version 'v{first.expected}'"
    return f"Assigning stage {first.alias} to artifact {model} version v{first.version}"


def _clock(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at / 1000))
