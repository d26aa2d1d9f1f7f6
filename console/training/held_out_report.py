"""What a report on held-out rows says. Light: no numbers are crunched here."""

from __future__ import annotations

from typing import Final

import msgspec

from backends.entities import Estimate, Record

KIND: Final = "held-out"
"""Of the report, whose `digest` is that of the model's file."""


class WorseSlice(Record, frozen=True, kw_only=True):
    """A part of the held-out rows with a surely higher loss than the rest."""

    where: str
    rows: int
    ratio: float
    """Of its mean loss to that of all rows."""


class HeldOutFigures(Record, frozen=True, kw_only=True):
    """`Report.figures` of this kind."""

    metrics: dict[str, Estimate] = msgspec.field(default_factory=dict)
    """Each with its 95 % interval."""
    how: str = ""
    slices: tuple[WorseSlice, ...] = ()
    """The worst first."""
    sliced: bool = False
    """They were looked for."""
    periods: dict[str, tuple[str, str]] = msgspec.field(default_factory=dict)
    """`training`, `test` → first and last time, ISO."""
