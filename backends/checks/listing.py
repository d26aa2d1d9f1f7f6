"""A list of the contract, as the checks see it, and its first rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from backends.checks.finding import Unseen
from backends.checks.look import MANY, Look
from backends.contract import START, Page


class Listing(NamedTuple):
    """A list of the contract."""

    capability: str
    noun: str
    kind: type
    fetch: Callable[[Look, str, int], Page[Any]]
    name: Callable[[Any], str]
    by: Callable[[Any], Any] | None = None
    """By what it is ordered where nothing is asked; None where the contract leaves that open."""
    falling: bool = False
    order: str = ""
    get: Callable[[Look, Any], Any] | None = None
    lost: tuple[Callable[[Look], Any], ...] = ()
    """Verbs that have to say NotFound."""
    same: tuple[str, ...] = ()
    """Fields that a row and the record by itself have alike. What may move meanwhile is not among them."""


def unknown() -> str:
    """A name that nothing has."""
    return f"absent-{uuid.uuid4().hex}"


def rows(look: Look, listing: Listing) -> list[Any]:
    """The first rows of the list."""
    look.the(listing.capability)
    return list(first_page(look, listing).items)


def first_page(look: Look, listing: Listing) -> Page[Any]:
    return look.once(("first", listing.noun), lambda: listing.fetch(look, START, MANY))


def some(look: Look, listing: Listing) -> list[Any]:
    """The same, or that there are none."""
    found = rows(look, listing)
    if not found:
        raise Unseen(f"there are no {listing.noun}")
    return found
