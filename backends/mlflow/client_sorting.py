"""Whether an MLflow server may be asked to sort its runs by a metric.

On SQLite without statistics that takes a time quadratic in the number of runs, minutes at a hundred thousand, and the
server goes on when nobody waits any more. So a small part is sorted first: what a run more costs tells what all of
them would. What is tried all the same has a time limit, and what was too slow is remembered for a day.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from backends.mlflow.client_room import Room

LIMIT_S: Final = 5.0
"""So long a sort may take."""
EXPECTED_S: Final = 2.5
"""A sort that will take longer is not begun."""
SLOW_S: Final = 0.7
"""A server that takes so long for a plain answer is not asked to sort."""
FEW: Final = 4
MANY: Final = 48
NOISE_S: Final = 0.03
REMEMBERED_MS: Final = 24 * 3_600_000
_FACT: Final = "too slow to sort by a metric"


class Sorting:
    """What is known of one server's sorting."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._quick: set[str] = set()
        """Orders that it has shown to be quick at, since the console was opened."""

    @property
    def refused(self) -> bool:
        """It is known to be too slow, today, or slow in all it answers just now."""
        return self._room.transport.seconds > SLOW_S or self._room.state.knows(_FACT, REMEMBERED_MS)

    def may(self, order: str, sorts: Callable[[int], float | None], more_than: Callable[[int], bool]) -> bool:
        """`sorts` gives the seconds that it takes to sort so many of the newest runs, None where that is too long;
        `more_than` whether the server has more runs than that."""
        if order in self._quick or self._room.server.own:
            return True
        if self.refused:
            return False
        few = sorts(FEW)
        many = sorts(MANY) if few is not None else None
        if few is None or many is None:
            self.too_slow(order)
            return False
        if many - few > NOISE_S:
            rows = 100_000 if more_than(30_000) else 30_000 if more_than(3_000) else 3_000
            if few + (many - few) / (MANY - FEW) * rows > EXPECTED_S:
                self.too_slow(order)
                return False
        self._quick.add(order)
        return True

    def too_slow(self, order: str) -> None:
        """Remembered, for every console that shares the sidecar."""
        self._quick.discard(order)
        self._room.state.learn(_FACT)
