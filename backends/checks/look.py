"""What checks see of a backend: its reading half, every question counted, and no more of them than was allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from backends.checks.finding import Lacks, Spent
from backends.contract import Backend
from backends.readonly import FACTS, READING, read_only

CALLS: Final = 600
"""Verbs that one examination calls at most."""
SECONDS: Final = 120.0
MANY: Final = 28
"""Rows that are looked at of a list; a server's pane asks for 50."""

R = TypeVar("R")


class Look:
    """A backend under examination. Verbs that change are refused before they reach the adapter."""

    def __init__(self, backend: Backend, *, calls: int = CALLS, seconds: float = SECONDS) -> None:
        self.whole = backend
        """As it was given: its features and what it says to lack. Its verbs are called through `backend` alone."""
        self.calls = 0
        self._most = calls
        self._until = time.monotonic() + seconds
        self._seconds = seconds
        self._counting = threading.Lock()
        self._seen: dict[object, Any] = {}
        reading = read_only(backend)
        counted = {
            capability: None if found is None else _Counted(found, capability, self._count)
            for capability, found in ((each, getattr(reading, each)) for each in READING)
        }
        self.backend: Backend = msgspec.structs.replace(reading, **counted)

    def _count(self) -> None:
        with self._counting:
            if self.calls >= self._most:
                raise Spent(f"the {self._most} questions of one examination are asked")
            if time.monotonic() > self._until:
                raise Spent(f"the {self._seconds:.0f} s of one examination are over")
            self.calls += 1

    def the(self, capability: str) -> Any:
        """The capability, or why it is lacking."""
        found = getattr(self.backend, capability)
        if found is None:
            raise Lacks(self.backend.missing.get(capability) or "this backend does not offer it")
        return found

    def once(self, what: object, ask: Callable[[], R]) -> R:
        """What was asked already is not asked again."""
        if what not in self._seen:
            self._seen[what] = ask()
        found: R = self._seen[what]
        return found

    def forget(self) -> None:
        """The next look asks anew."""
        self._seen.clear()


class _Counted:
    """A capability whose every call is counted."""

    def __init__(self, whole: object, capability: str, count: Callable[[], None]) -> None:
        self._whole = whole
        self._capability = capability
        self._count = count

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._whole, verb)
        if (self._capability, verb) in FACTS:
            return found

        def counted(*args: Any, **named: Any) -> Any:
            self._count()
            return found(*args, **named)

        return counted
