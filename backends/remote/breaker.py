"""Whether a server is there: after a failure everybody else is spared the wait until it makes sense to ask again."""

from __future__ import annotations

import random
import threading
import time
from typing import Final

from backends.contract import Unreachable
from backends.entities import Millis
from backends.remote.doubt import NotDone

LONGEST_PAUSE_S: Final = 60.0


class Breaker:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self.last_good: Millis | None = None
        self._guard = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0
        self._trouble: Unreachable | None = None

    @property
    def open(self) -> bool:
        """The last request found nobody."""
        return self._trouble is not None

    def trouble(self) -> Unreachable | None:
        """What keeps us from asking at this moment."""
        with self._guard:
            found = self._trouble
            if found is None or time.monotonic() >= self._retry_at:
                return None
            kind = type(found) if isinstance(found, NotDone) else NotDone
            return kind(str(found), found.retry_at, self.last_good)

    def pause(self) -> float:
        """Seconds until it makes sense to ask again."""
        return max(0.0, self._retry_at - time.monotonic())

    def force(self) -> None:
        """Let the next one through."""
        with self._guard:
            self._retry_at = 0.0

    def there(self) -> None:
        """It answers, if only that it will not."""
        with self._guard:
            self._failures, self._retry_at, self._trouble = 0, 0.0, None

    def worked(self) -> None:
        with self._guard:
            self._failures, self._retry_at, self._trouble = 0, 0.0, None
            self.last_good = time.time_ns() // 1_000_000

    def failed(self, error: Unreachable) -> Unreachable:
        """Note the failure; the same with the time at which to ask again."""
        with self._guard:
            self._failures = min(self._failures + 1, 60)
            pause = min(LONGEST_PAUSE_S, 2.0 ** (self._failures - 1)) * random.uniform(0.8, 1.2)  # noqa: S311
            now = time.time_ns() // 1_000_000
            if error.retry_at is not None:
                pause = max(pause, (error.retry_at - now) / 1000)
            self._retry_at = time.monotonic() + pause
            self._trouble = type(error)(str(error), now + int(pause * 1000), self.last_good)
            return self._trouble
