"""What came of one promise, and how a check says it."""

from __future__ import annotations

from enum import StrEnum

from backends.entities import Record


class Verdict(StrEnum):
    """What came of one promise."""

    OK = "ok"
    LACKS = "lacks"
    """The backend says that it has no such thing, and why."""
    WRONG = "wrong"
    """It does something else than the contract says."""
    UNSEEN = "unseen"
    """Nothing was there to see it by, or nothing answered."""


class Finding(Record, frozen=True, kw_only=True):
    """One promise, and what came of it."""

    capability: str
    """Field of `Backend`; `backend` for the whole."""
    promise: str
    verdict: Verdict
    said: str = ""
    """What it was seen by; of what is lacking or unseen, why."""
    wanted: str = ""
    found: str = ""
    """Of what is wrong: what the promise wants, and what was there."""
    away: bool = False
    """Nothing answered."""
    calls: int = 0
    """Verbs of the contract that were called for it."""
    seconds: float = 0.0

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        if self.verdict is Verdict.WRONG:
            return f"{self.promise}: wanted {self.wanted}; found {self.found}"
        return f"{self.promise}: {self.said}" if self.said else self.promise


class Wrong(Exception):
    """A promise is broken."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"wanted {wanted}; found {found}")
        self.wanted = wanted
        self.found = found


class Lacks(Exception):
    """The backend says that it has no such thing: why."""


class Unseen(Exception):
    """There is nothing to see it by: what is wanting."""


class Spent(Unseen):
    """No question is left."""


def shown(value: object, most: int = 120) -> str:
    """A value within a sentence."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: list[str], most: int = 4) -> str:
    """Some names within a sentence."""
    few = ", ".join(shown(name, 60) for name in names[:most])
    return f"{few} and {len(names) - most} more" if len(names) > most else few or "none"
