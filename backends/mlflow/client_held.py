"""A list of runs that was fetched to be filtered and sorted here, and is kept up to date by little questions.

A run that has ended stays as it is, so what is looked for is what came since and what had not ended. What others change
in an ended run (a tag, a name, taking it away) is seen with the whole look every ten minutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import ClassVar, Final

from backends.entities import Run

OLD_S: Final = 600.0
FRESH_S: Final = 2.0
UNENDED: Final = 40
"""Runs under way that are looked at again, at most."""


class Held:
    """Runs by id, in the server's order: newest first."""

    NEW: ClassVar[int] = 40
    """Of the newest so many are asked for anew."""

    def __init__(self, runs: Iterable[Run], note: str, changes: int) -> None:
        self._runs = {run.id: run for run in runs}
        self.note = note
        self.changes = changes
        self._made = self._looked = time.monotonic()

    @property
    def old(self) -> bool:
        return time.monotonic() - self._made > OLD_S

    @property
    def fresh(self) -> bool:
        """One refresh of a pane asks several times."""
        return time.monotonic() - self._looked < FRESH_S

    def newest_first(self) -> list[Run]:
        return list(self._runs.values())

    @property
    def foremost(self) -> frozenset[str]:
        """Those that the next look at the newest will very likely tell of."""
        return frozenset(islice(self._runs, self.NEW // 2))

    def unsure(self, changed: Iterable[tuple[int, str]]) -> list[str]:
        """Runs that may be others by now: those under way, and those that this console changed since."""
        ours = [run for at, run in list(changed) if at > self.changes]
        under_way = [run.id for run in self.newest_first() if not run.status.ended][:UNENDED]
        return [run for run in dict.fromkeys((*ours, *under_way)) if run.isalnum()][: 2 * UNENDED]

    def take(self, newest: list[Run], more: bool, asked: list[str], found: list[Run], changes: int) -> bool:
        """What the server says of its newest and of those asked for. False where runs have come that it did not tell
        of: more than one question holds."""
        told = {run.id for run in newest}
        places = [place for place, run in enumerate(self._runs) if run in told]
        if more and newest and not places:
            return False
        # What stood among those that are told, and is not told, was taken away or is no longer what the filter means.
        told_of = (places[-1] + 1 if places else 0) if more else len(self._runs)
        gone = {run for run in list(self._runs)[:told_of] if run not in told}
        gone |= set(asked) - {run.id for run in found} - told
        kept = {run: record for run, record in self._runs.items() if run not in gone and run not in told}
        kept.update((run.id, run) for run in found if run.id in kept)
        self._runs = {run.id: run for run in newest} | kept
        self.changes, self._looked = changes, time.monotonic()
        return True
