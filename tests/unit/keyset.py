"""A list of numbered rows that is paged by keyset, as a server pages: inserts and deletes do not shift its cursors."""

from __future__ import annotations

import bisect
import threading

from backends.contract import END, START, Count, NotFound, Page
from console.tui.rows import PagedRows

Row = tuple[int, str]


class Shelf:
    """Rows in order of their number. `asked` are the cursors it was asked for, and `threads` by whom."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = sorted(numbers)
        self.names: dict[int, str] = {}
        self.asked: list[str] = []
        self.threads: set[str] = set()
        self.fails: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def row(self, number: int) -> Row:
        return number, self.names.get(number, f"row {number}")

    def page(self, at: str, limit: int) -> Page[Row]:
        self.asked.append(at)
        self.threads.add(threading.current_thread().name)
        self.gate.wait(10)
        if self.fails is not None:
            raise self.fails
        numbers = self.numbers
        if at == START:
            first = 0
        elif at == END:
            first = max(0, len(numbers) - limit)
        elif at.startswith("@"):
            number = int(at[1:])
            place = bisect.bisect_left(numbers, number)
            if place == len(numbers) or numbers[place] != number:
                raise NotFound(f"{number} is not there")
            first = max(0, place - limit // 2)
        elif at.startswith(">"):
            first = bisect.bisect_right(numbers, int(at[1:]))
        else:
            last = bisect.bisect_left(numbers, int(at[1:]))
            first = max(0, last - limit)
            return self._cut(first, last)
        return self._cut(first, min(len(numbers), first + limit))

    def _cut(self, first: int, last: int) -> Page[Row]:
        numbers = self.numbers[first:last]
        return Page(
            items=tuple(self.row(n) for n in numbers),
            next=f">{numbers[-1]}" if numbers and last < len(self.numbers) else None,
            previous=f"<{numbers[0]}" if numbers and first > 0 else None,
            first=first,
        )

    def source(self, *, seek: bool = True) -> PagedRows[Row]:
        return PagedRows(self.page, lambda row: str(row[0]), seek=seek, count=lambda: Count(value=len(self.numbers)))
