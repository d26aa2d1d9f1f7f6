"""Every change: who, when, what, from, to, why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.contract import START, Page
from backends.entities import JournalEntry, Outcome
from backends.query import JOURNAL_FIELDS, Query
from console.safe import safe_text
from console.tui import ink, state
from console.tui.columns import Column, Tone
from console.tui.describing import record_lines
from console.tui.journal_change import change
from console.tui.rows import PagedRows
from console.tui.table_pane import TablePane
from console.wording import local_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.tui.lines import Line

EXPORTED = 500
"""Entries in a page of an export."""


class JournalPane(TablePane):
    """Newest first; the filter is `action = model.promote and at > 7d` and the like."""

    PANE = "journal"
    TITLE = "Journal"
    FIELDS = JOURNAL_FIELDS
    EMPTY = "Nothing was changed yet. Every import, run, promotion and rollback is written down here."

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self._shown: Query | None = None

    def first_columns(self) -> Sequence[Column[JournalEntry]]:
        return COLUMNS

    def fetch(self) -> Query:
        self.backend.need("journal")
        return self.filter

    def show(self, data: Query) -> None:
        if data != self._shown:
            self._shown = data
            self.table.empty = "No entry matches. Press esc to take the filter away." if data.where else self.EMPTY
            self.table.show(self._source(data))
        else:
            self.table.refresh_rows()
        self.draw_facts()

    def _source(self, query: Query) -> PagedRows[JournalEntry]:
        journal = self.backend.need("journal")

        def page(at: str, limit: int) -> Page[JournalEntry]:
            found: Page[JournalEntry] = journal.page(query, at=at, limit=limit)
            return found

        return PagedRows(page, lambda entry: entry.id, seek=False)

    def facts(self, width: int) -> list[Line]:  # noqa: ARG002
        entry = self.selected()
        return record_lines(entry) if isinstance(entry, JournalEntry) else []

    def status(self) -> ink.Spans:
        return [(safe_text(self.query_text or "all, newest first", 200), "dim")]

    def crumbs(self) -> tuple[str, ...]:
        entry = self.selected() if self.is_mounted else None
        return (self.TITLE, f"#{entry.seq}") if isinstance(entry, JournalEntry) else (self.TITLE,)

    def copies(self) -> Sequence[tuple[str, str]]:
        entry = self.selected()
        if not isinstance(entry, JournalEntry):
            return ()
        return [("entry id", entry.id), ("target", entry.target), ("hash", entry.hash), ("reason", entry.reason)]

    def exported(self) -> tuple[str, Sequence[str], Iterator[Sequence[object]]]:
        names = ("seq", "id", "at", "actor", "action", "target", "before", "after", "reason", "outcome", "undoes")
        query, journal = self.filter, self.backend.need("journal")

        def rows() -> Iterator[Sequence[object]]:
            at: str | None = START
            while at is not None:
                page = journal.page(query, at=at, limit=EXPORTED)
                for entry in page.items:
                    yield [getattr(entry, name) for name in names]
                at = page.next

        return "journal", names, rows()

    @property
    def busy(self) -> bool:
        return super().busy or (self.is_mounted and self.table.busy)


def outcome(entry: JournalEntry) -> str:
    word = "undone" if entry.undone_by else str(entry.outcome)
    return state.span(word)[0]


def _tone(entry: JournalEntry) -> Tone:
    if entry.outcome is Outcome.FAILED:
        return "bad"
    return "warn" if entry.outcome is Outcome.INTENT else ""


COLUMNS: tuple[Column[JournalEntry], ...] = (
    Column("at", "when", lambda entry: local_time(entry.at), 19),
    Column("action", "what", lambda entry: entry.action, 14, grow=1, most=22),
    Column("target", "on", lambda entry: entry.target, 12, grow=2, most=36),
    Column("change", "change", change, 14, priority=2, grow=3, most=50),
    Column("actor", "who", lambda entry: entry.actor, 12, priority=1, grow=1, most=28),
    Column("reason", "why", lambda entry: entry.reason, 12, priority=3, grow=4, most=80),
    Column("outcome", "", outcome, 10, tone=_tone),
)
