"""What the cells of a column mean: which are values, which are missing, and how they are grouped. Plain Python."""

from __future__ import annotations

from collections.abc import Sequence

from backends.entities import Record
from console.monitoring.counted.profile import SCORE_CELLS, NumericColumn, ReferenceColumn

UNSEEN = 0.002
"""Share of rows in levels seen once, which is how often a window's row is in a level never seen (Good-Turing)."""


class Shares(Record, frozen=True):
    """Rows of one column by what is wrong with them."""

    rows: int
    missing: int
    infinite: int
    outside: int
    new: int


def shares(column: ReferenceColumn, counts: Sequence[int]) -> Shares:
    """The special cells of a column's counts."""
    if isinstance(column, NumericColumn):
        below, above, infinite, missing = counts[-4:]
        return Shares(rows=sum(counts), missing=missing, infinite=infinite, outside=below + above, new=0)
    _, new, missing = counts[-3:]
    return Shares(rows=sum(counts), missing=missing, infinite=0, outside=0, new=new)


def coarse(column: ReferenceColumn, counts: Sequence[int]) -> list[int]:
    """The groups that PSI is taken over: about deciles of the reference, below and above in the outer ones, then
    infinite and missing; or the frequent levels, all others, new, missing.

    Where the reference had so many levels only once that new ones are to be expected (names, ids), new counts as
    other: without drift the reference's empty cell would fill in every window.
    """
    if isinstance(column, NumericColumn):
        values = list(counts[: column.cells])
        below, above, infinite, missing = counts[-4:]
        grouped = gathered(values, column.groups)
        grouped[0] += below
        grouped[-1] += above
        return [*grouped, infinite, missing]
    kept = len(column.groups)
    other, new, missing = counts[-3:]
    rest = sum(counts[kept : column.cells]) + other
    if column.singletons > UNSEEN * sum(column.counts):
        rest, new = rest + new, 0
    return [*counts[:kept], rest, new, missing]


def in_order(column: ReferenceColumn, counts: Sequence[int]) -> list[int]:
    """Cells from low to high for the KS distance, missing and infinite left out; empty for a categorical column."""
    if not isinstance(column, NumericColumn):
        return []
    return [counts[-4], *counts[: column.cells], counts[-3]]


def gathered(cells: Sequence[int], starts: Sequence[int]) -> list[int]:
    """Sums of runs of neighbouring cells, each from one start up to the next."""
    stops = [*starts[1:], len(cells)]
    return [sum(cells[start:stop]) for start, stop in zip(starts, stops, strict=True)]


def by_label(score: Sequence[int]) -> list[Sequence[int]]:
    """Score cells of label 0, label 1 and unlabelled rows. score: shape (3 * SCORE_CELLS,)."""
    return [score[:SCORE_CELLS], score[SCORE_CELLS : 2 * SCORE_CELLS], score[2 * SCORE_CELLS :]]


def score_total(score: Sequence[int]) -> list[int]:
    """Score cells of all rows, labelled or not. score: shape (3 * SCORE_CELLS,)."""
    return [sum(counts) for counts in zip(*by_label(score), strict=True)]
