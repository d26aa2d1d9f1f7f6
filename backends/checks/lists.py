"""What every list promises: pages, order, and that each of its rows can be asked for by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, Final

from backends.checks.finding import Lacks, Unseen, Wrong, listed, shown
from backends.checks.listing import Listing, first_page, some
from backends.checks.listings import LISTINGS
from backends.checks.look import Look
from backends.checks.promise import promise
from backends.checks.records import check_record
from backends.contract import END, START, Invalid, NotFound, Page

_STEP: Final = 7
_PAGES: Final = 6
NOBODY: Final = "nobody-gave-this-cursor"


def limit_holds(listing: Listing, look: Look) -> str:
    some(look, listing)
    for limit in (1, 3):
        page = listing.fetch(look, START, limit)
        if not isinstance(page, Page):
            raise Wrong("a Page", f"a {type(page).__name__}")
        if not 1 <= len(page.items) <= limit:
            raise Wrong(f"1 to {limit} {listing.noun} for limit={limit}", f"{len(page.items)}")
    return ""


def once_each(listing: Listing, look: Look) -> str:
    whole = [listing.name(row) for row in some(look, listing)]
    step = max(1, min(_STEP, len(whole) // 3))
    pages = _walk(look, listing, step)
    walked = [listing.name(row) for page in pages for row in page.items]
    twice = sorted({name for name in walked if walked.count(name) > 1})
    if twice:
        raise Wrong(f"each of the {listing.noun} once over pages of {step}", f"{listed(twice)} more than once")
    seen = min(len(walked), len(whole))
    if walked[:seen] != whole[:seen]:
        lost = [name for name in whole[:seen] if name not in walked]
        what = f"{listed(lost)} left out" if lost else "another order"
        raise Wrong(f"the same {seen} {listing.noun} by pages of {step} as by one page", what)
    ended = pages[-1].next is None
    if first_page(look, listing).next is None and (not ended or len(walked) < len(whole)):
        raise Wrong(f"all {len(whole)} {listing.noun} by pages of {step}", f"{len(walked)}, and the walk goes on")
    return f"{len(walked)} {listing.noun} over {len(pages)} pages"


def _walk(look: Look, listing: Listing, step: int) -> list[Page[Any]]:
    def ask() -> list[Page[Any]]:
        pages: list[Page[Any]] = []
        at: str | None = START
        while at is not None and len(pages) < _PAGES:
            pages.append(listing.fetch(look, at, step))
            at = pages[-1].next
        return pages

    return look.once(("walk", listing.noun, step), ask)


def back_again(listing: Listing, look: Look) -> str:
    whole = some(look, listing)
    step = max(1, min(_STEP, len(whole) // 3))
    pages = _walk(look, listing, step)
    if len(pages) < 2 or not pages[1].items:
        raise Unseen(f"there is one page of {listing.noun}")
    if pages[0].previous is not None:
        raise Wrong("previous=None for the first page", shown(pages[0].previous))
    before = pages[1].previous
    if before is None:
        raise Lacks(f"the list of {listing.noun} goes forward only")
    back = [listing.name(row) for row in listing.fetch(look, before, step).items]
    if back != (forth := [listing.name(row) for row in pages[0].items]):
        raise Wrong(f"{listed(forth)} before the second page", listed(back))
    return ""


def the_end(listing: Listing, look: Look) -> str:
    whole = some(look, listing)
    page = listing.fetch(look, END, 3)
    if page.next is not None:
        raise Wrong("next=None for the last page", shown(page.next))
    if not 1 <= len(page.items) <= 3:
        raise Wrong("1 to 3 rows at the end", f"{len(page.items)}")
    if first_page(look, listing).next is None:
        names, last = [listing.name(row) for row in whole], [listing.name(row) for row in page.items]
        if sorted(last) != sorted(names[-len(last) :]):
            raise Wrong(f"{listed(names[-len(last) :])} at the end", listed(last))
    return ""


def no_such_cursor(listing: Listing, look: Look) -> str:
    look.the(listing.capability)
    some(look, listing)
    try:
        page = listing.fetch(look, NOBODY, 3)
    except Invalid:
        return ""
    raise Wrong("Invalid for a cursor that nobody gave", f"a page of {len(page.items)}")


def in_order(listing: Listing, by: Callable[[Any], Any], look: Look) -> str:
    found = some(look, listing)
    if len(found) < 2:
        raise Unseen(f"there is one of the {listing.noun}")
    for one, other in pairwise(found):
        a, b = by(one), by(other)
        if (a < b) if listing.falling else (a > b):
            raise Wrong(listing.order, f"{shown(listing.name(one), 60)} before {shown(listing.name(other), 60)}")
    return f"{len(found)} {listing.noun}"


def well_formed(listing: Listing, look: Look) -> str:
    found = some(look, listing)
    for row in found:
        check_record(row, listing.kind, shown(listing.name(row), 60))
    return f"{len(found)} {listing.noun}"


def by_itself(listing: Listing, get: Callable[[Look, Any], Any], look: Look) -> str:
    found = some(look, listing)
    for row in {0: found[0], 1: found[len(found) // 2], 2: found[-1]}.values():
        alone = get(look, row)
        check_record(alone, listing.kind, shown(listing.name(row), 60))
        for field in listing.same:
            here, there = getattr(row, field), getattr(alone, field)
            if here != there:
                raise Wrong(
                    f"{field} {shown(here)} of {shown(listing.name(row), 60)}, as the list tells",
                    f"{shown(there)} when it is asked for by itself",
                )
    return ""


def not_there(listing: Listing, look: Look) -> str:
    look.the(listing.capability)
    for ask in listing.lost:
        try:
            found = ask(look)
        except NotFound as error:
            if not str(error).strip():
                raise Wrong("a sentence with NotFound", "an empty one") from error
            continue
        raise Wrong("NotFound for what is not there", shown(found))
    return f"{len(listing.lost)} ways"


for _each in LISTINGS:
    for _words, _check in (
        ("the fields of {} hold what they are declared to, times in milliseconds", well_formed),
        ("a page holds no more {} than its limit", limit_holds),
        ("pages hold each of the {} once, in one order", once_each),
        ("before a page of {} comes the page before it", back_again),
        ("the last page of {} ends the list", the_end),
        ("a cursor of {} that nobody gave is Invalid", no_such_cursor),
    ):
        promise(_each.capability, _words.format(_each.noun))(partial(_check, _each))
    if _each.by is not None:
        promise(_each.capability, f"{_each.noun} come {_each.order}")(partial(in_order, _each, _each.by))
    if _each.get is not None:
        promise(_each.capability, f"one of the {_each.noun} by itself is as in the list")(
            partial(by_itself, _each, _each.get)
        )
    if _each.lost:
        promise(_each.capability, f"of the {_each.noun} what is not there is NotFound")(partial(not_there, _each))
