"""The Runs pane with its sweeps: `enter` goes into one, to its trials and its plots; `esc` comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.containers import Container

from backends.entities import Run
from backends.query import And, Compare, Has, Key, Not, Order, Query
from console.safe import safe_text
from console.training.sweep import TRIAL_TAG
from console.tui import ink, state
from console.tui.frame import OneLine
from console.tui.panes.runs import RunsPane, Split
from console.tui.run_columns import SWEEP_TAG, is_sweep

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.config import Session
    from console.training.sweep.begin import SweepState
    from console.tui.panes.run_detail import RunDetail
    from console.tui.sweep_plots import SweepPlots

MOST_FOLDED = 10_000
"""Runs of a list that leaves out the trials."""


class SweepingRunsPane(RunsPane):
    """While a sweep is entered the list holds its trials, and the plots stand where a run's facts stand else."""

    DEFAULT_CSS = """
    SweepingRunsPane > #sweep-best { height: 1; display: none; }
    SweepingRunsPane.-sweep > #sweep-best { display: block; }
    SweepingRunsPane #sweep-place { display: none; height: 55%; width: 1fr; border-top: solid $rule; }
    SweepingRunsPane.-sweep #sweep-place { display: block; }
    SweepingRunsPane.-sweep.-wide #sweep-place { height: 1fr; width: 48%; border-top: none; border-left: solid $rule;
                                                  padding: 0 0 0 1; }
    SweepingRunsPane.-sweep > .split > .details { display: none; }
    SweepingRunsPane.-sweep.-open > .split > .details { display: block; }
    SweepingRunsPane.-sweep.-open #sweep-place { display: none; }
    SweepingRunsPane.-sweep.-plot #sweep-place { height: 1fr; width: 1fr; border: none; }
    SweepingRunsPane.-sweep.-plot > .split > .master { height: 0; display: none; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.within: Run | None = None
        """The sweep that was entered."""
        self.sweep_state: SweepState | None = None
        self._plots: SweepPlots | None = None
        self._folds = False
        """Trials stand under their sweeps alone."""
        self._left = ""
        """The sweep that was come out of: the list of runs begins on its row."""

    def compose(self) -> ComposeResult:
        for widget in super().compose():
            if isinstance(widget, Split):
                yield OneLine(id="sweep-best")
            yield widget

    @property
    def plots(self) -> SweepPlots:
        """Made when a sweep is first entered."""
        if self._plots is None:
            from console.tui.sweep_plots import SweepPlots

            self._plots = SweepPlots(id="sweep-plots")
            self.query_one(Split).mount(Container(self._plots, id="sweep-place"))
        return self._plots

    @property
    def sweep(self) -> Run | None:
        """What the keys of sweeps are about: the one that was entered, else the one under the cursor."""
        if self.within is not None:
            return self.within
        row = self.selected()
        return row if isinstance(row, Run) and is_sweep(row) else None

    @property
    def charts(self) -> RunDetail | None:
        return super().charts if self.within is None or self.opened else None

    # ------------------------------------------------------------ in and out

    def open_selected(self) -> None:
        row = self.selected()
        if self.within is None and isinstance(row, Run) and is_sweep(row):
            self.enter(row)
        else:
            super().open_selected()

    def enter(self, sweep: Run) -> None:
        """Its trials and its plots."""
        self._go_within(sweep)

    def leave(self) -> None:
        """Back to the list of runs, on the row of the sweep."""
        self._left = self.within.id if self.within is not None else ""
        self._go_within(None)

    def _go_within(self, sweep: Run | None) -> None:
        self.within, self.sweep_state = sweep, None
        self.filter, self.query_text, self._sorted, self._shown = Query(), "", (), None
        self.set_class(sweep is not None, "-sweep")
        self.remove_class("-plot")
        self.plots.alone = False
        self.plots.show(None)
        self.table.clear_marks()
        self._say_best()
        self.refresh_data()
        self.focus_list()
        self.app.refresh_frame()

    def back(self) -> bool:
        if not self.opened and self.has_class("-plot"):
            self.plot_alone()
            return True
        if super().back():
            return True
        if self.within is not None:
            self.leave()
            return True
        return False

    def go(self, argument: str) -> None:
        if self.within is not None:
            self.leave()
        super().go(argument)

    def plot_alone(self) -> None:
        """One plot on the full screen, or beside the trials again."""
        self.plots.alone = not self.plots.alone
        self.set_class(self.plots.alone, "-plot")
        self.call_after_refresh(self.plots.paint)

    def turn_plot(self, by: int) -> None:
        self.plots.turn(by)

    # ------------------------------------------------------------ asking

    @property
    def query_now(self) -> Query:
        query = super().query_now
        if self.within is None:
            folded = self._folds and query.where is None
            return Query(where=Not(Has(Key("tag", TRIAL_TAG))), order=query.order) if folded else query
        mine = Compare(Key("attribute", "parent"), "=", self.within.id)
        order = query.order or (Order(Key("attribute", "created"), descending=True),)
        return Query(where=mine if query.where is None else And((mine, query.where)), order=order)

    def fetch(self) -> Any:
        within = self.within
        if within is None:
            self._folds = self._can_fold()
            return super().fetch()
        from console.training.sweep.begin import sweep_state

        return sweep_state(self.backend, self.backend.need("runs").get(within.id))

    def _can_fold(self) -> bool:
        """Whether the list without a filter leaves out what is under its sweeps. A server is not asked for it, and in
        a very long list every jump would count what is left out."""
        if self.backend.features.page_limit:
            return False
        runs = self.backend.need("runs")
        sweeps = Query(where=Compare(Key("tag", SWEEP_TAG), "=", "1"))
        return (
            bool(runs.page(sweeps, limit=1).items) and runs.count(Query(), limit=MOST_FOLDED + 1).value <= MOST_FOLDED
        )

    def show(self, data: Any) -> None:
        from console.training.sweep.begin import SweepState

        if not isinstance(data, SweepState):
            if self.within is None:
                super().show(data)
                if self._left and self._shown == self.query_now:  # the list is there whose row it is
                    self.table.go_to(self._left)
                    self._left = ""
            return
        if self.within is None or data.run.id != self.within.id:
            return  # another list is on its way
        from console.tui.trial_columns import trial_columns

        first, self.sweep_state, self.within = self.sweep_state is None, data, data.run
        if first:
            self.table.set_columns(trial_columns(data))
        query = self.query_now
        if query != self._shown:
            self._shown = query
            self.table.sort = query.order[0].key.name if query.order[0].key.scope == "attribute" else self.table.sort
            self.table.descending = query.order[0].descending
            self.table.empty = self.empty_text()
            self.table.show(self._source(query))
        else:
            self.table.refresh_rows()
        self.plots.show(data)
        self._say_best()
        self._rest()

    def asked_keys(self) -> list[str]:
        if self.within is None:
            return super().asked_keys()
        from console.tui.trial_columns import TAGS

        return super().asked_keys() + TAGS

    def empty_text(self) -> str:
        if self.within is not None and self.filter.where is None:
            return "No trial yet: the first one begins as soon as the agent has a slot."
        return super().empty_text()

    # ------------------------------------------------------------ what is said

    def crumbs(self) -> tuple[str, ...]:
        if self.within is None:
            return super().crumbs()
        row = self.selected()
        trial = (row.name or row.id[:8],) if isinstance(row, Run) and not self.has_class("-plot") else ()
        return (self.TITLE, self.within.name or self.within.id[:8], *trial)

    def status(self) -> ink.Spans:
        found = self.sweep_state
        if self.within is None:
            folded = self._folds and self.filter.where is None
            return [*super().status(), ("   trials under their sweeps", "dim")] if folded else super().status()
        spans: list[ink.Span] = [(" Sweep  ", "head"), (safe_text(self.within.name or self.within.id[:8], 30), "")]
        if found is not None:
            from console.training.sweep.telling import budget_text, counts_text, state_text, state_word

            spans += [("  ", ""), state.span(state_word(found.run), safe_text(state_text(found), 90))]
            rest = [counts_text(found), "" if found.run.status.ended else budget_text(found)]
            spans.append(("".join(f"   {text}" for text in rest if text), "dim"))
        if self.query_text:
            spans.append((f"   {safe_text(self.query_text)}", ""))
        if marks := len(self.table.marked_keys):
            spans.append((f"   {marks} marked", "mark"))
        return spans

    def _say_best(self) -> None:
        from console.training.sweep.telling import best_text

        found = self.sweep_state
        text = best_text(found) if found is not None else ""
        self.query_one("#sweep-best", OneLine).say(
            [(f" {safe_text(text)}", "accent" if found and found.best else "dim")]
        )

    def plain(self) -> str:
        if self.within is None or self.sweep_state is None:
            return super().plain()
        from console.training.sweep.telling import best_text

        return f"{ink.plain(self.status())}\n{safe_text(best_text(self.sweep_state))}\n{self.table.plain()}".strip()

    def _rest(self) -> None:
        if self.within is None or self.opened:
            super()._rest()
            return
        self._say_status()
        self.app.refresh_frame()

    def set_open(self, opened: bool) -> None:
        super().set_open(opened)
        if not opened and self.within is not None:
            self._rest()
