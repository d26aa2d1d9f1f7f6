"""Versions that are asked besides: in a thread of their own, from a bounded queue, after the answer was given."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from console.serving.answering import Loaded
from console.serving.counters import Counted
from console.serving.prediction_log import PredictionLog
from console.serving.rows import Rows
from console.serving.spec import ServingSpec
from console.serving.split import Chosen

FOLDER: Final = "shadow"
"""Within the log's folder: a monitor that watches that one does not count a row twice."""


class _Asked(msgspec.Struct):
    loaded: Loaded
    answered_by: Loaded
    rows: Rows
    ident: str


class Shadows:
    """Of one worker. `ask` returns at once; what the queue does not take is dropped and counted."""

    def __init__(self, spec: ServingSpec, log: PredictionLog, counted: Callable[[str], Counted]) -> None:
        self.dropped = 0
        self._spec = spec
        self._queue: deque[_Asked] = deque()
        self._wake = threading.Event()
        self._counted = counted
        self._say = log.say
        self._ending = False
        self._thread: threading.Thread | None = None
        self._log: PredictionLog | None = None
        self._writer = f"w{threading.get_native_id()}"

    def ask(self, shadow: Chosen, answered_by: Loaded, rows: Rows, ident: str) -> None:
        if len(self._queue) >= self._spec.limits.shadow_queue:
            self.dropped += 1
            return
        self._queue.append(_Asked(shadow.loaded, answered_by, rows, ident))
        if self._thread is None:
            folder = str(Path(self._spec.log.folder) / FOLDER) if self._spec.log.folder else ""
            self._log = PredictionLog(self._spec.log, self._writer, self._say, folder=folder)
            self._thread = threading.Thread(target=self._run, name="shadows", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        self._ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(2)
        if self._log is not None:
            self._log.close()

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait()
            self._wake.clear()
            while self._queue and not self._ending:
                self._one(self._queue.popleft())

    def _one(self, asked: _Asked) -> None:
        counted = self._counted(asked.loaded.file.version)
        began = time.perf_counter()
        try:
            rows = _rows_for(asked.loaded, asked.answered_by, asked.rows)
            answer = asked.loaded.answer(rows)
        except Exception as error:  # whatever it does, callers are not to notice
            counted.shadow_errors += 1
            if counted.shadow_errors in (1, 10, 100, 1000):
                self._say(f"shadow v{asked.loaded.file.version} failed {counted.shadow_errors} times; last: {error}")
            return
        finally:
            counted.shadow_requests += 1
            counted.shadow_seconds += time.perf_counter() - began
        if self._log is not None:
            self._log.keep(asked.loaded.file, rows, answer.predictions, answer.scores, asked.ident)


def _rows_for(loaded: Loaded, answered_by: Loaded, rows: Rows) -> Rows:
    """The same rows in the columns of another version."""
    if loaded.shape.names == answered_by.shape.names:
        return rows
    given = dict(zip(answered_by.shape.names, rows.columns, strict=True))
    missing = [name for name in loaded.shape.names if name not in given]
    if missing:
        raise ValueError(f"it needs {missing[0]!r}, which the answering version does not")
    return Rows(rows.count, [given[name] for name in loaded.shape.names])
