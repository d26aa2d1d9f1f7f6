"""Training runs: a list of any length, and beside it the run under the cursor."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult  # noqa: TC002
from textual.containers import Container

from backends.contract import START, BackendError, Page
from backends.entities import Run
from backends.query import RUN_FIELDS, Key, Order, Query
from console.config import Session
from console.safe import safe_text
from console.tui import ink
from console.tui.columns import Column
from console.tui.frame import OneLine
from console.tui.lines import Line, wrapped
from console.tui.pane import Pane
from console.tui.rows import PagedRows
from console.tui.run_columns import METRICS, PARAMS, TAGS, chosen_metrics, differing_params, run_columns, wanted_keys
from console.tui.run_lines import run_lines
from console.tui.table import BigTable
from console.wording import thousands

if TYPE_CHECKING:
    from console.tui.log_view import LogView
    from console.tui.panes.run_detail import RunDetail

REST = 0.15
"""Seconds that the cursor rests on a row before what is beside it changes: stepping through rows is not to pay for
it."""

HELD = 0.05
"""Keys that follow so fast are one that is held down; when the next does not come in `LET_GO`, it was let go."""
LET_GO = 0.08
SAMPLE = 48
"""Runs that are looked at to see which parameters differ."""
EXPORTED = 500
"""Rows in a page of an export."""

COUNTED = 10_000


class Split(Container):
    """List and details; it draws nothing itself."""

    BLANK = True


class RunsPane(Pane):
    """`3`."""

    BLANK = True
    PANE = "runs"
    TITLE = "Runs"
    FIELDS = RUN_FIELDS
    EMPTY = "No runs yet. Press t to train, or: mlops-console run start RECIPE.toml"

    DEFAULT_CSS = """
    RunsPane > #runs-status { height: 1; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._shown: Query | None = None
        self._sorted: tuple[Order, ...] = ()
        self._metrics: list[str] = []
        self._params: list[str] = []
        self._moved_at = 0.0
        self._resting = False
        self._rest_for = REST
        self._detail: RunDetail | None = None
        self._note = ""
        self._one_search = threading.Lock()
        """A search that nobody waits for any more goes on in a server: the next one is sent when it has ended."""
        self._sample: tuple[Query, Page[Run]] | None = None
        """What was read to choose columns, where asking for it again would cost a server something."""

    def compose(self) -> ComposeResult:
        yield OneLine(id="runs-status")
        table = BigTable[Run](run_columns((), ()), empty=self.EMPTY, id="runs-table", classes="master")
        yield Split(table, Container(id="run-place", classes="details"), classes="split")

    @property
    def table(self) -> BigTable[Run]:
        return self.query_one("#runs-table", BigTable)

    @property
    def detail(self) -> RunDetail:
        """Made when a run is first shown: the list stands before anything else is thought of."""
        if self._detail is None:
            from console.tui.panes.run_detail import RunDetail

            self._detail = RunDetail(self.backend, id="run")
            self.query_one("#run-place").mount(self._detail)
        return self._detail

    @property
    def charts(self) -> RunDetail | None:
        """What the chart keys are about, where a chart is in sight."""
        return self._detail if self.opened or self.has_class("-wide") or self.has_class("-tall") else None

    @property
    def log_shown(self) -> LogView | None:
        """The log on the screen: what the log keys are about."""
        return self._detail.log_view if self.opened and self._detail is not None and self._detail.is_mounted else None

    # ------------------------------------------------------------ asking

    @property
    def query_now(self) -> Query:
        """The filter, in the order that was chosen by column or written."""
        return Query(where=self.filter.where, order=self._sorted or self.filter.order)

    def fetch(self) -> tuple[Query, list[str], list[str]] | None:
        """Which columns this list deserves; None where a server's list is watched, whose rows tell it as they come."""
        query = self.query_now
        asked_metrics, asked_params = wanted_keys(query)
        runs = self.backend.need("runs")
        most = self.backend.features.page_limit
        if most and query == self._shown:
            return None
        with self._one_search:
            sample: Page[Run] = runs.page(query, limit=most or SAMPLE)
        self._note = sample.note
        self._sample = (query, sample) if most else None
        metrics = chosen_metrics(sample.items, asked_metrics)
        return query, metrics, differing_params(sample.items, asked_params)

    def show(self, data: Any) -> None:
        if data is None:
            rows, (asked_metrics, asked_params) = self.table.rows[:SAMPLE], wanted_keys(self.query_now)
            data = self._shown, chosen_metrics(rows, asked_metrics), differing_params(rows, asked_params)
        query, metrics, params = data
        if query != self.query_now:
            return  # another one is on its way
        fresh = query != self._shown
        if fresh or len(self._metrics) < METRICS or len(self._params) < PARAMS:
            # While the same list is watched, columns may come and never go: nothing shifts under the eye.
            keep = [] if fresh else [self._metrics, self._params]
            self._metrics = _joined(keep[0], metrics, METRICS) if keep else metrics
            self._params = _joined(keep[1], params, PARAMS) if keep else params
            self.table.set_columns(run_columns(self._metrics, self._params))
        if fresh:
            self._shown = query
            order = query.order[0] if query.order else None
            self.table.sort = _column_of(order.key) if order else "created"
            self.table.descending = order.descending if order else True
            self.table.empty = self.empty_text()
            self.table.show(self._source(query))
        else:
            self.table.refresh_rows()
        if self._detail is not None:
            self.call_after_refresh(self._rest)
        elif not self._resting:
            self._resting = True
            self.set_timer(REST, self._rested)

    def _source(self, query: Query) -> PagedRows[Run]:
        runs, features = self.backend.need("runs"), self.backend.features
        # A server sends whole runs whatever is asked for; what it sends is all that the facts beside the list need.
        columns = None if features.page_limit else self.asked_keys()

        def page(at: str, limit: int) -> Page[Run]:
            sample, self._sample = self._sample, None
            if sample is not None and sample[0] == query and at == START:
                return sample[1]  # shorter than asked for, and whole all the same
            most = min(limit, features.page_limit) if features.page_limit else limit
            with self._one_search:
                found: Page[Run] = runs.page(query, at=at, limit=most, columns=columns)
            if features.page_limit:
                self._note = found.note
            return found

        return PagedRows(
            page,
            lambda run: run.id,
            seek=features.seek,
            count=(lambda: runs.count(query, limit=COUNTED)) if features.count else None,
            frugal=bool(features.page_limit),
        )

    def asked_keys(self) -> list[str]:
        """What a row needs beyond its fixed fields."""
        return [c.key for c in self.table.columns if "." in c.key] + TAGS

    def empty_text(self) -> str:
        if self.filter.where is not None:
            return "No run matches. Press esc to take the filter away, / to change it."
        return self.EMPTY

    # ------------------------------------------------------------ what the frame asks

    def selected(self) -> object | None:
        return self.table.cursor_row if self.is_mounted else None

    def marked(self) -> tuple[object, ...]:
        return self.table.marked if self.is_mounted else ()

    def crumbs(self) -> tuple[str, ...]:
        run = self.selected()
        return (self.TITLE, run.name or run.id[:8]) if isinstance(run, Run) else (self.TITLE,)

    def details(self) -> Sequence[Line]:
        run = self.selected()
        return run_lines(run, 100, everything=True) if isinstance(run, Run) else ()

    async def described(self) -> Sequence[Line] | None:
        """The whole run: a list knows only what it shows. Of a server that is away, what the list knows."""
        run = self.selected()
        if not isinstance(run, Run):
            return None
        known = self.details()
        try:
            whole = await self.app.look_up(lambda: self.backend.need("runs").get(run.id))
        except BackendError as error:
            return [*known, *wrapped(safe_text(f"the rest: {error}", 400), 100, "warn")]
        return run_lines(whole, 100, everything=True)

    def copies(self) -> Sequence[tuple[str, str]]:
        run = self.selected()
        if not isinstance(run, Run):
            return ()
        found = [("run id", run.id), ("name", run.name)]
        found += [("data", f"{used.dataset}@{used.version}") for used in run.inputs]
        found.append(("git commit", run.source.commit))
        return [pair for pair in found if pair[1]]

    def exported(self) -> tuple[str, Sequence[str], Iterator[Sequence[object]]]:
        query, runs = self.query_now, self.backend.need("runs")
        columns = self.table.columns
        keys = [c.key for c in columns if "." in c.key]
        fixed = ("id", "name", "status", "experiment", "created_at", "started_at", "ended_at", "created_by", "data")

        def rows() -> Iterator[Sequence[object]]:
            at: str | None = START
            while at is not None:
                page = runs.page(query, at=at, limit=EXPORTED, columns=keys)
                for run in page.items:
                    data = " ".join(f"{used.dataset}@{used.version}" for used in run.inputs)
                    yield [*(getattr(run, name) for name in fixed[:-1]), data, *(_value(run, key) for key in keys)]
                at = page.next

        return "runs", (*fixed, *keys), rows()

    def plain(self) -> str:
        head = ink.plain(self.status())
        return f"{head}\n{self.table.plain()}".strip()

    def focus_list(self) -> None:
        self.table.focus(scroll_visible=False)

    def mark(self) -> None:
        self.table.action_mark()

    def sort(self, *, reverse: bool = False, column: str = "") -> None:
        if column:
            named = column.casefold()
            found = next((c for c in self.table.columns if named in (c.key.casefold(), c.title.casefold())), None)
            if found is None:
                names = ", ".join(c.title for c in self.table.columns if c.sort)
                self.app.tell(f"sort: there is no column {column}; there are {names}", severity="warning")
            else:
                self.table.sort_by(found, descending=found.right)
        elif reverse:
            self.table.action_sort_reverse()
        else:
            self.table.action_sort_next()

    def apply_query(self, query: Query, text: str) -> None:
        if query.order or not text:
            self._sorted = ()  # the order that is written counts
        super().apply_query(query, text)

    def set_open(self, opened: bool) -> None:
        if opened:
            self.detail.show_run(self.table.cursor_row)
        self.detail.set_full(opened)
        super().set_open(opened)

    def back(self) -> bool:
        log = self.log_shown
        return (log is not None and log.cancel()) or super().back()

    def show_log(self) -> None:
        """`l`: the log of the run under the cursor, on the full screen."""
        if not self.opened:
            self.set_open(True)
        self.detail.show_log()

    @property
    def busy(self) -> bool:
        return (
            super().busy
            or self._resting
            or (self.is_mounted and (self.table.busy or (self._detail is not None and self._detail.busy)))
        )

    # ------------------------------------------------------------ what the table tells

    def on_big_table_cursor_moved(self, event: BigTable.CursorMoved) -> None:
        event.stop()
        now = time.monotonic()
        self._rest_for = LET_GO if now - self._moved_at < HELD else REST
        self._moved_at = now
        if not self._resting:
            self._resting = True
            self.set_timer(self._rest_for, self._rested)

    def on_big_table_rows_changed(self, event: BigTable.RowsChanged) -> None:
        event.stop()
        self._say_status()

    def on_big_table_marks_changed(self) -> None:
        self._say_status()

    def on_big_table_chosen(self) -> None:
        self.open_selected()

    def on_big_table_failed(self, event: BigTable.Failed) -> None:
        self.failed(event.error)

    def on_big_table_sort_asked(self, event: BigTable.SortAsked) -> None:
        self._sorted = (Order(_key_of(event.column), descending=event.descending),)
        query = self.query_now
        self._shown = query
        # The columns stand: only the order is another, so the rows are asked for at once.
        self.table.show(self._source(query))

    def _rested(self) -> None:
        left = self._rest_for - (time.monotonic() - self._moved_at)
        if left > 0.01:
            self.set_timer(left, self._rested)
            return
        self._resting = False
        self._rest()

    def _rest(self) -> None:
        """Show what belongs to the row under the cursor."""
        self._say_status()
        if self.has_class("-wide") or self.has_class("-tall") or self.opened:
            self.detail.show_run(self.table.cursor_row)
        self.app.refresh_frame()

    def on_resize(self) -> None:
        super().on_resize()
        if self.loaded:
            self._rest()

    # ------------------------------------------------------------ the line above

    def status(self) -> ink.Spans:
        text = self.query_text or "all, newest first"
        if self._sorted:
            text = f"{self.query_text or 'all'}  order by {_spelled(self._sorted[0])}"
        marks = len(self.table.marked_keys)
        spans: list[ink.Span] = [(" Runs  ", "head"), (safe_text(text), "" if self.query_text else "dim")]
        if self._note:
            spans.append((f"   {safe_text(self._note)}", "warn"))
        if marks:
            spans.append((f"   {marks} marked", "mark"))
        return spans

    def _say_status(self) -> None:
        table = self.table
        count, position = table.count, table.position
        total = "" if count is None else thousands(count.value) + ("" if count.exact else "+")
        if position is not None and table.cursor_row is not None:
            total = f"{thousands(position + 1)} of {total or '…'}"
        self.query_one("#runs-status", OneLine).say(self.status(), [(total + " ", "dim")] if total else ())


def _joined(old: Sequence[str], new: Sequence[str], most: int) -> list[str]:
    return [*old, *(name for name in new if name not in old)][: max(most, len(old))]


def _column_of(key: Key) -> str:
    scopes = {"metric": "metrics.", "param": "params.", "tag": "tags."}
    return scopes.get(key.scope, "") + key.name


def _key_of(column: Column[Run]) -> Key:
    scope, dot, name = column.sort.partition(".")
    if not dot:
        return Key("attribute", column.sort)
    return Key("metric" if scope == "metrics" else "param", name)


def _spelled(order: Order) -> str:
    return _column_of(order.key) + (" desc" if order.descending else "")


def _value(run: Run, key: str) -> object:
    scope, _, name = key.partition(".")
    return run.metrics.get(name) if scope == "metrics" else run.params.get(name)
