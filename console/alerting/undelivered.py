"""That a message did not get through, and whether another try can help."""

from __future__ import annotations

import re


def plainly(error: BaseException) -> str:
    """What the system said, without the number that it has for it."""
    return re.sub(r"\[Errno -?\d+\] ", "", str(error))


class Undelivered(Exception):
    """Its text says what was wanted and what the other end said; it holds no secret."""

    def __init__(self, text: str, *, final: bool = False, wait: float = 0.0) -> None:
        super().__init__(text)
        self.final = final
        """The same message will be refused again."""
        self.wait = wait
        """Seconds that the other end asked to be left alone."""
