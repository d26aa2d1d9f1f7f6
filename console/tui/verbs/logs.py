"""Moving through a log: hits, errors, levels, places."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from console.safe import safe_text
from console.training.log.levels import Level, level_named
from console.tui.dialogs import Ask

if TYPE_CHECKING:
    from console.tui.here import Here
    from console.tui.log_view import LogView


def _log(here: Here) -> LogView | None:
    found: LogView | None = getattr(here.view, "log_shown", None)
    return found


def next_hit(here: Here) -> None:
    if log := _log(here):
        log.again(1)


def previous_hit(here: Here) -> None:
    if log := _log(here):
        log.again(-1)


def find(here: Here) -> None:
    if log := _log(here):
        log.focus(scroll_visible=False)
        if here.argument:
            log.look_for(here.argument)
        else:
            log.action_search()
        here.app.refresh_frame()


def next_error(here: Here) -> None:
    if log := _log(here):
        log.next_error(1)
        here.app.refresh_frame()


def previous_error(here: Here) -> None:
    if log := _log(here):
        log.next_error(-1)
        here.app.refresh_frame()


def level(here: Here) -> None:
    log = _log(here)
    if log is None:
        return
    if not here.argument:
        log.next_level()
        return
    named = level_named(here.argument)
    if named is None and here.argument.casefold() != "all":
        names = ", ".join(each.word for each in Level)
        here.app.tell(f"level: there is no {safe_text(here.argument, 20)}; there are all, {names}", severity="warning")
        return
    log.show_level(named)


def wrap(here: Here) -> None:
    if log := _log(here):
        log.wrap()


async def go_to_place(here: Here) -> None:
    log = _log(here)
    if log is None:
        return
    text = here.argument or await here.app.ask(Ask("Go to a place in the log", "place", "50 %", check=_check))
    if not text:
        return
    if wrong := _check(text):
        here.app.tell(wrong, severity="warning")
        return
    place = place_in(text)
    if place is not None:
        log.go_to(place)


def _check(text: str) -> str:
    return "" if place_in(text) is not None else "a share such as 50 %, or a byte such as 1200000, is wanted"


def place_in(text: str) -> float | int | None:
    """`50 %` is 0.5 of it, `1 200 000` a byte."""
    plain = re.sub(r"[\s\u2009]", "", text)
    share = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", plain)
    if share is not None and float(share[1]) <= 100:
        return float(share[1]) / 100
    return int(plain) if plain.isdecimal() and len(plain) < 17 else None
