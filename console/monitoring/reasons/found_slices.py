"""What a search for slices finds: plain records."""

from __future__ import annotations

from backends.entities import Record


class Slice(Record, frozen=True, kw_only=True):
    """A part of the rows that is answered worse than the rest."""

    where: str
    """A condition in the query language."""
    depth: int
    rows: int
    share: float
    """Of the labelled rows of the sample."""
    error: float
    rest: float
    """Mean error of all other rows: share of wrong answers, or of a regression the mean absolute error."""
    effect: float
    contribution: float
    """Share of all the error that would be gone, were the part answered like the rest."""
    p_value: float
    q_value: float
    text: str


class Slices(Record, frozen=True, kw_only=True):
    """What was found, worst first."""

    monitor: str
    what: str
    """`error rate` or `absolute error`."""
    rows: int
    """Labelled rows that were sampled."""
    tried: int
    error: float | None = None
    """Of all of them."""
    slices: tuple[Slice, ...] = ()
    notes: tuple[str, ...] = ()
