"""A file on the full screen: text of any length as a log is read, a table by its rows, a picture drawn, all
else in lines."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType

from backends.contract import START, BackendError
from backends.entities import Column
from console.data.table_file import TablePage, TableReader
from console.safe import safe_lines, safe_text
from console.training.preview import Kind, Preview, read_text
from console.tui.actions import BY_ID, shown_key
from console.tui.data_rows import BLOCK, VersionRows, row_columns
from console.tui.frame import OneLine
from console.tui.lines import Line
from console.tui.log_view import LogView
from console.tui.reading import ReadingScreen
from console.tui.table import BigTable
from console.wording import plural, size, thousands

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.app import ComposeResult

    from console.tui import ink

LOG_KEYS: dict[str, tuple[str, Callable[[LogView], object]]] = {
    "log.next": ("next", lambda view: view.again(1)),
    "log.previous": ("above", lambda view: view.again(-1)),
    "log.error": ("error", lambda view: view.next_error(1)),
    "log.error.previous": ("error above", lambda view: view.next_error(-1)),
    "log.level": ("level", lambda view: view.next_level()),
    "log.wrap": ("wrap", lambda view: view.wrap()),
}
"""What can be done in a text, by the action that does it in a run's log: the keys are the same, own ones too."""


def file_screen(title: str, seen: Preview, sha256: str = "") -> ReadingScreen:
    """The screen for a file that was looked at. Blocks: a table's first rows are read."""
    if seen.kind is Kind.TABLE:
        reader = TableReader(seen.path, seen.name)
        try:
            return TableScreen(title, seen, reader, reader.page(0, BLOCK))
        except BackendError as error:
            reader.close()
            return _fallen_back(title, seen, error)
    if seen.kind is Kind.TEXT:
        return TextScreen(title, seen)
    head = "  ".join([size(seen.bytes), *seen.facts, *([f"sha256 {sha256}"] if sha256 else [])])
    lines = [Line([(safe_text(head, 300), "dim")]), Line([("", "")])]
    lines += [Line([(safe_text(line), "")]) for line in seen.lines]
    if seen.kind in (Kind.IMAGE, Kind.OTHER):
        lines += [Line([("", "")]), Line([("ctrl+s in the list saves it", "dim")])]
    if seen.kind is Kind.IMAGE:
        from console.tui.picture_screen import PictureScreen

        return PictureScreen(title, seen, lines)
    return ReadingScreen(title, lines)


def _fallen_back(title: str, seen: Preview, error: BackendError) -> ReadingScreen:
    """A table that is none: its text where it has one, else what is wrong."""
    if seen.facts == ("Parquet",):
        return ReadingScreen(title, [Line([(line, "warn")]) for line in safe_lines(str(error))])
    return TextScreen(title, seen, trouble=str(error))


class TextScreen(ReadingScreen):
    """A text of any length: searched, wrapped and filtered as a log."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back", id="reading.back", tooltip="Stop the search, or go back."),
    ]

    def __init__(self, title: str, seen: Preview, trouble: str = "") -> None:
        super().__init__(title, ())
        self._seen = seen
        self._trouble = trouble or seen.trouble

    def compose(self) -> ComposeResult:
        for widget in super().compose():
            if widget.id == "reading":
                yield OneLine(id="reading-facts")
                yield LogView(id="reading-text")
            else:
                yield widget

    @property
    def text_view(self) -> LogView:
        return self.query_one("#reading-text", LogView)

    def on_mount(self, event: events.Mount) -> None:  # type: ignore[override]
        event.prevent_default()  # the lines of a screen to read: there is something else in their place
        self.query_one("#reading-title", OneLine).say([(f" {safe_text(self.heading, 200)}", "head")])
        facts = self.query_one("#reading-facts", OneLine)
        facts.display = bool(self._trouble)
        facts.say([(f" {safe_text(self._trouble, 300)}", "warn")])
        self.query_one("#reading-keys", OneLine).say(self.keys())
        for action in LOG_KEYS:
            if keys := self.app.keymap.keys.get(action, ""):
                self._bindings.bind(keys, f"log('{action}')", show=False)
        self.text_view.show_file(partial(read_text, Path(self._seen.path)))
        self.text_view.focus(scroll_visible=False)

    def keys(self) -> ink.Spans:
        shown: list[ink.Span] = [(" esc", "key"), (" back   ", "dim"), ("/", "key"), (" search   ", "dim")]
        for action, (label, _) in LOG_KEYS.items():
            key = self.app.keymap.keys.get(action, BY_ID[action].key).split(",")[0]
            if key:
                shown += [(shown_key(key), "key"), (f" {label}   ", "dim")]
        return shown

    def action_log(self, action: str) -> None:
        LOG_KEYS[action][1](self.text_view)

    def action_leave(self) -> None:
        if not self.text_view.cancel():
            self.dismiss(None)

    def action_copy(self) -> None:
        from console.tui.clipboard import copy

        self.app.tell(copy(self.app, self.text_view.plain()))


@dataclass(frozen=True)
class FileTable:
    """As much of a dataset version as its rows' source asks for."""

    ref: str
    rows: int
    columns: tuple[Column, ...]


