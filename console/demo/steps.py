"""What the making of the demo is at, as requests that everyone on the workspace sees.

Each step is a request of its own, claimed while it lasts: the overview lists those as it lists anybody's.
"""

from __future__ import annotations

import os

from backends.contract import RequestQueue
from backends.entities import Request

KIND = "demo.prepare"
TITLE = "making the demo"


class Steps:
    """One step after the other; what a maker before us left open is closed first."""

    def __init__(self, requests: RequestQueue, actor: str, count: int) -> None:
        self._requests = requests
        self._actor = actor
        self._count = count
        self._done = 0
        self._current: Request | None = None
        for left in requests.list(states=("claimed",), kind=KIND):
            requests.finish(left.id, error="its process ended before it was done")
        for waiting in requests.list(states=("waiting",), kind=KIND):
            requests.cancel(waiting.id)

    def begin(self, step: str) -> None:
        """The step before is done."""
        self.end()
        announce(self._requests, self._actor, step, self._done / self._count)
        self._current = self._requests.claim(f"{self._actor} process {os.getpid()}", (KIND,))
        self._done = min(self._done + 1, self._count)

    def end(self, error: str = "") -> None:
        if self._current is not None:
            self._requests.finish(self._current.id, error=error)
            self._current = None


def announce(requests: RequestQueue, actor: str, step: str, fraction: float = 0.0) -> None:
    """A step that somebody will claim."""
    payload = {"title": TITLE, "step": step, "fraction": round(fraction, 3)}
    requests.add(KIND, payload, key="", created_by=actor)
