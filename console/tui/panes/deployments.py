"""Deployments: what is served against what the aliases say, and how it does; live while it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backends.contract import BackendError
from backends.entities import Column as Input
from backends.entities import Deployment
from backends.query import DEPLOYMENT_FIELDS, Query
from console.config import Session
from console.serving.deployment.call import curl
from console.serving.deployment.figures import Looks, View, views
from console.tui import ink
from console.tui.columns import Column
from console.tui.deployment_columns import deployment_columns
from console.tui.deployment_lines import deployment_lines
from console.tui.lines import Line
from console.tui.table_pane import MOST, TablePane
from console.wording import plural

BEAT_S: Final = 2.0
"""Between two looks at servers that run. A look that says what the last one said writes nothing."""


class DeploymentsPane(TablePane):
    """One row a deployment; `enter` shows the whole of it."""

    PANE = "deployments"
    TITLE = "Deployments"
    FIELDS = DEPLOYMENT_FIELDS
    EMPTY = "No deployments yet. Press w to serve a model, or: mlops-console deploy start MODEL@champion"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._looks = Looks()
        self._running = False
        self._wanted = ""
        self._inputs: dict[tuple[str, str], tuple[Input, ...]] = {}
        """(model, version) → the columns that it takes."""

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(BEAT_S, self._beat)

    def first_columns(self) -> Sequence[Column[Any]]:
        return deployment_columns()

    def fetch(self) -> tuple[View, ...]:
        page = self.backend.need("deployments").page(self.filter, limit=MOST)
        found = views(self.backend, page.items, self._looks)
        self._learn_inputs(found)
        return found

    def _learn_inputs(self, found: Sequence[View]) -> None:
        """What each served version takes, asked once: a line to copy holds a row of it."""
        for view in found:
            served = (view.deployment.model, view.standings[0].served if view.standings else "")
            if not served[1] or served in self._inputs:
                continue
            try:
                version = self.backend.need("registry").version(*served)
            except BackendError:  # a server that is away: the line is without a row until it answers
                continue
            self._inputs[served] = version.signature.inputs

    def show(self, data: Any) -> None:
        self._running = any(view.deployment.status.pid is not None for view in data)
        self.table.empty = "No deployment matches the filter." if self.query_text else self.EMPTY
        self.table.show_list(data, lambda view: view.deployment.name)
        if self._wanted:
            self.table.go_to(self._wanted)
            self._wanted = ""
        self.draw_facts()

    def facts(self, width: int) -> list[Line]:
        row = self.table.cursor_row
        return deployment_lines(row, width) if isinstance(row, View) else []

    def _beat(self) -> None:
        """Servers do not write what they count into the store: who looks asks them."""
        if self._running and self.app.pane is self and self.app.app_focus and not self.busy:
            self.refresh_data()

    # ------------------------------------------------------------ what the frame asks

    def selected(self) -> object | None:
        row = self.table.cursor_row
        return row.deployment if isinstance(row, View) else None

    def marked(self) -> tuple[object, ...]:
        return ()

    def crumbs(self) -> tuple[str, ...]:
        row = self.selected()
        return (self.TITLE, row.name) if self.opened and isinstance(row, Deployment) else (self.TITLE,)

    def status(self) -> ink.Spans:
        count = self.table.count
        return ((f" {plural(count.value, 'deployment')}", "dim"),) if count else ()

    def copies(self) -> Sequence[tuple[str, str]]:
        row = self.selected()
        if not isinstance(row, Deployment):
            return []
        found = [("url", row.status.url or row.name), ("name", row.name), ("model", row.model)]
        version = row.status.served[0].version if row.status.served else ""
        line = curl(row, self._inputs.get((row.model, version), ()))
        return [("curl", line), *found] if line else found

    # ------------------------------------------------------------ going in and out

    def go(self, argument: str) -> None:
        """`:deployments live` puts the cursor on the one of that name; anything else is a filter."""
        try:
            self.backend.need("deployments").get(argument.strip())
        except BackendError:
            super().go(argument)
            return
        self._wanted = argument.strip()
        self.apply_query(Query(), "")
