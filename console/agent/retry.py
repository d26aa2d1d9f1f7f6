"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import time


class Backoff:
    """Doubles from `first` to `longest` seconds with every failure, and forgets after a success."""

    def __init__(self, first: float = 1.0, longest: float = 60.0) -> None:
        self._first = first
        self._longest = longest
        self.failures = 0
        self.due_at = 0.0
        """On the monotonic clock."""

    def failed(self) -> float:
        """The seconds to wait."""
        pause = min(self._first * 2.0**self.failures, self._longest)
        self.failures += 1
        self.due_at = time.monotonic() + pause
        return pause

    def succeeded(self) -> None:
        self.failures = 0
        self.due_at = 0.0

    @property
    def due(self) -> bool:
        return time.monotonic() >= self.due_at
