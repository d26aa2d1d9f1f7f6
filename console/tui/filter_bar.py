"""`/` filters the pane while you type; esc puts back what was shown before, enter keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import on
from textual.suggester import Suggester
from textual.widgets import Input

from backends.query import Query, QueryError, complete, parse
from console.safe import safe_text
from console.tui.bar import Bar, Line
from console.tui.frame import OneLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.timer import Timer

    from console.tui.pane import Pane

PATIENCE = 0.12
"""Seconds without a key before the rows follow."""

SERVER_PATIENCE = 0.3
"""The same where each search costs a server something."""


class FilterSuggester(Suggester):
    """The first completion that goes on from what is typed, as a ghost."""

    def __init__(self, pane: Pane) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.pane = pane

    async def get_suggestion(self, value: str) -> str | None:
        if not value.strip():
            return None
        import asyncio

        options = await asyncio.to_thread(suggestions, self.pane, value)
        return next((whole for whole in options if whole.startswith(value) and whole != value), None)


def suggestions(pane: Pane, text: str) -> list[str]:
    """The whole line for each way to go on at its end, best first. Asks the backend for keys: call it in a thread."""
    found = complete(text, len(text), pane.FIELDS, lambda scope, prefix: known_keys(pane, scope, prefix))
    return [text[: option.start] + option.text + text[option.end :] for option in found]


def known_keys(pane: Pane, scope: str, prefix: str) -> Sequence[str]:
    runs = pane.backend.runs
    plural = {"metric": "metrics", "param": "params", "tag": "tags"}.get(scope, scope)
    if runs is None or plural not in ("metrics", "params", "tags"):
        return ()
    return tuple(runs.keys(plural, prefix=prefix, limit=20))


class FilterBar(Bar):
    SIGN = "/"

    def __init__(self, pane: Pane) -> None:
        super().__init__(id="filter-bar")
        self.pane = pane
        self.before = (pane.filter, pane.query_text)
        self.waiting: Timer | None = None
        self.applied = pane.query_text

    def line(self) -> Line:
        return Line(self.pane.query_text, id="bar-line", suggester=FilterSuggester(self.pane), select_on_focus=False)

    @on(Input.Changed)
    def _changed(self, _: Input.Changed) -> None:
        if self.waiting is not None:
            self.waiting.stop()
        remote = self.pane.backend.features.page_limit
        self.waiting = self.set_timer(SERVER_PATIENCE if remote else PATIENCE, self.preview)

    def read(self) -> Query | None:
        """The query as typed; None where it cannot be read, which the hint then says with a caret under the place."""
        text = self.query_one("#bar-line", Line).value
        hint = self.query_one("#bar-hint", OneLine)
        try:
            query = parse(text, self.pane.FIELDS) if text.strip() else Query()
        except QueryError as error:
            at = min(error.position, self.app.size.width - 8)
            says: Any = error.summary
            if at + 6 + len(says) < self.app.size.width:
                hint.say([(" " * (3 + at) + "^ ", "bad"), (safe_text(says), "warn")])
            else:
                hint.say([(" ^ ", "bad"), (safe_text(says), "warn")])
            return None
        hint.say([(" tab completes · enter keeps · esc as before", "dim")])
        return query

    def preview(self) -> None:
        text = self.query_one("#bar-line", Line).value.strip()
        query = self.read()
        if query is not None and text != self.applied:
            self.applied = text
            self.pane.apply_query(query, text)
            self.app.refresh_frame()

    @on(Input.Submitted)
    def _entered(self, _: Input.Submitted) -> None:
        if self.waiting is not None:
            self.waiting.stop()
        if self.read() is None:
            return
        self.preview()
        self.close()

    def action_cancel(self) -> None:
        if self.waiting is not None:
            self.waiting.stop()
        if self.applied != self.before[1]:
            self.pane.apply_query(*self.before)
            self.app.refresh_frame()
        self.close()