class FileRows(VersionRows):
    """Rows of a file that is no dataset."""

    def __init__(self, reader: TableReader, table: FileTable, first: TablePage) -> None:
        self._reader: Any = reader
        self._version: Any = table
        self._blocks = OrderedDict({0: tuple((at, *values) for at, values in enumerate(first.rows))})


class TableScreen(ReadingScreen):
    """A CSV or Parquet file by its rows."""

    def __init__(self, title: str, seen: Preview, reader: TableReader, first: TablePage) -> None:
        super().__init__(title, ())
        self._seen, self._first = seen, first
        self._table = FileTable(seen.name, first.total, first.columns)
        self._rows = FileRows(reader, self._table, first)

    def compose(self) -> ComposeResult:
        for widget in super().compose():
            if widget.id == "reading":
                yield OneLine(id="reading-facts")
                yield BigTable(row_columns(self._table), empty="It has no rows.", id="reading-rows")  # type: ignore[arg-type]
            else:
                yield widget

    @property
    def table(self) -> BigTable[Any]:
        return self.query_one("#reading-rows", BigTable)

    def on_mount(self, event: events.Mount) -> None:  # type: ignore[override]
        event.prevent_default()  # the lines of a screen to read: there is something else in their place
        self.query_one("#reading-title", OneLine).say([(f" {safe_text(self.heading, 200)}", "head")])
        self.query_one("#reading-keys", OneLine).say(
            [(" esc", "key"), (" back   ", "dim"), ("← →", "key"), (" columns   ", "dim"),
             ("↑ ↓ home end", "key"), (" rows", "dim")]
        )  # fmt: skip
        self._say_facts()
        self.table.show(self._rows, at=START)
        self.table.focus(scroll_visible=False)

    def _say_facts(self) -> None:
        more = "" if self._first.whole else f"   the first {thousands(self._first.total)} rows of it"
        at = self.table.cursor_key
        kind = ""
        if at is not None:
            kind = f"   row {thousands(int(at) + 1)} of {thousands(self._first.total)}"
        types = ", ".join(f"{column.name} {column.type.value}" for column in self._first.columns[:8])
        words = f" {' '.join(self._seen.facts)}, {size(self._seen.bytes)}, "
        words += f"{plural(len(self._first.columns), 'column')}{more}{kind}   "
        self.query_one("#reading-facts", OneLine).say([(words, "dim"), (safe_text(types, 200), "dim")])

    @on(BigTable.CursorMoved)
    def _moved(self, event: BigTable.CursorMoved) -> None:
        event.stop()
        self._say_facts()

    @on(BigTable.Failed)
    def _failed(self, event: BigTable.Failed) -> None:
        event.stop()
        self.app.tell(str(event.error), severity="warning")

    @on(BigTable.RowsChanged)
    @on(BigTable.Chosen)
    def _nothing(self, event: BigTable.Told) -> None:
        event.stop()

    def action_copy(self) -> None:
        from console.tui.clipboard import copy

        self.app.tell(copy(self.app, self.table.plain()))

    def on_unmount(self) -> None:
        threading.Thread(target=self._rows.close, daemon=True).start()  # it may have a question out
