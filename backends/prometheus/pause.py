"""After a failure everybody is spared the wait until it makes sense to ask again; the pause doubles up to a minute."""

from __future__ import annotations

import random
import threading
import time
from typing import Final

from backends.contract import Unreachable
from backends.entities import Millis

LONGEST_S: Final = 60.0


class Pause:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._failures = 0
        self._until = 0.0
        self._error: Unreachable | None = None
        self._last_good: Millis | None = None

    def check(self) -> None:
        """Raise the failure of before while the pause lasts."""
        with self._guard:
            found = self._error
            if found is not None and time.monotonic() < self._until:
                raise Unreachable(str(found), found.retry_at, self._last_good)

    def answered(self) -> None:
        """It is there, if only to say no."""
        with self._guard:
            self._failures, self._error, self._last_good = 0, None, time.time_ns() // 1_000_000

    def failed(self, error: Unreachable) -> Unreachable:
        """Note the failure; the same with the time at which to ask again."""
        with self._guard:
            self._failures = min(self._failures + 1, 30)
            pause = min(LONGEST_S, 2.0 ** (self._failures - 1)) * random.uniform(0.8, 1.2)  # noqa: S311
            now = time.time_ns() // 1_000_000
            if error.retry_at is not None:
                pause = max(pause, (error.retry_at - now) / 1000)
            self._until = time.monotonic() + pause
            self._error = Unreachable(str(error), now + int(pause * 1000), self._last_good)
            return self._error
