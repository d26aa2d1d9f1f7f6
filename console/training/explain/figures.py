"""What an explanation says. Light: no numbers are crunched here."""

from __future__ import annotations

from typing import Final

from backends.entities import Record
from console.training.held_out_report import WorseSlice

KIND: Final = "explain"
"""Of the report that is kept, whose `digest` is that of the model's file."""
ONE: Final = "prediction"
"""Of a report on one prediction, which is not kept."""


class ExplainJob(Record, frozen=True, kw_only=True):
    """What is to be explained."""

    model: str
    version: str
    """A number, or @alias."""
    columns: tuple[str, ...] = ()
    """Whose curves are wanted; none for those of the most important ones."""
    row: int | None = None
    """One prediction: this row of the dataset version it was held against, or of `file`, from 0."""
    file: str = ""
    """CSV, Parquet, JSON or JSON lines that holds the row."""
    prediction: str = ""
    """The row of `file` whose `prediction.id` is this."""


class Importance(Record, frozen=True, kw_only=True):
    """How much worse the primary metric gets when a column's values are shuffled among the rows."""

    column: str
    fall: float
    """Mean over the repeats; positive where the column helps."""
    spread: float
    """Standard deviation over the repeats."""


class Curve(Record, frozen=True, kw_only=True):
    """The mean score of the rows, if a column had this value in all of them."""

    column: str
    values: tuple[float, ...] = ()
    """Of a number, ascending; empty for text."""
    levels: tuple[str, ...] = ()
    """Of text, the most frequent first."""
    means: tuple[float, ...]


class Explanation(Record, frozen=True, kw_only=True):
    """`Report.figures` of `explain`."""

    metric: str
    whole: float
    """The metric on the rows that were used."""
    rows: int
    repeats: int
    importance: tuple[Importance, ...] = ()
    """The largest fall first."""
    curves: tuple[Curve, ...] = ()
    score: str = ""
    """What the curves' means are of: `probability of 1`, `prediction`, …"""
    slices: tuple[WorseSlice, ...] = ()


class Moved(Record, frozen=True, kw_only=True):
    """How far one column moved one prediction away from the mean over the background rows."""

    column: str
    value: str
    """In this row, as a person reads it."""
    by: float
    spread: float
    """Standard error; 0 where all orders were counted."""


class PredictionExplained(Record, frozen=True, kw_only=True):
    """`Report.figures` of `prediction`. `base` and all `by` add up to `score`."""

    of: str
    """`probability of 1`, `prediction`, …"""
    row: str
    """Which row, in words."""
    base: float
    """The mean score of the background rows."""
    score: float
    moved: tuple[Moved, ...]
    """The largest in size first."""
    truth: str = ""
    background: int
    """Rows that stand for what is usual."""
    orders: int | None
    """Orders of columns that were drawn; None where all were counted."""
