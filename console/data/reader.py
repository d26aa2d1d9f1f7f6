"""What every source of an import is, once it is open: raw Arrow batches in order, and a guess for each column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from backends.contract import Invalid
from console.data.inference import Guess


class Reader(Protocol):
    """A source that can be read more than once. Columns may be added at the end while reading."""

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        """RecordBatches in the source's order; `advanced` gets the bytes (or rows) of the source consumed so far."""
        ...

    def guess(self, field: Any) -> Guess: ...


class Source(Reader, Protocol):
    """A reader that knows the places of its rows."""

    size: int
    """In what `advanced` counts; 0 where nobody knows before the end."""
    unit: str
    """`bytes` or `rows`: what `advanced` counts."""

    def where(self, row: int) -> str:
        """Row number `row`, from 0, of the batch that came last: `row 12 of b.csv`."""
        ...

    def part(self) -> str:
        """What the batch that came last was read from: `b.csv`."""
        ...

    def remarks(self) -> Sequence[str]:
        """What a person should know of the source, once it was read to its end."""
        ...

    def about(self, column: str) -> str:
        """What a person should know of where a column is, or nothing."""
        ...


def check_names(names: Sequence[str], label: str) -> None:
    """Invalid where a column's name appears twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = [str(at + 1) for at, name in enumerate(names) if name == twice[0]]
        raise Invalid(
            f"{label}: column name {twice[0]!r} appears {len(places)} times (columns {', '.join(places)}); "
            "column names must differ. Rename one in the header.",
            "columns",
        )
