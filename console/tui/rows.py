"""Where a table's rows come from: pages of a backend, or a list in memory.

A source is asked from a worker thread and never touches a widget. A page is asked for at a cursor of the contract:
START, END, `#N`, `@ID`, or what an earlier page gave.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from backends.contract import END, START, Count, NotFound, Page

R = TypeVar("R")


class RowSource(Protocol[R]):
    """A list that is read page by page. `page` and `count` block and are called in threads."""

    seek: bool
    """Whether `#N` and `@ID` are understood."""

    frugal: bool
    """Each page costs a server something: only what is on the screen is asked for, from a row number on."""

    def key(self, row: R) -> str:
        """The row's identity: what the cursor and the marks hold on to."""
        ...

    def page(self, at: str, limit: int) -> Page[R]: ...

    def cached(self, at: str, limit: int) -> Page[R] | None:
        """The same page if it is at hand without asking anybody."""
        ...

    def count(self) -> Count | None:
        """How many rows there are, or None where nobody counts."""
        ...

    def forget(self) -> None:
        """What is cached may be stale."""
        ...


class PagedRows(Generic[R]):
    """Pages of a backend, with the last few kept.

    `PagedRows(lambda at, limit: store.page(query, at=at, limit=limit), lambda run: run.id, seek=True, count=…)`
    """

    def __init__(
        self,
        fetch: Callable[[str, int], Page[R]],
        key: Callable[[R], str],
        *,
        seek: bool = False,
        count: Callable[[], Count] | None = None,
        keep: int = 24,
        frugal: bool = False,
    ) -> None:
        self._fetch = fetch
        self._key = key
        self._count = count
        self._keep = keep
        self._epoch = 0
        self._pages: OrderedDict[tuple[str, int], Page[R]] = OrderedDict()
        self.seek = seek
        self.frugal = frugal

    def key(self, row: R) -> str:
        return self._key(row)

    def page(self, at: str, limit: int) -> Page[R]:
        found = self.cached(at, limit)
        if found is not None:
            return found
        epoch = self._epoch
        page = self._fetch(at, limit)
        if epoch == self._epoch:  # else it was asked before `forget`, and is shown but not kept
            self._pages[at, limit] = page
            while len(self._pages) > self._keep:
                self._pages.popitem(last=False)
        return page

    def cached(self, at: str, limit: int) -> Page[R] | None:
        page = self._pages.get((at, limit))
        if page is not None:
            try:
                self._pages.move_to_end((at, limit))
            except KeyError:  # another thread let it go meanwhile
                pass
        return page

    def count(self) -> Count | None:
        return self._count() if self._count else None

    def forget(self) -> None:
        self._epoch += 1
        self._pages = OrderedDict()


class ListRows(Generic[R]):
    """A short list held in memory, offered as pages."""

    seek = True
    frugal = False

    def __init__(self, items: Iterable[R], key: Callable[[R], str]) -> None:
        self._key = key
        self._items: tuple[R, ...] = tuple(items)

    @property
    def items(self) -> tuple[R, ...]:
        return self._items

    def key(self, row: R) -> str:
        return self._key(row)

    def replace(self, items: Iterable[R]) -> None:
        """New content; the table learns of it by `refresh_rows`."""
        self._items = tuple(items)

    def sorted_by(self, value: Callable[[R], object], descending: bool) -> ListRows[R]:
        """A source with the rows in this order; rows without a value stand last either way."""
        return ListRows(ordered(self._items, value, descending), self._key)

    def page(self, at: str, limit: int) -> Page[R]:
        items = self._items
        if at == START:
            first = 0
        elif at == END:
            first = max(0, len(items) - limit)
        elif at.startswith("#"):
            first = min(max(0, int(at[1:])), max(0, len(items) - 1))
        elif at.startswith("@"):
            position = next((i for i, row in enumerate(items) if self._key(row) == at[1:]), None)
            if position is None:
                raise NotFound(f"{at[1:]}: not in this list")
            first = max(0, position - limit // 2)
        else:
            raise NotFound(f"{at}: not a place in this list")
        last = min(len(items), first + limit)
        return Page(
            items=items[first:last],
            next=f"#{last}" if last < len(items) else None,
            # A page of another length would overlap with this one.
            previous=f"#{max(0, first - limit)}" if first > 0 else None,
            first=first,
            total=len(items),
        )

    def cached(self, at: str, limit: int) -> Page[R] | None:
        try:
            return self.page(at, limit)
        except NotFound:
            return None

    def count(self) -> Count:
        return Count(value=len(self._items))

    def forget(self) -> None:
        """Nothing is cached."""


def ordered(items: Sequence[R], value: Callable[[R], object], descending: bool) -> list[R]:
    """The items by value: numbers before text, nothing last, equals as they were."""
    valued: list[tuple[object, R]] = []
    empty: list[tuple[object, R]] = []
    for item in items:
        found = value(item)
        (empty if found is None or found != found else valued).append((found, item))

    def rank(pair: tuple[object, R]) -> tuple[int, float, str]:
        found = pair[0]
        if isinstance(found, int | float):
            return (0, float(found), "")
        return (1, 0.0, str(found).casefold())

    valued.sort(key=rank, reverse=descending)
    return [item for _, item in valued] + [item for _, item in empty]
