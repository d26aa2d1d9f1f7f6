"""Asking again for the rows that are on the screen, so that they can stay where they are."""

from __future__ import annotations

from typing import TypeVar

from backends.contract import START, NotFound, Page
from console.tui.rows import RowSource

R = TypeVar("R")


def reload(
    source: RowSource[R], at: str, pages: int, anchor: str | None, limit: int, height: int
) -> list[tuple[str, Page[R]]]:
    """The pages from `at` on that hold the anchor and a screen below it; where it has moved far, the page around it."""
    try:
        return _chain(source, at, pages, anchor, limit, height)
    except NotFound:
        if at == START:
            raise
        return _chain(source, START, 1, None, limit, height)


def _chain(
    source: RowSource[R], at: str, pages: int, anchor: str | None, limit: int, height: int
) -> list[tuple[str, Page[R]]]:
    found: list[tuple[str, Page[R]]] = []
    behind: int | None = None
    next_at: str | None = at
    while next_at is not None:
        page = source.page(next_at, limit)
        found.append((next_at, page))
        if behind is not None:
            behind += len(page.items)
        else:
            place_ = next((i for i, row in enumerate(page.items) if source.key(row) == anchor), None)
            behind = None if place_ is None else len(page.items) - place_
        if len(found) >= pages and (anchor is None or (behind or 0) >= height):
            return found
        if behind is None and len(found) >= pages + 1:
            break
        next_at = page.next
    if anchor is not None and behind is None and source.seek:
        try:
            return [("@" + anchor, source.page("@" + anchor, limit))]
        except NotFound:
            pass  # it has gone for good
    return found
