"""Pages of lists that are small enough to hold: datasets, models, monitors, what a journal search found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from backends.contract import END, START, Invalid, NotFound, Page

T = TypeVar("T")


def cut(found: Sequence[T], at: str, limit: int, *, name: Callable[[T], str]) -> Page[T]:
    """The page at a cursor of a list that is filtered and in order already."""
    first = _first(found, at, limit, name)
    last = min(first + limit, _before(found, at, name))
    items = tuple(found[first:last])
    after = first + len(items)
    return Page(
        items=items,
        next=f">{after}~{name(items[-1])}" if items and after < len(found) else None,
        previous=f"<{first}~{name(items[0])}" if items and first > 0 else None,
        first=first,
        total=len(found),
    )


def _before(found: Sequence[T], at: str, name: Callable[[T], str]) -> int:
    """Where a page that comes before another one has to end."""
    number, _, last = at[1:].partition("~")
    if at[:1] != "<" or not (number.isascii() and number.isdigit()):
        return len(found)
    known = next((row for row, record in enumerate(found) if name(record) == last), None)
    return int(number) if known is None else known


def _first(found: Sequence[T], at: str, limit: int, name: Callable[[T], str]) -> int:
    if at == START:
        return 0
    if at == END:
        return max(0, len(found) - limit)
    try:
        if at.startswith("#"):
            return max(0, min(int(at[1:]), len(found)))
        if at.startswith("@"):
            row = next((row for row, record in enumerate(found) if name(record) == at[1:]), None)
            if row is None:
                raise NotFound(f"{at[1:]} is not in this list.")
            return row - row % limit
        if at[:1] in "<>":
            number, _, last = at[1:].partition("~")
            known = next((row for row, record in enumerate(found) if name(record) == last), None)
            if at[0] == ">":
                return min(int(number) if known is None else known + 1, len(found))
            return max(0, (int(number) if known is None else known) - limit)
    except ValueError:
        pass
    raise Invalid(f"{at!r} is no cursor of this list; start again from the first page.", "at")
