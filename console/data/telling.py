"""How far an import is, said at most four times a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from backends.entities import Progress
from console.wording import size, thousands

TELL_EVERY_S = 0.25


class Teller:
    """Counts bytes or rows through the stages of an import."""

    def __init__(self, progress: Callable[[Progress], None] | None) -> None:
        self._progress = progress
        self._size = 0
        self._unit = "bytes"
        self.stage = ""
        self._began = self._told = 0.0
        self._done = 0

    def begin(self, stage: str, whole: int = 0, unit: str = "bytes") -> None:
        """A stage of `whole` bytes or rows; 0 where nobody knows how many."""
        self.stage, self._size, self._unit = stage, whole, unit
        self._began, self._told, self._done = time.monotonic(), 0.0, 0

    def advanced(self, done: int) -> None:
        """What is consumed so far. Called from the thread that reads ahead, so it only takes note."""
        self._done = done

    def fetched(self, done: int, whole: int) -> None:
        self._done, self._size = done, whole
        self.say()

    def say(self) -> None:
        """Tell, unless it was told just now."""
        done, now = self._done, time.monotonic()
        if self._progress is None or now - self._told < TELL_EVERY_S:
            return
        self._told = now
        per_second = done / max(now - self._began, 1e-3)
        rows = self._unit == "rows"
        stage = self.stage
        if not self._size and done:
            stage += f" {thousands(done)} rows" if rows else f" {size(done)}"
        self._progress(
            Progress(
                at=int(time.time() * 1000),
                fraction=min(done / self._size, 1.0) if self._size else None,
                stage=stage,
                rate=f"{thousands(round(per_second))} rows/s" if rows else f"{per_second / 1e6:.1f} MB/s",
                eta_s=max(self._size - done, 0) / per_second if self._size and per_second else None,
            )
        )
