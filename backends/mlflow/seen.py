"""Runs as they were last seen, and what of them never changes."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from backends.entities import MetricSeries, Run

RUNS: Final = 2_000
COURSES: Final = 300
UNCHANGED_S: Final = 60.0
"""A course whose newest value is the same is read again after so long all the same."""


class Seen:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, tuple[float, Run]] = OrderedDict()
        self._courses: OrderedDict[tuple[object, ...], tuple[float, object, MetricSeries]] = OrderedDict()
        self._newest: list[int] = []

    def see(self, run: Run) -> None:
        with self._lock:
            self._runs[run.id] = (time.monotonic(), run)
            self._runs.move_to_end(run.id)
            while len(self._runs) > RUNS:
                self._runs.popitem(last=False)

    def see_newest(self, started: Sequence[int]) -> None:
        """When the newest runs of the server began, newest first."""
        with self._lock:
            if len(started) >= len(self._newest):
                self._newest = list(started)

    def newest(self, rows: int, *, fewer: bool = False) -> int | None:
        """When the run of this number from the newest began; None where so many are not known. With `fewer`, the
        oldest that is known then."""
        with self._lock:
            known = len(self._newest)
            if not known or (known < rows and not fewer):
                return None if not fewer else 0
            return self._newest[min(rows, known) - 1]

    def ended(self, run: str) -> Run | None:
        """The run, where it has ended: its metrics and parameters stay as they are."""
        with self._lock:
            _, found = self._runs.get(run, (0.0, None))
        return found if found is not None and found.status.ended else None

    def lately(self, run: str, seconds: float) -> Run | None:
        """The run, if it was seen so lately."""
        with self._lock:
            at, found = self._runs.get(run, (0.0, None))
        return found if found is not None and time.monotonic() - at < seconds else None

    @property
    def some(self) -> bool:
        """Whether any run was seen."""
        return bool(self._runs)

    def keys(self, scope: str, most: int) -> Counter[str]:
        """Names within metrics, params or tags of the runs seen last, with how many have them."""
        with self._lock:
            runs = [run for _, run in list(self._runs.values())[-most:]]
        return Counter(key for run in runs for key in getattr(run, scope))

    def course(self, run: str, key: str, cut: tuple[object, ...], read: Callable[[], MetricSeries]) -> MetricSeries:
        """A metric's course: of an ended run read once, of another when its newest value is a new one."""
        with self._lock:
            _, known = self._runs.get(run, (0.0, None))
            at, told, series = self._courses.get((run, key, cut), (0.0, None, None))
        if known is None:
            return read()
        state = (known.metrics.get(key), known.ended_at)
        ended = known.status.ended
        if series is not None and repr(told) == repr(state) and (ended or time.monotonic() - at < UNCHANGED_S):
            return series
        found = read()
        with self._lock:
            self._courses[run, key, cut] = (time.monotonic(), state, found)
            while len(self._courses) > COURSES:
                self._courses.popitem(last=False)
        return found
