"""Failures of a request by what is known of it: surely not carried out, or perhaps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from backends.contract import Unreachable

AGAIN: Final = "; try again later"


class NotDone(Unreachable):
    """What was asked for was not carried out: it never reached the server."""


class TurnedAway(NotDone):
    """Not carried out: something before the server, or its door, said no; the message says what to change."""


class Crowded(NotDone):
    """Not carried out: earlier questions were not answered in time, so that this one never went out."""


class Broken(Unreachable):
    """The connection ended before the answer did."""


class Uncertain(Unreachable):
    """A change was asked for, and no answer tells whether it was made."""


def nothing_done(away: Unreachable) -> NotDone:
    """Of a change that was not made."""
    more = "" if isinstance(away, TurnedAway) else ". Try again later"
    return type(away if isinstance(away, NotDone) else NotDone(""))(
        f"{str(away).removesuffix(AGAIN)}; nothing was changed{more}", away.retry_at, away.since
    )


def perhaps_done(away: Unreachable) -> Uncertain:
    """Of a change of which nobody can say whether it was made."""
    return Uncertain(
        f"{str(away).removesuffix(AGAIN)}; whether the change was made cannot be told. Look again when it is back, "
        "before you repeat it",
        away.retry_at,
        away.since,
    )


@contextmanager
def told_of_a_change() -> Iterator[None]:
    """Whether what is inside was carried out, in the error that it ends with."""
    try:
        yield
    except Uncertain:
        raise
    except NotDone as unsent:
        raise nothing_done(unsent) from None
    except Unreachable as away:
        raise perhaps_done(away) from None
