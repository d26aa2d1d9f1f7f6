"""Changes of a repository: objects first, then every ref at once, by compare and set; never a branch or a work tree."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from backends.contract import Conflict, Unreachable
from backends.gto.ledger import Ledger
from backends.gto.names import Action, Named, spelled
from backends.gto.program import Done, Git, trouble
from backends.gto.repository import RECORD, Record, Repository, Snapshot, chain_ref
from backends.gto.state import State
from backends.gto.tags import Change, identity, plain, written

_TRIES: Final = 12
_LOCKED: Final = ("file exists", "unable to lock", "unable to create")
_RACES: Final = ("already exists", "but expected", "cannot lock ref", "reference is missing", *_LOCKED)


class Plan(NamedTuple):
    """What a change does to the model that it is about, and to others. `tags` gives each tag with its commit, without
    a number; `records` the records that are new, by model."""

    model: str
    change: Change
    tags: tuple[tuple[Named, str], ...] = ()
    records: Mapping[str, Record] = {}
    words: str = ""
    """What the tags say where nobody gave a reason."""


class Refs(msgspec.Struct, frozen=True):
    """Refs as they will be: a change that is about to be made."""

    created: dict[str, str]
    moved: dict[str, tuple[str, str]]
    """ref → (old, new); old is empty where there was none."""


class Writer:
    """Of one repository. Whoever writes holds `State.alone`."""

    def __init__(self, repository: Repository, state: State) -> None:
        self._repository = repository
        self._state = state

    def make(self, plan: Callable[[Snapshot], Plan | None]) -> tuple[Plan, Change] | None:
        """Look, plan, make; look again and plan anew where somebody was quicker. None where there is nothing to do.
        What the plan raises ends it, with nothing changed."""
        for attempt in range(_TRIES):
            seen = self._repository.look(fresh=True)
            wanted = plan(seen)
            if wanted is None:
                return None
            change, refs = self._objects(seen, wanted)
            lost = self._point(change, refs)
            if not lost:
                return wanted, change
            self._repository.forget()
            time.sleep(0.02 * (attempt + 1))
        raise Conflict(
            f"nothing was changed: each of {_TRIES} tries found that somebody else had just changed the model, or that "
            f"git is at work there ({lost}). Repeat in a moment; where no git runs, a file that ends in .lock was left "
            "behind by one that was killed, and may be removed."
        )

    # ------------------------------------------------------------ objects

    def _objects(self, seen: Snapshot, plan: Plan) -> tuple[Change, Refs]:
        known = seen.get(plan.model).ledger
        at = moment(known, plan.tags)
        numbered = _numbered(seen, plan, at)
        change = msgspec.structs.replace(
            plan.change, tags=tuple((spelled(named), commit, second) for named, commit, second in numbered)
        )
        git = self._repository.git
        created = {}
        for name, commit, second in change.tags:
            content = written(name, commit, second, change, plan.words)
            created[f"refs/tags/{name}"] = git.line("hash-object", "-t", "tag", "-w", "--stdin", given=content)
        moved = {}
        for model in {plan.model, *plan.records}:
            kept = seen.get(model)
            record = plan.records.get(model, kept.record)
            moved[chain_ref(model)] = (kept.chain, self._chain(kept.chain, record, change, at))
        return change, Refs(created, moved)

    def _chain(self, parent: str, record: Record, change: Change, at: int) -> str:
        """A commit with the record; each tells the change it is part of."""
        git = self._repository.git
        blob = git.line("hash-object", "-w", "--stdin", given=msgspec.json.encode(record))
        tree = git.line("mktree", given=f"100644 blob {blob}\t{RECORD}\n".encode())
        said = msgspec.json.encode(change).decode()
        message = f"{change.action} {change.target}\n\n{plain(change.reason)}\n\nmlops-console: {said}\n"
        return commit(git, tree, parent, message, change.actor, at)

    # ------------------------------------------------------------ refs

    def _point(self, change: Change, refs: Refs) -> str:
        """Empty when it is done, else why somebody was quicker."""
        remote = self._repository.remote
        if remote is None:
            self._state.intend(change.id, msgspec.json.encode(refs).decode())
            lost = _update(self._repository.git, refs, self._state.holding)
            self._state.intended(change.id)
            self._repository.forget()
            return lost
        try:
            pushed = remote.push(refs.created, refs.moved)
        except Unreachable as silent:
            return self._asked_again(silent, refs)
        if pushed.lost:
            return pushed.said
        # The copy follows at once: whoever reads next sees what was just done.
        _update(self._repository.git, refs, self._state.holding)
        self._repository.forget()
        return ""

    def _asked_again(self, silent: Unreachable, refs: Refs) -> str:
        """A push of which no answer came was made, or was not: the remote tells."""
        try:
            seen = self._repository.look(fresh=True)
        except Unreachable:
            raise Unreachable(
                f"{silent} Whether the change was made is not known: the next look at the model tells, and so does the "
                "journal then. Repeating it is safe: what was made is not made twice."
            ) from silent
        made = [ref for ref, oid in refs.created.items() if seen.refs.get(ref) == oid]
        made += [ref for ref, (_, new) in refs.moved.items() if seen.refs.get(ref) == new]
        if made:
            return ""
        raise Unreachable(f"{silent} Nothing was changed.") from silent

    def settle(self) -> None:
        """Finish what a process that was killed had begun: where a part of a change stands, the rest follows."""
        for change, text in self._state.intents():
            refs = msgspec.json.decode(text, type=Refs)
            git = self._repository.git
            for ref in (*refs.created, *refs.moved):
                (git.folder / f"{ref}.lock").unlink(missing_ok=True)  # nobody else of this sidecar writes now
            seen = self._repository.look(fresh=True).refs
            stands = [ref for ref, oid in refs.created.items() if seen.get(ref) == oid]
            stands += [ref for ref, (_, new) in refs.moved.items() if seen.get(ref) == new]
            if stands:
                rest = Refs(
                    {ref: oid for ref, oid in refs.created.items() if ref not in seen},
                    {ref: ends for ref, ends in refs.moved.items() if seen.get(ref, "") == ends[0]},
                )
                _update(git, rest, self._state.holding)
                self._repository.forget()
            self._state.intended(change)


def commit(git: Git, tree: str, parent: str, message: str, actor: str, at: int) -> str:
    """A commit object; no branch moves."""
    name, mail = identity(actor)
    who = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", name), ("EMAIL", mail), ("DATE", f"@{at} +0000"))
    }
    parents = ["-p", parent] if parent else []
    words = message.encode("utf-8", "replace")
    return git.line("-c", "i18n.commitEncoding=utf-8", "commit-tree", tree, *parents, given=words, also=who)


def moment(known: Ledger, tags: Sequence[tuple[Named, str]]) -> int:
    """Seconds: not before the model's newest tag, and after those about the same stage of the same version, which `gto`
    could not put in order otherwise."""
    at = max(int(time.time()), known.last_at + (known.deprecated_at is not None))
    for named, target in tags:
        version = named.version or known.version_at(target)
        at = max(at, known.touched.get((named.stage, version), -1) + 1)
    return at


def _numbered(seen: Snapshot, plan: Plan, at: int) -> list[tuple[Named, str, int]]:
    """Tags with their numbers, which count over all tags of a model, and their times. A version's first has none, as
    `gto` writes it; a model is retired after everything else, or `gto` would not see it."""
    counters: dict[str, int] = {}
    found = []
    for named, target in plan.tags:
        first = named.action is Action.REGISTER and f"refs/tags/{spelled(named)}" not in seen.refs
        if not first:
            counters.setdefault(named.model, seen.get(named.model).ledger.counter)
            counters[named.model] += 1
            named = named._replace(counter=counters[named.model])
        found.append((named, target, at + (named.action is Action.DEPRECATE)))
    return found


def _update(git: Git, refs: Refs, holding: int | None) -> str:
    """All refs in one transaction. Empty when done, else why somebody was quicker. Nobody else of the sidecar is at it
    before this git has ended, be we killed meanwhile."""
    lines = [f"create {ref}\0{oid}\0" for ref, oid in refs.created.items()]
    for ref, (old, new) in refs.moved.items():
        lines.append(f"update {ref}\0{new}\0{old}\0" if old else f"create {ref}\0{new}\0")
    if not lines:
        return ""
    given = "".join(lines).encode("utf-8", "surrogateescape")
    done: Done = git.run(
        "-c", "core.logAllRefUpdates=false", "update-ref", "-z", "--stdin", given=given, holding=holding
    )
    if not done.code:
        return ""
    if any(mark in done.err.lower() for mark in _RACES) and "permission denied" not in done.err.lower():
        return done.err.splitlines()[-1][:200]
    raise trouble(git.where, "update-ref", done)
