"""Monitors; inside one, what its model sees against what it was trained on: features by severity, quality by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
from textual.containers import Container

from backends.contract import BackendError, NotFound
from backends.entities import Monitor
from backends.query import MONITOR_FIELDS, Query
from console.config import Session
from console.monitoring.alarms.severity import by_urgency, is_firing
from console.monitoring.charted import QUALITY, charts_of, keys_of_chart
from console.monitoring.counted.counts import unpack
from console.monitoring.drift.histograms import histogram
from console.monitoring.happened import onset_mark
from console.monitoring.marks import Mark
from console.monitoring.ranges import ALL
from console.monitoring.read import Feature, Look, MonitorView, monitor_view
from console.safe import safe_text
from console.services.following import note_look
from console.tui import ink
from console.tui.chart import Chart
from console.tui.columns import Column
from console.tui.course import Series
from console.tui.frame import OneLine
from console.tui.histogram import Histogram
from console.tui.lines import Line, LineList
from console.tui.monitor_charts import below_chart, draw_chart
from console.tui.monitor_columns import exported_features, feature_columns, monitor_columns
from console.tui.monitor_head import headline_lines, status_spans
from console.tui.monitor_lines import batch_lines, feature_lines, label_feature, monitor_lines, prediction_feature
from console.tui.table_pane import MOST, TablePane
from console.wording import plural

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.timer import Timer

CALM_S = 6.0
"""Between two looks at a monitor that changes all the time: reading and drawing it takes some 45 ms of CPU."""
HERE_S = 3.0
"""So long after a key what changes is probably what the person did."""
LOW = 22
"""Rows under which the course of the quality gives way."""


class MonitorPane(TablePane):
    """Monitors, and by `enter` the features of one, worst first."""

    PANE = "monitor"
    TITLE = "Monitor"
    FIELDS = MONITOR_FIELDS
    EMPTY = "No monitors yet. M makes one, or: mlops-console monitor create NAME --model MODEL"

    DEFAULT_CSS = """
    MonitorPane > #monitor-status { height: 1; }
    MonitorPane > #monitor-headline { height: 2; scrollbar-size: 0 0; }
    MonitorPane > #monitor-below { height: 2; scrollbar-size: 0 0; }
    MonitorPane #monitor-histogram { height: 1fr; min-height: 8; }
    MonitorPane #monitor-psi { height: 8; }
    MonitorPane #monitor-facts { height: 10; }
    MonitorPane > #monitor-course { height: 30%; min-height: 8; max-height: 13; }
    MonitorPane.-list > #monitor-course, MonitorPane.-list #monitor-histogram, MonitorPane.-list #monitor-psi,
    MonitorPane.-low > #monitor-course, MonitorPane.-open > #monitor-course { display: none; }
    MonitorPane.-list > #monitor-below, MonitorPane.-low > #monitor-below,
    MonitorPane.-open > #monitor-below { display: none; }
    MonitorPane.-charted > .split { display: none; }
    MonitorPane.-charted > #monitor-course { display: block; height: 1fr; max-height: 100%; }
    MonitorPane.-charted > #monitor-below { display: block; }
    MonitorPane.-list #monitor-facts { height: 1fr; }
    MonitorPane.-list > #monitor-headline { display: none; }
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
        self._looked = -CALM_S
        """When a monitor was last shown (s, monotonic)."""
        self._waits: Timer | None = None
        self._headed = ""
        """What stands above the courses."""
        self._came_by_itself = False
        self.headline = LineList(id="monitor-headline")
        self.headline.can_focus = False
        self.histogram = Histogram(id="monitor-histogram")
        self.psi = Chart(id="monitor-psi")
        self.course = Chart(id="monitor-course")
        self.below = LineList(id="monitor-below")
        self.below.can_focus = False
        self.look = Look()
        self.chart_kind = QUALITY
        self._pictured: tuple[object, object] = (None, None)
        """Feature and view that the pictures are of."""
        self._onsets: dict[str, Mark | None] = {}
        """Of an alert by its id, and of a monitor once somebody asked why."""
        self._wants_onset = ""
        self._named = False
        """The chart was asked for by name or key, and stays whatever is there to show."""
        self.add_class("-list")

    def first_columns(self) -> Sequence[Column[Any]]:
        return monitor_columns()

    def compose(self) -> ComposeResult:
        yield OneLine(id="monitor-status")
        yield self.headline
        self.table.add_class("master")
        yield Container(self.table, Container(self.histogram, self.psi, self.lines, classes="details"), classes="split")
        yield self.course
        yield self.below

    # ------------------------------------------------------------ asking and showing

    def fetch(self) -> MonitorView | tuple[Monitor, ...]:
        if self.inside:
            if self.backend.metrics is not None and self.session.workspace is not None:
                note_look(self.session.workspace)  # the agent asks the metrics store more often meanwhile
            view = monitor_view(self.backend, self.inside, look=self.look)
            if self._wants_onset and self._wants_onset not in self._onsets:
                self._onsets[self._wants_onset] = onset_mark(self.backend, self.inside)
            return view
        return tuple(self.backend.need("monitors").page(self.filter, limit=MOST).items)

    def show(self, data: Any) -> None:
        if isinstance(data, MonitorView):
            if data.monitor.name == self.inside and data.look == self.look:
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

    def noticed(self) -> None:
        """Rows may arrive many times a second: within a monitor it looks again once in a while. Alerts do not wait for
        that, the frame tells of them; nor does a person who has just changed something."""
        left = self._looked + CALM_S - monotonic()
        if not self.inside or left <= 0 or self.app.untouched_s < HERE_S:
            self.refresh_data()
        elif self._waits is None:
            self._waits = self.set_timer(left, self._look_again)

    def _look_again(self) -> None:
        self._waits = None
        if self.dirty:  # or it was asked meanwhile
            self.refresh_data()

    def mark_onset(self, monitor: str, mark: Mark | None) -> None:
        """Draw it into the charts of this monitor from here on."""
        self._onsets[monitor] = mark
        self.refresh_data()

    def _with_onset(self, view: MonitorView) -> MonitorView:
        """With the mark of its onset. When an alert fires that is looked for once, behind what is drawn already."""
        firing = next((alert.id for alert in view.alerts if is_firing(alert)), "")
        self._wants_onset = firing
        if firing and firing not in self._onsets:
            self.refresh_data()
        mark = self._onsets.get(firing) or self._onsets.get(view.monitor.name)
        if mark is None or not view.windows or not view.windows[0].start <= mark.at <= view.windows[-1].end:
            return view
        return msgspec.structs.replace(view, marks=tuple(sorted((*view.marks, mark), key=lambda each: each.at)))

    def _show_one(self, view: MonitorView) -> None:
        self._looked = monotonic()
        view = self._with_onset(view)
        self.view = view
        self.set_class(False, "-list")
        span = self._span()
        if self._shown != self.inside:
            self.table.restart(feature_columns(span))
            self._shown, self._headed = self.inside, span
        elif self._headed != span:
            self.table.set_columns(feature_columns(span))
            self._headed = span
        self.table.empty = view.headline if not view.windows else (view.trouble or "This window has no columns.")
        whole = [row for row in (prediction_feature(view), label_feature(view)) if row is not None]
        rows = [*whole, *view.features]
        self.table.show_list(rows, lambda feature: feature.column)
        self._draw_headline()
        self._draw_course()
        self.draw_facts()

    def _span(self) -> str:
        if self.view is None:
            return ""
        if self.view.kind == ALL:
            return "all of it"
        return plural(len(self.view.windows), {"batch": "batche"}.get(self.view.kind, self.view.kind))

    def failed(self, error: Exception) -> None:
        if self.inside and isinstance(error, NotFound):
            self.leave()
        super().failed(error)

    def _draw_status(self) -> None:
        self.query_one("#monitor-status", OneLine).say(self.status())

    def _draw_headline(self) -> None:
        if self.view is None:
            return
        lines = headline_lines(self.view, max(20, self.size.width - 2), low=self.has_class("-low"))
        self.headline.styles.height = len(lines)
        self.headline.set_lines(lines)

    def _draw_course(self) -> None:
        view = self.view
        if view is None or not view.windows:
            return
        kinds = charts_of(view)
        kind = self.chart_kind if self.chart_kind in kinds or self._named else kinds[0]
        draw_chart(self.course, view, kind)
        self.below.set_lines(below_chart(view, kind, kinds, max(20, self.size.width)))

    def draw_facts(self) -> None:
        super().draw_facts()
        feature, view = self.table.cursor_row, self.view
        if feature is self._pictured[0] and view is self._pictured[1]:
            return  # the pictures of a feature, asked for by its rows and by the cursor
        self._pictured = feature, view
        if not isinstance(feature, Feature) or view is None or view.profile is None or view.newest is None:
            self.histogram.show_levels((), (), (), title=" no reference to compare with")
            self.psi.plot([], title="")
            return
        try:
            found = histogram(view.profile, unpack(view.newest.counts), feature.column)
        except BackendError as error:
            self.histogram.show_levels((), (), (), title=f" {error}")
        else:
            before = "training" if view.against.startswith("training") else "before"
            now = "now" if view.last else "then"
            names = (f"{before}, {plural(found.reference_rows, 'row')}", f"{now}, {plural(found.current_rows, 'row')}")
            self.histogram.show_found(found, f" {feature.column}", names)
        points = [
            (float(window.start), float("nan") if value is None else value)
            for window, value in zip(view.windows, feature.course, strict=False)  # it ends at what is looked at
        ]
        courses = [Series("PSI", tuple(points))] if len(points) > 1 else []  # of one there is nothing to be drawn
        self.psi.empty = " one stretch has no course" if len(points) == 1 else " no points yet"
        self.psi.plot(courses, title=f" PSI of {feature.column}", times=True)

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
        if self.view is None:
            count = self.table.count
            return ((f" {plural(count.value, 'monitor')}", "dim"),) if count else ()
        return status_spans(self.view)

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
        return self.inside, *exported_features(self.view)

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
        if name != self.inside:
            self.look = Look()
        self.inside = name
        self.refresh_data()

    def leave(self) -> None:
        """Back to the list of monitors, with the cursor on the one we were in."""
        if self.inside:
            self._wanted, self.inside, self.view, self.look = self.inside, "", None, Look()
            self._came_by_itself = True
            self.refresh_data()

    # ------------------------------------------------------------ turning

    def look_at(self, look: Look) -> None:
        """Show it so; what is on the screen stays until that has been read."""
        if self.inside and look != self.look:
            self.look = look
            self.refresh_data()

    def next_chart(self, wanted: str = "") -> None:
        """The chart of that name, or of those measures, under the features; or the one after what is shown. Raises
        Invalid for what is neither."""
        if self.view is None:
            return
        kinds = charts_of(self.view)
        hidden = self.has_class("-low") and not self.has_class("-charted")
        self._named = bool(wanted)
        if wanted:
            keys_of_chart(self.view, wanted)
            self.chart_kind = wanted
        elif not hidden:
            at = kinds.index(self.chart_kind) if self.chart_kind in kinds else -1
            self.chart_kind = kinds[(at + 1) % len(kinds)]
        self.set_class(self.has_class("-low"), "-charted")  # in place of the features, where both have no room
        self.call_after_refresh(self._draw_course)

    def open_selected(self) -> None:
        row = self.table.cursor_row
        if isinstance(row, Monitor):
            self.enter(row.name)
        elif row is not None:
            self.set_open(True)

    def back(self) -> bool:
        if self.has_class("-charted"):
            self.set_class(False, "-charted")
            return True
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
        self._draw_course()
