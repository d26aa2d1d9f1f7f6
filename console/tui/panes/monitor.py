"""Monitors; inside one, what its model sees against what it was trained on: features by severity, quality by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from textual.containers import Container

from backends.contract import BackendError, NotFound
from backends.entities import Monitor
from backends.query import MONITOR_FIELDS, Query
from console.config import Session
from console.monitoring.counts import unpack
from console.monitoring.read import Feature, MonitorView, course, histogram, monitor_view
from console.monitoring.severity import by_urgency
from console.safe import safe_text
from console.tui import ink, state
from console.tui.chart import Chart
from console.tui.columns import Column
from console.tui.course import Series
from console.tui.frame import OneLine
from console.tui.histogram import Histogram
from console.tui.lines import Line, LineList, wrapped
from console.tui.monitor_columns import feature_columns, monitor_columns
from console.tui.monitor_lines import batch_lines, feature_lines, monitor_lines, prediction_feature, quality_line
from console.tui.picture import Level
from console.tui.table_pane import MOST, TablePane
from console.wording import number, plural

if TYPE_CHECKING:
    from textual.app import ComposeResult

LOW = 22
"""Rows under which the course of the quality gives way."""


class MonitorPane(TablePane):
    """Monitors, and by `enter` the features of one, worst first."""

    PANE = "monitor"
    TITLE = "Monitor"
    FIELDS = MONITOR_FIELDS
    EMPTY = "No monitors yet. Press m on a model, or: mlops-console monitor create NAME --model MODEL"

    DEFAULT_CSS = """
    MonitorPane > #monitor-status { height: 1; }
    MonitorPane > #monitor-headline { height: 2; scrollbar-size: 0 0; }
    MonitorPane #monitor-histogram { height: 1fr; min-height: 8; }
    MonitorPane #monitor-psi { height: 8; }
    MonitorPane #monitor-facts { height: 10; }
    MonitorPane > #monitor-course { height: 30%; min-height: 8; max-height: 14; border-top: solid $rule; }
    MonitorPane.-list > #monitor-course, MonitorPane.-list #monitor-histogram, MonitorPane.-list #monitor-psi,
    MonitorPane.-low > #monitor-course, MonitorPane.-open > #monitor-course { display: none; }
    MonitorPane.-list #monitor-facts { height: 1fr; }
    MonitorPane.-list > #monitor-headline { display: none; }
    MonitorPane.-low > #monitor-headline { height: 3; }
    MonitorPane.-low.-open #monitor-psi { display: none; }
    MonitorPane.-low.-open #monitor-facts { height: 6; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.inside = ""
        """Name of the monitor whose features are listed; empty at the list of monitors."""
        self.view: MonitorView | None = None
        self._wanted = ""
        self._shown = ""
        self._came_by_itself = False
        self.headline = LineList(id="monitor-headline")
        self.headline.can_focus = False
        self.histogram = Histogram(id="monitor-histogram")
        self.psi = Chart(id="monitor-psi")
        self.course = Chart(id="monitor-course")
        self.add_class("-list")

    def first_columns(self) -> Sequence[Column[Any]]:
        return monitor_columns()

    def compose(self) -> ComposeResult:
        yield OneLine(id="monitor-status")
        yield self.headline
        self.table.add_class("master")
        yield Container(self.table, Container(self.histogram, self.psi, self.lines, classes="details"), classes="split")
        yield self.course

    # ------------------------------------------------------------ asking and showing

    def fetch(self) -> MonitorView | tuple[Monitor, ...]:
        if self.inside:
            return monitor_view(self.backend, self.inside)
        return tuple(self.backend.need("monitors").page(self.filter, limit=MOST).items)

    def show(self, data: Any) -> None:
        if isinstance(data, MonitorView):
            if data.monitor.name == self.inside:
                self._show_one(data)
        elif not self.inside:
            self._show_list(data)
        self._draw_status()

    def _show_list(self, monitors: tuple[Monitor, ...]) -> None:
        self.view = None
        if len(monitors) == 1 and not self.query_text and not self._came_by_itself:
            self._came_by_itself = True  # with one monitor there is nothing to choose
            self.enter(monitors[0].name)
            return
        self.set_class(True, "-list")
        self.table.empty = "No monitor matches the filter." if self.query_text else self.EMPTY
        if self._shown:
            self.table.restart(monitor_columns())
            self._shown = ""
        self.table.show_list(monitors, lambda monitor: monitor.name)
        if self._wanted:
            self.table.go_to(self._wanted)
            self._wanted = ""
        self.draw_facts()

    def _show_one(self, view: MonitorView) -> None:
        self.view = view
        self.set_class(False, "-list")
        columns = feature_columns(self._span())
        if self._shown != self.inside:
            self.table.restart(columns)
            self._shown = self.inside
        else:
            self.table.set_columns(columns)
        self.table.empty = view.headline if not view.windows else (view.trouble or "This window has no columns.")
        predicted = prediction_feature(view)
        rows = [*([predicted] if predicted else []), *view.features]
        self.table.show_list(rows, lambda feature: feature.column)
        self._draw_headline()
        self._draw_course()
        self.draw_facts()

    def _span(self) -> str:
        if self.view is None:
            return ""
        return f"{len(self.view.windows)} {self.view.monitor.window}s"

    def failed(self, error: Exception) -> None:
        if self.inside and isinstance(error, NotFound):
            self.leave()
        super().failed(error)

    def _draw_status(self) -> None:
        self.query_one("#monitor-status", OneLine).say(self.status())

    def _draw_headline(self) -> None:
        if self.view is None:
            return
        tone = state.state_of(self.view.monitor.state).tone
        width = max(20, self.size.width - 2)
        lines = wrapped(safe_text(self.view.headline, 600), width, "" if tone == "good" else tone, " ")[:2]
        if self.has_class("-low") and self.view.metric:
            lines.append(quality_line(self.view, width))
        self.headline.set_lines(lines)

    def _draw_course(self) -> None:
        view = self.view
        if view is None or not view.metric:
            self.course.plot([], title=" no labels yet: drop a labels file, or: mlops-console monitor labels NAME FILE")
            return
        from console.monitoring.performance import LARGER_IS_BETTER
        from console.monitoring.policy import read_policy
        from console.monitoring.wording import label

        points = [(float(at), float("nan") if e is None else e.value) for at, e in course(view.windows, view.metric)]
        levels = []
        reference = view.reference.get(view.metric)
        if reference is not None:
            effect = read_policy(view.monitor.policy).min_effect
            effect *= abs(reference) if view.metric in ("rmse", "mae") else 1.0
            limit = reference - effect if LARGER_IS_BETTER.get(view.metric, True) else reference + effect
            levels = [
                Level(reference, f"reference {number(reference, 3)}"),
                Level(limit, f"alert {'below' if limit < reference else 'above'} {number(limit, 3)}"),
            ]
        title = f" {label(view.metric)} by {view.monitor.window}"
        self.course.plot([Series(label(view.metric), tuple(points))], title=title, levels=levels, times=True)

    def draw_facts(self) -> None:
        super().draw_facts()
        feature, view = self.table.cursor_row, self.view
        if not isinstance(feature, Feature) or view is None or view.profile is None or view.newest is None:
            self.histogram.show_levels((), (), (), title=" no reference to compare with")
            self.psi.plot([], title="")
            return
        try:
            found = histogram(view.profile, unpack(view.newest.counts), feature.column)
        except BackendError as error:
            self.histogram.show_levels((), (), (), title=f" {error}")
        else:
            names = (f"training, {plural(found.reference_rows, 'row')}", f"now, {plural(found.current_rows, 'row')}")
            if found.edges:
                self.histogram.show_bins(
                    found.edges, found.reference, found.current, title=f" {feature.column}", names=names
                )
            else:
                self.histogram.show_levels(
                    found.bars, found.reference, found.current, title=f" {feature.column}", names=names
                )
        points = [
            (float(window.start), float("nan") if value is None else value)
            for window, value in zip(view.windows, feature.course, strict=False)
        ]
        self.psi.plot([Series("PSI", tuple(points))], title=f" PSI of {feature.column}", times=True)

    def facts(self, width: int) -> list[Line]:
        match self.table.cursor_row:
            case Monitor() as monitor:
                return monitor_lines(monitor, width)
            case Feature() as feature if self.view is not None:
                return feature_lines(feature, self.view, width)
        return batch_lines(self.view, width) if self.view is not None else []

    # ------------------------------------------------------------ what the frame asks

    def selected(self) -> object | None:
        """Inside a monitor its alert that fires, so that `a` and `b` act on it; else the monitor itself."""
        if self.view is None:
            return self.table.cursor_row
        alerts = by_urgency(self.view.alerts)
        return alerts[0] if alerts else self.view.monitor

    def crumbs(self) -> tuple[str, ...]:
        row = self.table.cursor_row
        deeper = (row.column,) if self.opened and isinstance(row, Feature) else ()
        return (self.TITLE, *((self.inside,) if self.inside else ()), *deeper)

    def status(self) -> ink.Spans:
        view = self.view
        if view is None:
            count = self.table.count
            return ((f" {plural(count.value, 'monitor')}", "dim"),) if count else ()
        monitor = view.monitor
        word = "paused" if monitor.paused else str(monitor.state)
        spans: list[ink.Span] = [(" ", ""), state.span(word), (f"  {safe_text(monitor.name, 30)}", "head")]
        model = "" if monitor.model == monitor.name else f"{safe_text(monitor.model, 30)} "
        if view.version:
            spans.append((f"  {model}v{safe_text(view.version, 8)} {safe_text(monitor.alias, 16)}", ""))
        if view.newest is not None:
            from console.monitoring.read import label_share
            from console.monitoring.wording import moment

            rows = plural(view.newest.rows, "prediction")
            spans.append((f"  {moment(view.newest.start, monitor.window)}: {rows}, {label_share(view.newest)}", "dim"))
            spans.append((f"  against {plural(view.reference_rows, 'row')} of training", "dim"))
        return spans

    def details(self) -> Sequence[Line]:
        width = max(20, self.size.width - 4)
        return [*self.facts(width), *(batch_lines(self.view, width) if self.view is not None else [])]

    def copies(self) -> Sequence[tuple[str, str]]:
        if self.view is None:
            row = self.table.cursor_row
            return [("name", row.name), ("folder", row.source)] if isinstance(row, Monitor) else []
        return [
            ("headline", self.view.headline),
            ("monitor", self.view.monitor.name),
            ("folder", self.view.monitor.source),
        ]

    def exported(self) -> tuple[str, Sequence[str], Iterator[Sequence[object]]]:
        if self.view is None:
            return super().exported()
        titles = ("column", "state", "psi", "ks", "missing", "outside", "new", "importance", "reason")
        rows = (
            (f.column, str(s.state), s.psi, s.ks, s.missing, s.outside, s.new, f.importance, s.reason)
            for f in self.view.features
            for s in (f.score,)
        )
        return self.inside, titles, rows

    # ------------------------------------------------------------ going in and out

    def go(self, argument: str) -> None:
        """`:monitor flights` goes into the monitor of that name; anything else is a filter."""
        try:
            self.backend.need("monitors").get(argument.strip())
        except BackendError:
            self.leave()
            super().go(argument)
            return
        self.enter(argument.strip())

    def apply_query(self, query: Query, text: str) -> None:
        self.inside, self.view = "", None
        super().apply_query(query, text)

    def enter(self, name: str) -> None:
        self.set_open(False)
        self.inside = name
        self.refresh_data()

    def leave(self) -> None:
        """Back to the list of monitors, with the cursor on the one we were in."""
        if self.inside:
            self._wanted, self.inside, self.view = self.inside, "", None
            self._came_by_itself = True
            self.refresh_data()

    def open_selected(self) -> None:
        row = self.table.cursor_row
        if isinstance(row, Monitor):
            self.enter(row.name)
        elif row is not None:
            self.set_open(True)

    def back(self) -> bool:
        if not self.opened and self.inside:
            self.leave()
            return True
        return super().back()

    def plain(self) -> str:
        lead = [self.view.headline] if self.view else []
        return "\n".join([*(safe_text(line) for line in lead), self.table.plain()])

    def on_resize(self) -> None:
        super().on_resize()
        self.set_class(self.size.height < LOW, "-low")
        self._draw_headline()
