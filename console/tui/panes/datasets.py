"""Datasets, inside each its versions, inside a version its columns as they are filled, and its rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from textual import on

from backends.contract import START, BackendError, NotFound
from backends.entities import Column as DataColumn
from backends.entities import Dataset, DatasetVersion, Run
from backends.query import DATASET_FIELDS, Compare, In, Key, Query
from console.config import Session
from console.data.checks.standing import Standing, standing_of
from console.data.profile import ColumnProfile, VersionProfile
from console.offload import Cancelled
from console.safe import safe_text
from console.tui import ink
from console.tui.bar import Bar
from console.tui.columns import Column
from console.tui.data_rows import VersionRows, row_columns
from console.tui.dataset_columns import column_columns, dataset_columns, version_columns
from console.tui.dataset_lines import column_lines, dataset_lines, version_lines
from console.tui.lines import Line
from console.tui.row_search import RowSearch, SearchBar
from console.tui.table import BigTable
from console.tui.table_pane import MOST, TablePane
from console.wording import plural, thousands

USERS = 20
"""Runs that are named as users of a version; versions whose users and checks are looked up."""


@dataclass(frozen=True)
class Level:
    """Where in the pane we are: nowhere, in a dataset, in a version of it, at that version's rows."""

    dataset: str = ""
    version: str = ""
    rows: bool = False

    @property
    def ref(self) -> str:
        return f"{self.dataset}@{self.version}"


@dataclass(frozen=True)
class Answer:
    """What was found at a level."""

    level: Level
    items: tuple[Any, ...]
    more: bool = False
    version: DatasetVersion | None = None
    users: dict[str, tuple[Run, ...]] | None = None
    profile: VersionProfile | None = None
    standings: dict[str, Standing] | None = None
    """By `name@version` how it stands with its checks."""


