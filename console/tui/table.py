"""The one table: any number of rows, drawn line by line from a page source.

What it holds on to is identity. The cursor and the marks are row keys; a refresh keeps the cursor's row on the same
line of the screen, and what came in above stays above. It sends only lines that changed, one segment a row where a row
has one colour. Its own keys move the cursor; every other key is an action of the registry, which calls the methods
here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual import events  # noqa: TC002
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from backends.contract import END, START, Count, Page
from console.safe import safe_text
from console.tui.columns import GAP, Column, fitted
from console.tui.drawing import Drawing
from console.tui.fetch import Answer, Fetcher
from console.tui.reload import reload
from console.tui.row_painter import INDENT, RowPainter
from console.tui.rows import ListRows, RowSource
from console.tui.window import RowWindow

R = TypeVar("R")

PATIENCE = 0.012
"""Seconds that a key waits for rows before the screen goes on without them; a local store needs one millisecond."""

SLACK = 6
"""Rows beyond the screen that a server is asked for: so many new ones may push down what is looked at."""

PAGE = 64
"""Rows in a page at least; two screens of them on a large one. A local store reads them in a millisecond."""


class BigTable(Drawing, Generic[R], can_focus=True):
    """Rows of a `RowSource` under columns that give way from the right."""

    DEFAULT_CSS = """
    BigTable { height: 1fr; width: 1fr; min-height: 3; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="table.page-down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="table.page-up"),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False, id="table.half-down"),
        Binding("home,g", "home", "First row", show=False, id="table.first"),
        Binding("end,G", "end", "Last row", show=False, id="table.last"),
        Binding("right", "sideways(1)", "Columns to the right", show=False, id="table.right"),
        Binding("left", "sideways(-1)", "Columns to the left", show=False, id="table.left"),
    ]

    class Told(Message):
        """What a table tells its pane."""

        def __init__(self, table: BigTable[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> BigTable[Any]:
            return self.table

    class CursorMoved(Told):
        """Another row is under the cursor, or the same row with new content. `table.cursor_row` has it."""

    class Chosen(Told):
        """Enter, or a click on the row under the cursor."""

    class MarksChanged(Told):
        """Rows were marked or unmarked."""

    class SortAsked(Told):
        """The person wants another order. A list in memory has it already; a paged source is the pane's to replace."""

        def __init__(self, table: BigTable[Any], column: Column[Any], descending: bool) -> None:
            super().__init__(table)
            self.column = column
            self.descending = descending

    class RowsChanged(Told):
        """Another source answered, or its count is another. `table.count` and `table.position` have it."""

    class Failed(Told):
        """The source could not answer. The rows that are there stay."""

        def __init__(self, table: BigTable[Any], error: Exception) -> None:
            super().__init__(table)
            self.error = error

    def __init__(
        self,
        columns: Sequence[Column[R]],
        *,
        empty: str = "",
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._painter: RowPainter[R] = RowPainter(columns)
        self.empty = empty
        """What stands in the place of rows when there are none."""
        self._source: RowSource[R] | None = None
        self._window: RowWindow[R] = RowWindow(self._key)
        self._generation = 0
        self._cursor = 0
        self._top = 0
        self._at_top = True
        self._marks: dict[str, R] = {}
        self._count: Count | None = None
        self._error: Exception | None = None
        self._asked: set[str] = set()
        self._reload_again = False
        self._owed = 0
        self.sort: str = ""
        """Key of the column that the rows are sorted by."""
        self.descending = False
        self._drawn: tuple[list[R], int, int] | None = None
        self._told_rows: tuple[object, ...] = ()
        self._told: tuple[str | None, R | None] = (None, None)
        self._plain_list: ListRows[R] = ListRows((), str)
        self._rows = Fetcher(self, "rows")
        self._counts = Fetcher(self, "counts")

    # ------------------------------------------------------------ what the pane sees

    @property
    def cursor_row(self) -> R | None:
        return self._window.rows[self._cursor] if self._window.rows else None

    @property
    def rows(self) -> list[R]:
        """Those that are held, around what is on the screen."""
        return self._window.rows

    @property
    def source(self) -> RowSource[R] | None:
        return self._source

    @property
    def cursor_key(self) -> str | None:
        return self._window.keys[self._cursor] if self._window.keys else None

    @property
    def marked(self) -> tuple[R, ...]:
        """Marked rows as they were last seen, in the order they were marked."""
        return tuple(self._marks.values())

    @property
    def marked_keys(self) -> tuple[str, ...]:
        return tuple(self._marks)

    @property
    def count(self) -> Count | None:
        """How many rows there are, None until somebody knows."""
        total = self._window.total
        return Count(value=total) if total is not None else self._count

    @property
    def position(self) -> int | None:
        """Number of the cursor's row in the whole list, from 0, where known."""
        first = self._window.first
        return None if first is None or not self._window.rows else first + self._cursor

    @property
    def busy(self) -> bool:
        """A question is under way."""
        return bool(self._rows.waiting or self._counts.waiting)

    @property
    def columns(self) -> tuple[Column[R], ...]:
        return self._painter.columns

    def set_columns(self, columns: Sequence[Column[R]]) -> None:
        """Show other columns of the same rows."""
        if tuple(columns) != self._painter.columns:
            self._painter.columns = tuple(columns)
            self._lay_out()

    def restart(self, columns: Sequence[Column[R]]) -> None:
        """Rows of another kind will come: nothing of the former ones, their marks or their order is kept."""
        self._generation += 1
        self._source = None
        self._window.replace([])
        self._marks = {}
        self._cursor = self._top = 0
        self._at_top = True
        self._count = None
        self._error = None
        self._asked.clear()
        self.sort, self.descending = "", False
        self._painter.columns, self._painter.passed = tuple(columns), 0
        self._lay_out()

    def show(self, source: RowSource[R], *, at: str = START) -> None:
        """Rows from another source: another query, another order. The cursor stays on its row where the first page
        holds it, else it stands on the first. Marks stay."""
        self._generation += 1
        self._source = source
        self._asked.clear()
        self._count = None
        self._owed = 0
        wanted = self.cursor_key if at == START else None

        def take(page: Page[R]) -> None:
            self._window.replace([(at, page)])
            self._cursor = self._window.place(wanted) or 0 if wanted is not None else 0
            self._top = 0
            if at == END:
                self._cursor = max(0, len(self._window) - 1)
            elif at.startswith("@"):
                self._cursor = self._window.place(at[1:]) or 0
            self._at_top = at == START
            self._show_cursor()

        self._ask_page(at, take)
        self._ask_count()

    def show_list(self, items: Iterable[R], key: Callable[[R], str]) -> None:
        """Rows of a short list in memory, in the order that the person chose. Called again it is a refresh."""
        rows = ListRows(items, key)
        self._marks = {k: row for row in rows.items if (k := key(row)) in self._marks}
        column = self._sort_column()
        shown = rows.sorted_by(column.order or column.cell, self.descending) if column else rows
        if isinstance(self._source, ListRows):
            self._source = shown
            self._plain_list = rows
            self.refresh_rows()
        else:
            self._plain_list = rows
            self.show(shown)

    def refresh_rows(self) -> None:
        """Ask again for what is on the screen. Nothing moves: the cursor's row keeps its line."""
        if self._source is None:
            return
        if "reload" in self._asked:
            self._reload_again = True
            return
        self._asked.add("reload")
        source, generation = self._source, self._generation
        source.forget()
        at, pages = self._window.pages_over(self._top, self._top + self._height)
        anchor, limit, height = self.cursor_key, self._limit, self._height
        if source.frugal and (first := self._window.counted) is not None:
            at, pages, limit = f"#{first + self._top}" if first + self._top else START, 1, height + SLACK
            height = 1  # what is below the anchor is there, or comes when it is scrolled to

        def take(result: Any, error: Exception | None) -> None:
            if generation != self._generation:
                return
            self._asked.discard("reload")
            if error is not None:
                self._fail(error)
            else:
                self._take_reload(result)
            if self._reload_again:
                self._reload_again = False
                self.refresh_rows()

        self._rows.ask(lambda: reload(source, at, pages, anchor, limit, height), take, patience=PATIENCE)
        self._ask_count()

    def go_to(self, key: str) -> None:
        """Put the cursor on the row with this identity, wherever it is."""
        found = self._window.place(key)
        if found is not None:
            self._cursor = found
            self._moved()
        elif self._source is not None and self._source.seek:

            def take(page: Page[R]) -> None:
                self._window.replace([("@" + key, page)])
                self._cursor = self._window.place(key) or 0
                self._top = self._cursor - self._height // 2
                self._at_top = False
                self._show_cursor()

            self._asked.clear()
            self._ask_page("@" + key, take)

    def clear_marks(self) -> None:
        if self._marks:
            self._marks.clear()
            self.paint()
            self.post_message(self.MarksChanged(self))

    def tick(self) -> None:
        """Time has passed: say ages anew. Only lines that read differently are sent."""
        self._painter.forget()
        self.paint()

    def plain(self) -> str:
        """What the table shows, as text; all columns, the rows that are held."""
        columns = self._painter.columns
        rows = [[safe_text(c.cell(row), c.most) for c in columns] for row in self._window.rows]
        titles = [safe_text(c.title) for c in columns]
        if not rows:
            return safe_text(self.empty)
        widths = [max(len(titles[i]), *(len(r[i]) for r in rows)) for i in range(len(columns))]
        lines = [
            GAP.join(fitted(text, width, column.right) for text, width, column in zip(r, widths, columns, strict=True))
            for r in [titles, *rows]
        ]
        return "\n".join(line.rstrip() for line in lines)

    # ------------------------------------------------------------ keys and mouse

    def action_move(self, step: int) -> None:
        self._at_top = False
        self._move(step)

    def action_page(self, pages: float) -> None:
        self._at_top = False
        step = int(pages * max(1, self._height - 1)) or 1
        line = self._cursor - self._top
        self._move(step, jump=False)
        self._top = self._cursor - line
        self._show_cursor()

    def action_home(self) -> None:
        self._at_top = True
        if self._window.previous is None:
            self._cursor = 0
            self._moved()
            return
        self._jump(START)

    def action_end(self) -> None:
        self._at_top = False
        if self._window.next is None:
            self._cursor = max(0, len(self._window) - 1)
            self._moved()
            return
        self._jump(END)

    def action_sideways(self, by: int) -> None:
        """The next columns of a table that is wider than the screen; the first one stays."""
        if self._painter.sideways(by):
            self._lay_out()

    def action_mark(self) -> None:
        row, key = self.cursor_row, self.cursor_key
        if row is None or key is None:
            return
        if key in self._marks:
            del self._marks[key]
        else:
            self._marks[key] = row
        self._move(1)
        self.post_message(self.MarksChanged(self))

    def action_choose(self) -> None:
        if self.cursor_row is not None:
            self.post_message(self.Chosen(self))

    def action_sort_next(self) -> None:
        """Sort by the next column on the screen that can be sorted."""
        sortable = [p.column for p in self._painter.placed if self._can_sort(p.column)]
        if sortable:
            now = next((i for i, c in enumerate(sortable) if c.key == self.sort), -1)
            column = sortable[(now + 1) % len(sortable)]
            # Numbers are asked for to see the largest, names to see the first.
            self.sort_by(column, descending=column.right)

    def action_sort_reverse(self) -> None:
        column = self._sort_column()
        if column:
            self.sort_by(column, descending=not self.descending)

    def sort_by(self, column: Column[R], *, descending: bool) -> None:
        self.sort, self.descending = column.key, descending
        self.paint()
        if isinstance(self._source, ListRows):
            self._source = self._plain_list.sorted_by(column.order or column.cell, descending)
            key = self.cursor_key
            self.show(self._source, at="@" + key if key else START)
        self.post_message(self.SortAsked(self, column, descending))

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            for placed in self._painter.placed:
                if placed.start <= event.x < placed.start + placed.width and self._can_sort(placed.column):
                    same = placed.column.key == self.sort
                    self.sort_by(placed.column, descending=not self.descending if same else placed.column.right)
            return
        row = self._top + event.y - 1
        if row < len(self._window):
            if row == self._cursor:
                self.action_choose()
            else:
                self._cursor = row
                self._moved()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-3)

    # ------------------------------------------------------------ moving

    @property
    def _height(self) -> int:
        """Lines for rows, below the header."""
        return max(1, self.size.height - 1)

    @property
    def _limit(self) -> int:
        return max(PAGE, 2 * self._height)

    def _key(self, row: R) -> str:
        return self._source.key(row) if self._source is not None else ""

    def _move(self, step: int, *, jump: bool = True) -> None:
        if not self._window.rows:
            return
        wanted = self._cursor + step
        if wanted >= len(self._window) and self._window.next is not None:
            self._owed = wanted - len(self._window) + 1
            self._cursor = len(self._window) - 1
            self._extend(1, wanted=True)
        elif wanted < 0 and self._window.previous is not None:
            self._owed = wanted
            self._cursor = 0
            self._extend(-1, wanted=True)
        else:
            self._owed = 0
            self._cursor = min(max(0, wanted), len(self._window) - 1)
        if jump:
            self._moved()
        if self._source is not None and self._source.frugal:
            # Nothing is read ahead but where the person goes.
            if step > 0 and self._cursor + self._height // 2 > len(self._window):
                self._extend(1)
            elif step < 0 and self._cursor < self._height // 2:
                self._extend(-1)

    def _scroll(self, lines: int) -> None:
        self._at_top = False
        last = len(self._window) - self._height
        self._top = max(0, min(self._top + lines, last))
        self._cursor = min(max(self._cursor, self._top), self._top + self._height - 1)
        self._show_cursor()

    def _jump(self, at: str) -> None:
        def take(page: Page[R]) -> None:
            self._window.replace([(at, page)])
            self._cursor = 0 if at == START else max(0, len(self._window) - 1)
            self._top = 0 if at == START else self._cursor - self._height + 1
            self._show_cursor()

        self._asked.clear()
        self._ask_page(at, take)

    def _moved(self) -> None:
        """Bring the cursor into sight: by most of a page at the edge, since a scroll of one row repaints as much.
        A held key must fit through 20 kB a second."""
        jump = max(1, self._height * 3 // 4)
        if self._cursor >= self._top + self._height:
            self._top = max(self._top + jump, self._cursor - self._height + 1)
        elif self._cursor < self._top:
            self._top = min(self._top - jump, self._cursor)
        self._show_cursor()

    def _show_cursor(self) -> None:
        """Keep cursor and top within the rows, ask for what will be wanted next, and paint."""
        rows = len(self._window)
        self._cursor = min(max(0, self._cursor), max(0, rows - 1))
        self._top = min(self._top, self._cursor)
        self._top = max(self._top, self._cursor - self._height + 1)
        if self._top < 0 and self._window.previous is not None:
            self._extend(-1, wanted=True)  # the lines above the first row are filled if its page comes at once
        elif self._top + self._height > rows and self._window.next is not None:
            self._extend(1, wanted=True)
        rows = len(self._window)
        self._top = max(0, min(self._top, rows - self._height) if self._window.next is None else self._top)
        self._top = min(self._top, self._cursor)
        self._paint_cursor()
        self._tell_cursor()
        if self._source is not None and self._source.frugal:
            return
        if self._window.next is not None and self._top + 2 * self._height > rows:
            self._extend(1)
        elif self._window.previous is not None and self._top < self._height:
            self._extend(-1)

    def _paint_cursor(self) -> None:
        """Paint; where nothing but the cursor moved, its old and its new line alone."""
        drawn = self._drawn
        if drawn is None or drawn[0] is not self._window.rows or drawn[1] != self._top or not self._lines:
            self.paint()
            return
        places = {at for at in (drawn[2], self._cursor) if 0 <= at < len(self._window)}
        self._drawn = (self._window.rows, self._top, self._cursor)
        self.patch({at - self._top + 1: self._row(at, self.size.width) for at in places})

    def _tell_cursor(self) -> None:
        key, row = self.cursor_key, self.cursor_row
        if self._told[0] != key or (self._told[1] is not row and self._told[1] != row):
            self._told = (key, row)
            self.post_message(self.CursorMoved(self))

    def _tell_rows(self) -> None:
        told = (self._generation, self.count, bool(self._window.rows))
        if told != self._told_rows:
            self._told_rows = told
            self.post_message(self.RowsChanged(self))

    # ------------------------------------------------------------ asking

    def on_answer(self, answer: Answer) -> None:
        answer.question.settle()

    def _ask_page(self, at: str, take: Callable[[Page[R]], None], *, patience: float = PATIENCE) -> None:
        source, limit, generation = self._source, self._limit, self._generation
        if source is None:
            return

        def taken(page: Page[R] | None, error: Exception | None) -> None:
            if generation != self._generation:
                return
            if page is None:
                if error is not None:
                    self._fail(error)
                return
            self._error = None
            take(page)
            self._tell_rows()

        cached = source.cached(at, limit)
        if cached is not None:
            taken(cached, None)
        else:
            self._rows.ask(lambda: source.page(at, limit), taken, patience=patience)

    def _extend(self, way: int, *, wanted: bool = False) -> None:
        """Hold the neighbouring page too, below (1) or above (-1). When it is `wanted` at once, a moment is waited
        for it and the caller paints."""
        at = self._window.next if way > 0 else self._window.previous
        name = f"{way}{at}"
        if at is None or name in self._asked or self._source is None:
            return
        self._asked.add(name)

        def take(page: Page[R]) -> None:
            self._asked.discard(name)
            if (self._window.next if way > 0 else self._window.previous) != at:
                return  # the window is elsewhere by now
            if way > 0:
                dropped = self._window.append(at, page)
                self._cursor -= dropped
                self._top -= dropped
            else:
                added = self._window.prepend(at, page)
                self._cursor += added
                self._top += added
            owed, self._owed = self._owed, 0
            if owed:
                self._cursor = min(max(0, self._cursor + owed), len(self._window) - 1)
            if not waiting:
                self._moved() if owed else self._show_cursor()

        waiting = wanted
        self._ask_page(at, take, patience=PATIENCE if wanted else 0.0)
        waiting = False

    def _ask_count(self) -> None:
        source, generation = self._source, self._generation
        if source is None or "count" in self._asked or self._window.total is not None:
            return
        self._asked.add("count")

        def take(count: Count | None, error: Exception | None) -> None:
            if generation != self._generation:
                return
            self._asked.discard("count")
            if error is None and count != self._count:
                self._count = count
                self._tell_rows()

        self._counts.ask(source.count, take)

    def _take_reload(self, pages: list[tuple[str, Page[R]]]) -> None:
        self._error = None
        keys, cursor, line = self._window.keys, self._cursor, self._cursor - self._top
        self._window.replace(pages)
        # The row itself; when it has gone, its nearest neighbour that has not.
        below, above = keys[cursor:], keys[:cursor][::-1]
        found = next((p for key in (*below, *above) if (p := self._window.place(key)) is not None), cursor)
        self._cursor = found
        self._top = found - line
        if self._at_top and self._window.previous is None and found < self._height:
            self._top = 0  # whoever has not left the top sees what comes in
        for key in self._marks:
            at = self._window.place(key)
            if at is not None:
                self._marks[key] = self._window.rows[at]
        self._show_cursor()
        self._tell_rows()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._owed = 0
        self._asked.clear()
        self.paint()
        self.post_message(self.Failed(self, error))

    # ------------------------------------------------------------ drawing

    def on_mount(self) -> None:
        self.set_interval(60, self.tick)

    def on_unmount(self) -> None:
        self._rows.close()
        self._counts.close()

    def on_resize(self) -> None:
        self._lines, self._drawn = [], None
        self._lay_out()
        self._show_cursor()

    def on_focus(self) -> None:
        self.paint()

    def on_blur(self) -> None:
        self.paint()

    def restyled(self) -> None:
        self._painter.forget()

    def _lay_out(self) -> None:
        self._painter.lay_out(self.size.width)
        self.paint()

    def _can_sort(self, column: Column[R]) -> bool:
        return bool(column.sort) or isinstance(self._source, ListRows)

    def _sort_column(self) -> Column[R] | None:
        return next((c for c in self._painter.columns if c.key == self.sort), None)

    def drawn_lines(self, width: int, height: int) -> Sequence[Strip]:
        first = max(0, self._top)
        self._drawn = (self._window.rows, self._top, self._cursor)
        lines = [self._painter.header(self.ink, width, self.sort, self.descending)]
        lines.extend(self._row(at, width) for at in range(first, min(len(self._window), first + height - 1)))
        return lines if self._window.rows else [*lines, *self._notice(width)]

    def _notice(self, width: int) -> list[Strip]:
        if self._error is not None:
            text, tone = str(self._error), "bad"
        elif self._rows.waiting:
            text, tone = "asking …", "dim"
        else:
            text, tone = self.empty, "dim"
        rows = ["", *textwrap.wrap(safe_text(text), max(20, width - INDENT - 1), break_on_hyphens=False)][
            : max(1, self.size.height - 1)
        ]
        style = self.ink.style(tone)
        return [Strip([Segment(fitted(" " * INDENT + row, width, False), style)], width) for row in rows]

    def _row(self, at: int, width: int) -> Strip:
        key = self._window.keys[at]
        return self._painter.row(
            self.ink,
            self._window.rows[at],
            key,
            width,
            cursor=at == self._cursor,
            marked=key in self._marks,
            focus=self.has_focus,
        )
