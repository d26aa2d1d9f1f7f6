"""A pane that is one table of a list held in memory, with facts about the row under the cursor beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from textual import on

from console.config import Session
from console.tui.columns import Column
from console.tui.lines import Line, LineList
from console.tui.pane import Pane, split
from console.tui.rows import ListRows
from console.tui.table import BigTable

if TYPE_CHECKING:
    from textual.app import ComposeResult

MOST = 1_000
"""Rows that are listed; a filter finds the others."""


UNREAD = "Nothing has been read yet: the server is being asked."
"""Until a server's first answer an empty list is not an empty server."""


class TablePane(Pane):
    """Subclasses give `first_columns`, `fetch`, `show` and `facts`."""

    def first_columns(self) -> Sequence[Column[Any]]:
        """The columns before any answer has come."""
        return ()

    def facts(self, width: int) -> list[Line]:  # noqa: ARG002
        """What is known about the row under the cursor, for lines of `width` cells."""
        return []

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        # Made here and not in compose: the frame asks what is selected before anything is mounted.
        remote = session.backend.features.page_limit
        self.table = BigTable[Any](
            self.first_columns(), empty=UNREAD if remote else self.EMPTY, id=f"{self.PANE}-table"
        )
        self.lines = LineList(id=f"{self.PANE}-facts")

    def compose(self) -> ComposeResult:
        yield from split(self.table, self.lines)

    def draw_facts(self) -> None:
        self.lines.set_lines(self.facts(max(20, self.lines.size.width - 1)))

    def selected(self) -> object | None:
        return self.table.cursor_row

    def marked(self) -> tuple[object, ...]:
        return self.table.marked

    def details(self) -> Sequence[Line]:
        return self.facts(max(20, self.size.width - 4))

    def exported(self) -> tuple[str, Sequence[str], Iterator[Sequence[object]]]:
        columns, source = self.table.columns, self.table.source
        rows = source.items if isinstance(source, ListRows) else ()
        return self.PANE, [column.title for column in columns], ([c.cell(row) for c in columns] for row in rows)

    def set_open(self, opened: bool) -> None:
        super().set_open(opened)
        self.call_after_refresh(self.draw_facts)

    def sort(self, *, reverse: bool = False, column: str = "") -> None:
        found = next((c for c in self.table.columns if column in (c.key, c.title)), None) if column else None
        if found is not None:
            self.table.sort_by(found, descending=found.right)
        elif reverse:
            self.table.action_sort_reverse()
        else:
            self.table.action_sort_next()

    def mark(self) -> None:
        self.table.action_mark()

    def focus_list(self) -> None:
        self.table.focus(scroll_visible=False)

    def plain(self) -> str:
        return self.table.plain()

    @on(BigTable.CursorMoved)
    def _cursor_moved(self) -> None:
        self.draw_facts()
        self.app.refresh_frame()

    @on(BigTable.Chosen)
    def _row_chosen(self) -> None:
        self.open_selected()

    @on(BigTable.RowsChanged)
    def _rows_changed(self) -> None:
        count = self.table.count
        self.set_class(count is not None and not count.value, "-bare")  # no row, no facts beside it
        self.app.refresh_frame()

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self.draw_facts)
