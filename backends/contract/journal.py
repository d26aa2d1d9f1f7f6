"""Where changes are written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from backends.contract.mutation import Mutation
from backends.contract.paging import START, Page
from backends.entities import JournalEntry

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
    ) -> JournalEntry:
        """Write what no other verb journals by itself (a failed promotion, a refused one, an acknowledged alert)."""
        ...

    def take_in(self, entries: Sequence[JournalEntry]) -> tuple[JournalEntry, ...]:
        """Write down what others did elsewhere, once it is seen, in one go: who, when, what, why, gates, outcome,
        detail and key are kept as they are, id and place are the journal's. One whose key and action are there already
        comes back as it stands. It undoes nothing."""
        ...

    def verify(self) -> tuple[int, str]:
        """(entries checked, "") when the chain holds, else (entries that hold, a sentence about the first that does
        not)."""
        ...
