"""Lists are pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from backends.entities import Record

T = TypeVar("T")


START = ""


END = "$"


class Page(Record, Generic[T], frozen=True, kw_only=True):
    """A stretch of a list, in the order asked for."""

    items: tuple[T, ...]
    next: str | None = None
    """Cursor of what follows, None at the end."""
    previous: str | None = None
    """Cursor of what comes before, None at the start, and where a list goes forward only."""
    first: int | None = None
    """Row number of `items[0]`, where known."""
    total: int | None = None
    note: str = ""
    """What a person should know of this list, as half a sentence: "among the newest 1 000 runs". Empty when it is
    simply what was asked for."""


class Count(Record, frozen=True, kw_only=True):
    """How many rows a query has; `exact` is False when counting stopped at the limit."""

    value: int
    exact: bool = True


def all_pages(fetch: Callable[[str], Page[T]]) -> Iterable[T]:
    """Every item of a paged list, page by page: `all_pages(lambda at: store.page(query, at=at))`."""
    at: str | None = START
    while at is not None:
        page = fetch(at)
        yield from page.items
        at = page.next
