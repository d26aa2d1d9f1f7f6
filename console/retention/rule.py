"""The rule: of what is held, what goes, and what that gives back. Pure: the same holdings give the same plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from backends.entities import Millis, Record
from backends.entities.holdings import Going, Holdings, Part, RunHolding
from console.retention.policy import Limits
from console.wording import duration, plural, size

STAYING = ("recipe.toml", "command.json", "diff.patch", "environment.txt")
"""Small texts that stay with the history of a run: by them it can be made again."""


class Plan(Record, frozen=True, kw_only=True):
    """What goes, in the order in which it goes."""

    going: tuple[Going, ...] = ()
    bytes: int = 0
    """Given back by all of it; a file that several share is counted once, and only if none of them stays."""
    before: int = 0
    """Bytes of the workspace now."""
    kept: dict[str, int]
    """Of the runs that are old enough to go, why how many stay."""
    notes: tuple[str, ...] = ()
    """What a person should know of it, as sentences."""


def plan(
    holdings: Holdings,
    limits: Limits,
    now: Millis,
    *,
    kept: Mapping[str, str] | None = None,
    left_out: Collection[str] = (),
) -> Plan:
    """`kept` says of further runs why they stay: the best ones, those of a sweep. `left_out` are single things that
    stay, each as `part:target`."""
    task = _Task(holdings, kept or {}, limits, left_out)
    for file in holdings.leftovers:
        if f"{Part.LEFTOVER}:{file.path}" not in left_out:
            task.going.append(
                Going(part=Part.LEFTOVER, target=file.path, name=file.path, why=file.why, bytes=file.bytes)
            )
    for held in holdings.runs:
        if held.deleted_at is not None:
            if (told := _old(limits.deleted_ms, held.deleted_at, now, "deleted")) and not task.stays(held):
                task.take(Part.RUN, held, told)
            continue
        for part, limit in ((Part.ARTIFACTS, limits.artifacts_ms), (Part.LOG, limits.logs_ms)):
            if task.holds(part, held) and (told := _old(limit, held.at, now, "ended")) and not task.stays(held):
                task.take(part, held, told)
    for version in holdings.data:
        if not version.needed and (told := _old(limits.data_ms, version.at, now, "made")):
            task.take_data(version.ref, told)
    if limits.max_bytes is not None:
        task.shrink_to(limits.max_bytes)
    going, total = task.priced()
    left = holdings.bytes - total
    notes = [holdings.note] if holdings.note else []
    if limits.max_bytes is not None and left > limits.max_bytes:
        notes.append(
            f"{size(limits.max_bytes)} are wanted, and {size(left)} are left: the rest is needed, or kept by the policy"
        )
    return Plan(going=going, bytes=total, before=holdings.bytes, kept=dict(task.kept), notes=tuple(notes))


def purge_plan(holdings: Holdings, runs: Iterable[str]) -> Plan:
    """These deleted runs, because a person asked for them."""
    task = _Task(holdings, {}, Limits())
    wanted = set(runs)
    for held in holdings.runs:
        if held.run in wanted:
            task.take(Part.RUN, held, "asked for", asked=True)
    going, total = task.priced()
    return Plan(going=going, bytes=total, before=holdings.bytes, kept={})


class _Task:
    def __init__(
        self, holdings: Holdings, kept: Mapping[str, str], limits: Limits, left_out: Collection[str] = ()
    ) -> None:
        self._left_out = frozenset(left_out)
        self.holdings = holdings
        self.going: list[Going] = []
        self.kept: Counter[str] = Counter()
        self._why = kept
        self._limits = limits
        self._seen: set[str] = set()
        self._taken: set[tuple[Part, str]] = set()
        self._runs = {held.run: held for held in holdings.runs}
        self._data = {held.ref: held for held in holdings.data}
        # How many hold each file: of one run all its paths together count once.
        self._holders: Counter[str] = Counter(holdings.pinned)
        for held in holdings.runs:
            self._holders.update({file.sha256 for file in held.files})
        self._holders.update(version.object for version in holdings.data)

    def stays(self, held: RunHolding) -> str:
        """Why it stays, or empty; counted once."""
        limits = self._limits
        named = next((f"tagged {tag}" for tag in held.tags if limits.tagged or tag in limits.tags), "")
        # The reason without what it names, so that many make one line.
        why = held.needed or held.wanted or self._why.get(held.run, "") or named
        if why and held.run not in self._seen:
            self._seen.add(held.run)
            self.kept["registered" if why.startswith("registered as") else why] += 1
        return why

    def holds(self, part: Part, held: RunHolding) -> bool:
        """Whether there is anything of it to take."""
        if part is Part.LOG:
            return held.log_bytes > 0
        return held.copies_bytes > 0 or any(file.owner or file.path not in STAYING for file in held.files)

    def take(self, part: Part, held: RunHolding, why: str, *, asked: bool = False) -> None:
        if (part, held.run) in self._taken or f"{part}:{held.run}" in self._left_out:
            return
        self._taken.add((part, held.run))
        stays = STAYING if part is Part.ARTIFACTS else ()
        name = f"{held.name} ({held.run[:8]})"
        self.going.append(Going(part=part, target=held.run, name=name, why=why, stays=stays, asked=asked))

    def take_data(self, ref: str, why: str) -> None:
        if f"{Part.DATA}:{ref}" in self._left_out:
            return
        self.going.append(Going(part=Part.DATA, target=ref, name=ref, why=why))

    def shrink_to(self, most: int) -> None:
        """Deleted runs that nothing promises to keep, then files and logs of the others, the oldest first, until the
        rest fits. What gives nothing back, because a run that stays has the same files, stays too."""
        why = f"over {size(most)}"
        before = len(self.going)
        _, total = self.priced()
        candidates = [
            *(held for held in self.holdings.runs if held.deleted_at is not None and self._limits.deleted_ms is None),
            *(held for held in self.holdings.runs if held.deleted_at is None),
        ]
        holders = self._left()
        missing = self.holdings.bytes - total - most
        for held in candidates:
            if missing <= 0:
                break
            if self.stays(held):
                continue
            parts = (Part.RUN,) if held.deleted_at is not None else (Part.ARTIFACTS, Part.LOG)
            for part in parts:
                if self.holds(part, held) or part is Part.RUN:
                    known = len(self.going)
                    self.take(part, held, why)
                    if len(self.going) > known:
                        missing -= self._price(self.going[-1], holders)[0]
        fresh, self.going = self.going[before:], self.going[:before]
        left = self._left(fresh)
        for each in fresh:
            held = self._runs[each.target]
            own, files = self._of(each, held)
            if own or any(left[sha256] == 0 for sha256 in files):
                self.going.append(each)

    def _left(self, more: Sequence[Going] = ()) -> Counter[str]:
        """How many still hold each file once all of it is gone."""
        holders = self._holders.copy()
        for each in (*self.going, *more):
            self._price(each, holders)
        return holders

    def _of(self, each: Going, held: RunHolding) -> tuple[int, dict[str, int]]:
        """(bytes that are its alone, its files: sha256 → bytes)."""
        if each.part is Part.LOG:
            return held.log_bytes, {}
        files = {file.sha256: file.bytes for file in held.files if file.owner or file.path not in each.stays}
        if each.part is Part.ARTIFACTS:
            still = {file.sha256 for file in held.files if not file.owner and file.path in each.stays}
            return held.copies_bytes, {sha256: size_ for sha256, size_ in files.items() if sha256 not in still}
        return held.folder_bytes + held.copies_bytes + held.log_bytes, files

    def _price(self, each: Going, holders: Counter[str]) -> tuple[int, int]:
        """(bytes that it gives back, bytes that others keep), given that its files have these holders; takes it off."""
        if each.part is Part.LEFTOVER:
            return each.bytes, 0
        if each.part is Part.DATA:
            version = self._data[each.target]
            own, files = 0, {version.object: version.bytes}
        else:
            own, files = self._of(each, self._runs[each.target])
        shared = 0
        for sha256, size_ in files.items():
            holders[sha256] -= 1
            if holders[sha256] == 0:
                own += size_
            else:
                shared += size_
        return own, shared

    def priced(self) -> tuple[tuple[Going, ...], int]:
        """What goes with its bytes; of shared files the last to go gives the bytes back."""
        holders, found, total = self._holders.copy(), [], 0
        for each in self.going:
            freed, shared = self._price(each, holders)
            total += freed
            found.append(msgspec.structs.replace(each, bytes=freed, shared=shared))
        return tuple(found), total


def _old(limit: Millis | None, at: Millis, now: Millis, did: str) -> str:
    """`ended 120 d ago`, where that is longer ago than the limit."""
    return f"{did} {duration((now - at) / 1000)} ago" if limit is not None and now - at > limit else ""


def summary(found: Plan) -> str:
    """`3 runs, 12 artifacts: 1.2 GB`."""
    counted = Counter(each.part for each in found.going)
    names = {
        Part.RUN: "deleted run", Part.ARTIFACTS: "run's artifacts", Part.LOG: "log", Part.DATA: "dataset version",
        Part.LEFTOVER: "leftover",
    }  # fmt: skip
    said = [
        f"artifacts of {plural(count, 'run')}" if part is Part.ARTIFACTS else plural(count, names[part])
        for part, count in counted.items()
    ]
    return f"{', '.join(said)}: {size(found.bytes)}" if said else "nothing goes"
