"""A run's courses and files as a server tells them: at each look a question or two, for what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from backends.contract import Backend, RunStore
from backends.entities import Artifact, MetricSeries, Run
from backends.together import together

FIRST = 4
"""Questions at the first look, all at once."""
LATER = 2
"""Of which one is left to the log where that is shown."""
WIDTHS = 40
"""Courses are cut for so many cells or a multiple of it: another size of the screen needs no other course."""
MOST = 8
"""Metrics that are looked at for one that has a course."""
FILES_S = 60.0


class Courses:
    """Of one run, cut for charts of one width."""

    def __init__(self, buckets: int) -> None:
        self.buckets = buckets
        self._read: dict[str, tuple[str, MetricSeries]] = {}
        """By metric, the longest unread first: its newest value when it was read, its course."""
        self._artifacts: tuple[Artifact, ...] = ()
        self._files_at = 0.0
        self._looked = False

    def look(
        self, backend: Backend, run: Run, names: Sequence[str], metric: str, charts: int, files: bool
    ) -> tuple[list[MetricSeries], tuple[Artifact, ...]]:
        """The courses worth a chart, and the files where they are shown. Blocks."""
        runs = backend.need("runs")
        left = (LATER - files) if self._looked else FIRST
        calls: list[Callable[[], Any]] = []
        if files and backend.artifacts is not None and self._files_are_old(run):
            listed = backend.artifacts
            calls.append(lambda: self._take_files(listed.children(run.id)))
        if backend.features.metric_history:
            wanted = self._wanted(run, names[:MOST], metric, charts)[: left - len(calls)]
            calls += [partial(self._ask, runs, run, name) for name in wanted]
        self._looked = True
        together(calls)
        found = [self._read[name][1] for name in names if name in self._read and self._worth(name, metric)]
        return found[:charts], self._artifacts

    def _wanted(self, run: Run, names: Sequence[str], metric: str, charts: int) -> list[str]:
        """What nobody has read while charts are empty, then what has a new value."""
        drawn = [name for name in names if name in self._read and self._worth(name, metric)][:charts]
        unread = [name for name in names if name not in self._read]
        wanted = [name for name in unread if name == metric] or (
            unread[: charts - len(drawn) + 1] if len(drawn) < charts else []
        )
        return wanted + [name for name in self._read if name in drawn and self._read[name][0] != _value(run, name)]

    def _worth(self, name: str, metric: str) -> bool:
        """What was measured once is a number, not a course; it is drawn only where it was asked for."""
        return self._read[name][1].count > 1 or name == metric

    def _files_are_old(self, run: Run) -> bool:
        return time.monotonic() - self._files_at > (10 * FILES_S if run.status.ended else FILES_S)

    def _ask(self, runs: RunStore, run: Run, name: str) -> None:
        series = runs.series(run.id, name, buckets=self.buckets)
        self._read.pop(name, None)
        self._read[name] = (_value(run, name), series)

    def _take_files(self, found: tuple[Artifact, ...]) -> None:
        self._artifacts, self._files_at = found, time.monotonic()


def _value(run: Run, name: str) -> str:
    return repr(run.metrics.get(name))
