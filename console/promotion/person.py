"""Who an actor is, whichever machine they sit at."""

from __future__ import annotations


def person(actor: str) -> str:
    """`user@host` is `user`: one who asks on one machine does not approve it on another."""
    return actor.partition("@")[0].strip().casefold()
