"""The promises, in the order in which they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from backends.checks.look import Look

Check = Callable[[Look], str | None]
"""Gives what it was seen by. Raises `Wrong`, `Lacks` or `Unseen`; what the contract's verbs raise is left to fly."""


class Promise(NamedTuple):
    """What an adapter promises, and how to see whether it is so."""

    capability: str
    words: str
    check: Check


PROMISES: list[Promise] = []


def promise(capability: str, words: str) -> Callable[[Check], Check]:
    """The function below sees whether this is so."""

    def keep(check: Check) -> Check:
        PROMISES.append(Promise(capability, words, check))
        return check

    return keep