class DatasetsPane(TablePane):
    """By `enter` from datasets to versions to columns; `v` shows a version's rows."""

    PANE = "datasets"
    TITLE = "Datasets"
    FIELDS = DATASET_FIELDS
    EMPTY = "No datasets yet. Press i to import a file, or: mlops-console dataset import FILE"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.level = Level()
        self.version: DatasetVersion | None = None
        self.users: dict[str, tuple[Run, ...]] = {}
        self.standings: dict[str, Standing] = {}
        self.more = False
        self._wanted = ""
        self._profiles: dict[str, VersionProfile] = {}
        """By digest, since a version never changes."""
        self._profiling = ""
        self._shown: Level | None = Level()
        self.search = RowSearch(self)
        self._rows: VersionRows | None = None

    def first_columns(self) -> Sequence[Column[Any]]:
        return dataset_columns()

    # ------------------------------------------------------------ asking and showing

    def fetch(self) -> Answer:
        store = self.backend.need("datasets")
        level = self.level
        if not level.dataset:
            page = store.page(self.filter, limit=MOST)
            return Answer(level, page.items, page.next is not None)
        if not level.version:
            page = store.versions(level.dataset, limit=MOST)
            users = self._users_of(page.items[:USERS])
            standings = {each.ref: standing_of(self.backend, each) for each in page.items[:USERS]}
            return Answer(level, page.items, page.next is not None, users=users, standings=standings)
        version = store.version(level.ref)
        return Answer(level, version.columns, version=version, users={version.ref: self._users(version)})

    def _users_of(self, versions: Sequence[DatasetVersion]) -> dict[str, tuple[Run, ...]]:
        """By version the runs that read it. A server is asked for all of them in one question."""
        limit = self.backend.features.page_limit
        if not limit or self.backend.runs is None or not versions:
            return {version.ref: self._users(version) for version in versions}
        digests = In(Key("dataset", "digest"), tuple(version.digest for version in versions))
        runs = self.backend.runs.page(Query(where=digests), limit=limit).items
        return {
            version.ref: tuple(run for run in runs if any(read.digest == version.digest for read in run.inputs))
            for version in versions
        }

    def _users(self, version: DatasetVersion) -> tuple[Run, ...]:
        if self.backend.runs is None:
            return ()
        digest = Compare(Key("dataset", "digest"), "=", version.digest)
        return tuple(self.backend.runs.page(Query(where=digest), limit=USERS).items)

    def show(self, data: Any) -> None:
        answer: Answer = data
        if answer.level != self.level:
            return  # asked before the person went elsewhere; the answer for here is on its way
        self.version, self.more, self.users = answer.version, answer.more, answer.users or {}
        self.standings = answer.standings or {}
        if self._shown != self.level:
            self.table.restart(self._columns())
        if self.level.rows:
            self._show_rows()
        elif self.level.version and answer.version is not None:
            self._show_columns(answer.version)
        elif self.level.dataset:
            self.table.empty = f"{safe_text(self.level.dataset)} has no versions."
            self.table.set_columns(version_columns(self.standings))
            self.table.show_list(answer.items, lambda version: version.version)
        else:
            self.table.empty = "No dataset matches the filter." if self.query_text else self.EMPTY
            self.table.show_list(answer.items, lambda dataset: dataset.name)
        self._shown = self.level
        if self._wanted:
            self.table.go_to(self._wanted)
            self._wanted = ""
        self.draw_facts()

    def _columns(self) -> Sequence[Column[Any]]:
        if self.level.rows and self.version:
            return row_columns(self.version)
        if self.level.version and self.version:
            return column_columns(self.version, {})
        return version_columns(self.standings) if self.level.dataset else dataset_columns()

    def _show_columns(self, version: DatasetVersion) -> None:
        profile = self._profiles.get(version.digest)
        profiles = {column.name: column for column in profile.columns} if profile else {}
        self.table.empty = "This version has no columns."
        self.table.set_columns(column_columns(version, profiles))
        self.table.show_list(version.columns, lambda column: column.name)
        if profile is None and self._profiling != version.digest:
            self._profiling = version.digest
            self.run_worker(lambda: self._profile(version), thread=True, group="profile", exit_on_error=False)

    def _profile(self, version: DatasetVersion) -> None:
        from console.data.offloaded import profile_offloaded

        try:
            found = profile_offloaded(
                self.backend,
                version.ref,
                on_progress=self.app.report(f"counting the values of {safe_text(version.ref, 40)}"),
                cancel=lambda: self._profiling != version.digest,
            )
        except Cancelled:
            return
        except BackendError as error:
            self.app.call_from_thread(self._not_profiled, version, error)
            return
        finally:
            self.app.call_from_thread(self.app.say_work, ())
        self.app.call_from_thread(self._profiled, found)

    def _profiled(self, found: VersionProfile) -> None:
        self._profiles[found.digest] = found
        self._profiling = ""
        if self.version is not None and self.version.digest == found.digest and not self.level.rows:
            self._show_columns(self.version)
            self.draw_facts()
            self.app.refresh_frame()

    def _not_profiled(self, version: DatasetVersion, error: BackendError) -> None:
        self._profiling = ""
        self.app.show_problem(error, f"profile {version.ref}")

    def _show_rows(self) -> None:
        if self.version is None or self._shown == self.level:
            return  # a version never changes
        self.table.empty = "reading rows …" if self.version.rows else "This version has no rows."
        self._rows = VersionRows(self.backend, self.version)
        self.table.show(self._rows, at=START)

    def failed(self, error: Exception) -> None:
        if self.level.dataset and isinstance(error, NotFound):
            self.go_level(Level())
        super().failed(error)

    @property
    def column(self) -> DataColumn | None:
        """The column under the cursor, where columns are listed."""
        found = self.table.cursor_row
        return found if isinstance(found, DataColumn) else None

    @property
    def profile(self) -> VersionProfile | None:
        return self._profiles.get(self.version.digest) if self.version else None

    def _profile_of(self, column: str) -> ColumnProfile | None:
        return next((c for c in self.profile.columns if c.name == column), None) if self.profile else None

    def facts(self, width: int) -> list[Line]:
        match self.table.cursor_row:
            case Dataset() as dataset:
                return dataset_lines(dataset, width)
            case DatasetVersion() as version:
                return version_lines(version, self.users.get(version.ref, ()), width, self.standings.get(version.ref))
            case DataColumn() as column if self.version is not None:
                found = self._profile_of(column.name)
                return column_lines(self.version, column, found, width, waiting=bool(self._profiling))
            case tuple() as row if self.version is not None:
                pairs = zip(self.version.columns, row[1:], strict=False)
                shown = [(safe_text(c.name, 22), "∅" if value is None else safe_text(value, 200)) for c, value in pairs]
                return [Line([(f" {ink.fit(name, 22)} ", "dim"), (value, "")]) for name, value in shown]
        return []

    # ------------------------------------------------------------ what the frame asks

    def selected(self) -> object | None:
        found = self.table.cursor_row
        return self.version if isinstance(found, DataColumn | tuple) else found

    def marked(self) -> tuple[object, ...]:
        return tuple(row for row in self.table.marked if isinstance(row, Dataset | DatasetVersion))

    def crumbs(self) -> tuple[str, ...]:
        deeper = [self.level.dataset, f"@{self.level.version}" if self.level.version else ""]
        return (self.TITLE, *(word for word in deeper if word), *((self._place(),) if self.level.rows else ()))

    def _place(self) -> str:
        at = self.table.position
        if at is None or self.version is None:
            return "rows"
        return f"row {thousands(at + 1)} of {thousands(self.version.rows)}"

    def status(self) -> ink.Spans:
        count = self.table.count
        if self.level.version and self.version is not None:
            where = (f" {safe_text(self.level.ref, 40)}  ", "")
            if self.level.rows:
                at = self.table.position
                place = f"row {thousands(at + 1)} of " if at is not None else ""
                said = f"   {safe_text(self.search.text, 40)}: {self.search.said}" if self.search.said else ""
                return (where, (f"{place}{plural(self.version.rows, 'row')}", "dim"), (said, ""))
            words = (
                f"{plural(self.version.rows, 'row')} × {plural(len(self.version.columns), 'column')}   v shows the rows"
            )
            waiting = "   counting values …" if self._profiling else ""
            return (where, (words + waiting, "dim"))
        if count is None:
            return ()
        if self.level.dataset:
            return ((f" {safe_text(self.level.dataset, 40)}  ", ""), (plural(count.value, "version"), "dim"))
        more = " shown; a filter finds the others" if self.more else ""
        return ((f" {plural(count.value, 'dataset')}{more}", "dim"),)

    def copies(self) -> Sequence[tuple[str, str]]:
        match self.table.cursor_row:
            case Dataset() as dataset:
                return [("name", dataset.name), ("latest", f"{dataset.name}@{dataset.latest}")]
            case DatasetVersion() as version:
                return [("version", version.ref), ("digest", version.digest), ("source", version.source)]
            case DataColumn() as column:
                return [("column", column.name)]
            case tuple() as row if self.version is not None:
                pairs = zip(self.version.columns, row[1:], strict=False)
                return [(c.name, "" if value is None else str(value)) for c, value in pairs]
        return []

    def exported(self) -> tuple[str, Sequence[str], Iterator[Sequence[object]]]:
        if self.level.rows and self.version is not None:
            names = [column.name for column in self.version.columns]
            return self.level.ref, names, (row[1:] for row in VersionRows(self.backend, self.version).every())
        _, titles, rows = super().exported()
        return (self.level.ref if self.level.dataset else self.PANE), titles, rows

    # ------------------------------------------------------------ going in and out

    def go(self, argument: str) -> None:
        """`:datasets flights` or `flights@3` goes in; anything else is a filter."""
        name, _, version = argument.strip().rpartition("@")
        name, version = (name, version) if name else (version, "")
        try:
            store = self.backend.need("datasets")
            found = store.version(f"{name}@{version}") if version else store.get(name)
        except BackendError:
            self.go_level(Level())
            super().go(argument)
            return
        self.go_level(Level(found.name if isinstance(found, Dataset) else found.dataset, version))

    def go_level(self, level: Level, *, onto: str = "") -> None:
        self._leave_rows()
        self.set_open(False)
        self.level, self._wanted = level, onto
        self.refresh_data()

    def _leave_rows(self) -> None:
        """The processes that read them are no longer needed."""
        self.search.close()
        rows, self._rows = self._rows, None
        if rows is not None:
            threading.Thread(target=rows.close, daemon=True).start()  # it may have a question out

    def on_unmount(self) -> None:
        self._leave_rows()

    def filter_bar(self) -> Bar | None:
        if not self.level.rows or self.version is None:
            return super().filter_bar()
        return SearchBar(self.search, self.version.columns)

    def apply_query(self, query: Query, text: str) -> None:
        self._leave_rows()
        self.level = Level()
        super().apply_query(query, text)

    def open_selected(self) -> None:
        match self.table.cursor_row:
            case Dataset() as dataset:
                self.go_level(Level(dataset.name))
            case DatasetVersion() as version:
                self.go_level(Level(version.dataset, version.version))
            case DataColumn() | tuple():
                self.set_open(True)

    def view_rows(self) -> None:
        """`v`: the rows of the version under the cursor, or of a dataset's latest."""
        match self.selected():
            case Dataset() as dataset:
                self.go_level(Level(dataset.name, dataset.latest, rows=True))
            case DatasetVersion() as version:
                self.go_level(Level(version.dataset, version.version, rows=not self.level.rows))

    def back(self) -> bool:
        level = self.level
        if self.search.cancel():
            return True
        if self.opened:
            return super().back()
        if level.rows:
            self.go_level(Level(level.dataset, level.version))
        elif level.version:
            self.go_level(Level(level.dataset), onto=level.version)
        elif level.dataset:
            self.go_level(Level(), onto=level.dataset)
        else:
            return super().back()
        return True

    @on(BigTable.Failed)
    def _rows_failed(self, event: BigTable.Failed) -> None:
        self.failed(event.error)
