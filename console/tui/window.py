"""The stretch of a long list that a table holds: whole pages, without a gap, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from backends.contract import Page

R = TypeVar("R")


class RowWindow(Generic[R]):
    """Neighbouring pages of one list. Rows are numbered from the window's own start."""

    def __init__(self, key: Callable[[R], str], most: int = 10) -> None:
        self._key = key
        self._most = most
        self._pages: list[tuple[str, Page[R]]] = []
        self.rows: list[R] = []
        self.keys: list[str] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def next(self) -> str | None:
        return self._pages[-1][1].next if self._pages else None

    @property
    def previous(self) -> str | None:
        return self._pages[0][1].previous if self._pages else None

    @property
    def first(self) -> int | None:
        """Number in the whole list of the window's row 0."""
        if not self._pages:
            return None
        if self.previous is None:
            return 0
        passed = 0
        for _, page in self._pages:
            if page.first is not None:
                return max(0, page.first - passed)
            passed += len(page.items)
        return None

    @property
    def counted(self) -> int | None:
        """Number in the whole list of the window's row 0, where its page told it."""
        return self._pages[0][1].first if self._pages else None

    @property
    def total(self) -> int | None:
        """Rows in the whole list, if a page said so or the window reaches both ends."""
        if self._pages and self.next is None and self.previous is None:
            return len(self.rows)
        return next((page.total for _, page in self._pages if page.total is not None), None)

    def place(self, key: str) -> int | None:
        """Where the row with this identity stands in the window."""
        return self._places.get(key)

    def replace(self, pages: Sequence[tuple[str, Page[R]]]) -> None:
        """Hold these neighbouring pages instead: (the cursor each was asked at, the page)."""
        self._pages = list(pages)
        self._rebuild()

    def append(self, at: str, page: Page[R]) -> int:
        """Hold the page after the last one; gives how many rows were let go at the front."""
        self._pages.append((at, self._news(page)))
        dropped = 0
        while len(self._pages) > self._most:
            dropped += len(self._pages.pop(0)[1].items)
        self._rebuild()
        return dropped

    def prepend(self, at: str, page: Page[R]) -> int:
        """Hold the page before the first one; gives how many rows the old ones moved down."""
        fresh = self._news(page)
        self._pages.insert(0, (at, fresh))
        while len(self._pages) > self._most:
            self._pages.pop()
        self._rebuild()
        return len(fresh.items)

    def pages_over(self, first: int, last: int) -> tuple[str, int]:
        """The cursor of the page with row `first`, and how many pages reach to row `last`."""
        start, begin, count = 0, "", 0
        for at, page in self._pages:
            end = start + len(page.items)
            if end > first and start <= last:
                if not count:
                    begin = at
                count += 1
            start = end
        return begin, max(1, count)

    def _news(self, page: Page[R]) -> Page[R]:
        """The page without rows that the window holds: a row that moved between two questions is shown once."""
        items = tuple(row for row in page.items if self._key(row) not in self._places)
        return page if len(items) == len(page.items) else msgspec.structs.replace(page, items=items)

    def _rebuild(self) -> None:
        self.rows, self.keys = [], []
        for _, page in self._pages:
            self.rows.extend(page.items)
        self.keys = [self._key(row) for row in self.rows]
        self._places = {key: place for place, key in enumerate(self.keys)}
