"""What was asked and answered, written down beside the answering: a bounded queue, a thread, segments of JSON lines.

A line is a row (`log_line`). A monitor that watches the folder, with `prediction.id` as id and `prediction.time` as
time column, is fed by it. An answer never waits for the disk: what does not fit the queue, and what a full disk does
not take, is dropped and counted.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from console.serving.fetched import VersionFile
from console.serving.log_line import Layout
from console.serving.rows import Rows
from console.serving.segments import ENDING, WRITING, forget_oldest
from console.serving.spec import LogSpec
from console.serving.split import point

RETRY_S: Final = 1.0
GATHER_S: Final = 0.05
"""How long rows wait for others: each time the writer wakes, whoever answers has to wait for it."""
_TICK_S: Final = 0.2


class _Entry(msgspec.Struct):
    file: VersionFile
    rows: Rows
    predictions: list[Any] | None
    scores: Any
    ident: str
    at: int


class PredictionLog:
    """Of one worker. `keep` is called by the answering thread and returns at once."""

    def __init__(self, spec: LogSpec, writer: str, say: Callable[[str], None], *, folder: str = "") -> None:
        """`writer` makes file names unlike those of other workers."""
        self.say = say
        self.logged = 0
        self.dropped = 0
        self.trouble = ""
        self._spec = spec
        self._writer = writer
        self._folder = Path(folder or spec.folder) if spec.folder else None
        self._queue: deque[bytes | _Entry] = deque()
        self._taken = 0
        self._done = 0
        """Rows: the one is counted by the answering thread, the other by the writing one."""
        self._ending = False
        self._wake = threading.Event()
        self._redact = frozenset(spec.redact)
        self._layout: Layout | None = None
        """Of the version that was written of last."""
        self._segment: _Segment | None = None
        self._number = 0
        self._retry_at = 0.0
        self._thread: threading.Thread | None = None
        if self._folder is not None:
            self._thread = threading.Thread(target=self._run, name="prediction log", daemon=True)
            self._thread.start()

    def keep(self, file: VersionFile, rows: Rows, predictions: list[Any] | None, scores: Any, ident: str) -> None:
        if self._thread is None:
            return
        if self._spec.sample < 1 and point("sample", ident) >= self._spec.sample:
            return
        if self._taken - self._done + rows.count > self._spec.queue:
            self.dropped += rows.count
            return
        self._taken += rows.count
        at = time.time_ns() // 1_000_000
        if rows.count == 1:
            # What it is made of is at hand now, and is let go at once: kept for the writer it costs three times that.
            self._queue.append(self._lines(file, rows, predictions, scores, ident, at))
        else:
            self._queue.append(_Entry(file, rows, predictions, scores, ident, at))
        if not self._wake.is_set():
            self._wake.set()

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits and finish the segment."""
        self._ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        while True:
            self._wake.wait(_TICK_S if self._segment is not None else None)
            self._wake.clear()
            time.sleep(GATHER_S if not self._ending else 0)  # many rows at once cost hardly more than one
            lines, count = bytearray(), 0
            while self._queue and len(lines) < 1 << 20:
                entry = self._queue.popleft()
                if type(entry) is bytes:
                    lines += entry
                    count += 1
                elif isinstance(entry, _Entry):
                    lines += self._lines(entry.file, entry.rows, entry.predictions, entry.scores, entry.ident, entry.at)
                    count += entry.rows.count
            if count:
                self._write(lines, count)
                self._done += count
            segment = self._segment
            if segment is not None and (
                segment.size >= self._spec.segment_bytes
                or time.monotonic() - segment.began >= self._spec.segment_seconds
                or (self._ending and not self._queue)
            ):
                self._finish()
            if self._ending and not self._queue:
                return
            if self._queue:
                self._wake.set()

    def _lines(
        self, file: VersionFile, rows: Rows, predictions: list[Any] | None, scores: Any, ident: str, at: int
    ) -> bytes:
        layout = self._layout
        if layout is None or layout.file is not file:
            layout = self._layout = Layout(file, self._redact)
        return layout.lines(rows, predictions, scores, ident, at)

    def _write(self, lines: bytearray, count: int) -> None:
        if self.trouble and time.monotonic() < self._retry_at:
            self.dropped += count
            return
        try:
            if self._segment is None:
                self._segment = self._open()
            self._segment.write(lines)
        except OSError as error:
            self.dropped += count
            self._retry_at = time.monotonic() + RETRY_S
            why = f"predictions are not logged: {error.strerror} ({self._folder}); answering goes on"
            if why != self.trouble:
                self.say(why)
            self.trouble = why
            return
        self.logged += count
        if self.trouble:
            self.say(f"predictions are logged again; {self.dropped} rows were not")
            self.trouble = ""

    def _open(self) -> _Segment:
        assert self._folder is not None  # noqa: S101
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._number += 1
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        return _Segment(self._folder / f"{stamp}-{self._writer}-{self._number:06d}{ENDING}{WRITING}")

    def _finish(self) -> None:
        assert self._segment is not None and self._folder is not None  # noqa: S101, PT018
        segment, self._segment = self._segment, None
        try:
            segment.finish()
            forget_oldest(self._folder, self._spec.keep_bytes)
        except OSError as error:
            self.say(f"segment {segment.path.name} could not be finished: {error.strerror}")


class _Segment:
    """A file that is being written; it holds whole lines only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began = time.monotonic()
        self.size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def write(self, lines: bytearray) -> None:
        try:
            done = 0
            while done < len(lines):
                done += os.write(self._file, memoryview(lines)[done:])
        except OSError:
            os.ftruncate(self._file, self.size)  # part of a line may be there
            raise
        self.size += len(lines)

    def finish(self) -> None:
        os.close(self._file)
        if self.size:
            self.path.rename(self.path.with_name(self.path.name.removesuffix(WRITING)))
        else:
            self.path.unlink()
