"""Where changes are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from backends.contract.mutation import Mutation
from backends.contract.paging import START, Page
from backends.entities import JournalEntry, Millis

if TYPE_CHECKING:
    from backends.query import Query


class Journal(Protocol):
    """Every change, chained by hash."""

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[JournalEntry]:
        """Newest first without an order."""
        ...

    def get(self, entry: str) -> JournalEntry: ...

    def record(
        self,
        action: str,
        target: str,
        mutation: Mutation,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        outcome: str = "done",
        detail: str = "",
        at: Millis | None = None,
    ) -> JournalEntry:
        """Write what no other verb journals by itself (a failed promotion, a refused one, an acknowledged alert).

        `at` is when it happened, where that was not just now: somebody did it elsewhere, and it is written down once
        seen.
        """
        ...

    def verify(self) -> tuple[int, str]:
        """(entries checked, "") when the chain holds, else (entries that hold, a sentence about the first that does
        not)."""
        ...
