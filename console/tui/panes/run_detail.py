"""One run: its courses, its facts, its log. Beside the list a chart and the facts, on the full screen all of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult  # noqa: TC002
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from backends.contract import Backend, Unsupported
from backends.entities import Artifact, MetricSeries, Run, RunStatus
from backends.entities.holdings import Room
from backends.system_metrics import is_system
from console.training.measured import in_order
from console.tui.chart import Chart
from console.tui.chart_view import Extent, View, view_of
from console.tui.course import course, steps_of
from console.tui.courses import WIDTHS, Courses
from console.tui.fetch import Answer, Fetcher
from console.tui.lines import LineList
from console.tui.log_view import LogView
from console.tui.run_lines import run_lines

CHARTS = 3
"""On the full screen, side by side where there is room."""

MOST = 8
"""Metrics that are looked at for one that has a course."""

CHART_CELLS = 38
"""A chart needs as many."""

SLOW = 0.3
"""Seconds until what the list knows of a run is shown, where the backend takes longer to tell the rest."""

EVERY = 1.0
"""Seconds between two pictures of a run that moves."""


class Look:
    """What was read about a run, in a thread."""

    def __init__(
        self,
        run: Run,
        series: Sequence[MetricSeries],
        artifacts: Sequence[Artifact],
        courses: Courses | None = None,
        closer: dict[str, tuple[View, MetricSeries]] | None = None,
        waits: str = "",
        room: Room | None = None,
    ) -> None:
        self.run = run
        self.series = tuple(series)
        self.artifacts = tuple(artifacts)
        self.waits = waits
        """Why a queued run has not begun."""
        self.room = room
        """What it takes on the disk, where that is known."""
        self.courses = courses
        """What a server was asked for: the next look asks for what changed."""
        self.closer = closer or {}
        """The stretch in sight of what is zoomed into, finer than the whole course has it."""


class Row(Horizontal):
    """Widgets side by side; it draws nothing itself."""

    BLANK = True


class RunDetail(Widget):
    """The run that `show_run` names. It reads by itself and keeps its charts to one picture a second."""

    DEFAULT_CSS = """
    RunDetail { layout: vertical; height: 1fr; width: 1fr; }
    RunDetail > #run-charts { height: 11; width: 1fr; }
    RunDetail > #run-charts > Chart { height: 11; width: 1fr; margin: 0 1 0 0; }
    RunDetail > #run-below { height: 1fr; width: 1fr; }
    RunDetail > #run-below > #run-facts { width: 1fr; }
    RunDetail > #run-below > #run-log { display: none; width: 1fr; }
    RunDetail.-full > #run-below > #run-log { display: block; width: 3fr; }
    RunDetail.-full > #run-below > #run-facts { width: 2fr; margin: 0 1 0 0; }
    RunDetail.-full.-narrow > #run-below > #run-facts { display: none; }
    RunDetail.-full.-narrow.-facts > #run-below > #run-facts { display: block; width: 1fr; }
    RunDetail.-full.-narrow.-facts > #run-below > #run-log { display: none; }
    RunDetail.-empty > * { display: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "other", "facts, log", id="run.other", show=False, tooltip="Between the facts and the log."),
    ]

    def __init__(self, backend: Backend, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._backend = backend
        self._run: Run | None = None
        self._look: Look | None = None
        self._metric = ""
        self.views: dict[str, View] = {}
        self._full = False
        self._asking = False
        self._again = False
        self._at = 0.0
        self._following = ""
        self._stands = False
        """Its parts are there; until then what is asked for is remembered."""
        self._fetcher = Fetcher(self, "run")

    def compose(self) -> ComposeResult:
        with Row(id="run-charts"):
            for at in range(CHARTS):
                chart = Chart(id=f"run-chart-{at}")
                chart.display = at == 0
                yield chart
        with Row(id="run-below"):
            yield LineList(id="run-facts")
            yield LogView(id="run-log")

    @property
    def facts(self) -> LineList:
        return self.query_one("#run-facts", LineList)

    @property
    def log_view(self) -> LogView:
        return self.query_one("#run-log", LogView)

    @property
    def busy(self) -> bool:
        return self._asking

    def on_mount(self) -> None:
        self._stands = True
        self.set_full(self._full)
        self.show_run(self._run)

    def on_unmount(self) -> None:
        self._fetcher.close()

    def on_answer(self, answer: Answer) -> None:
        answer.question.settle()

    # ------------------------------------------------------------ what the pane does

    def show_run(self, run: Run | None) -> None:
        """Show this run, read anew. None shows nothing."""
        if run is None or self._run is None or run.id != self._run.id:
            self._look = None
        self._run = run
        if not self._stands:
            return
        self.set_class(run is None, "-empty")
        if run is None:
            self._follow()
            return
        if self._look is None:
            # The row knows only the columns shown; drawing it first would draw everything twice.
            self.set_timer(SLOW, self._draw_early)
        self._follow()
        since = time.monotonic() - self._at
        if self._look is not None and since < EVERY:
            self.set_timer(EVERY - since, self._read)
        else:
            self._read()

    def set_full(self, full: bool) -> None:
        """Take the whole pane, with charts, facts and log; or stand beside the list."""
        self._full = full
        if not self._stands:
            return
        self.set_class(full, "-full")
        self._arrange()
        self._follow()
        if full:
            self.log_view.focus(scroll_visible=False)
            self._read()

    def show_log(self) -> None:
        """The keyboard on the log."""
        if not self._stands:
            return  # a full screen begins with it
        self.remove_class("-facts")
        self.log_view.focus(scroll_visible=False)

    def _draw_early(self) -> None:
        if self._look is None:
            self._draw_facts()

    # ------------------------------------------------------------ reading

    def _read(self) -> None:
        run = self._run
        if run is None or not self.is_attached:
            return
        if self._asking:
            self._again = True
            return
        self._asking = True
        backend, metric, full, known = self._backend, self._metric, self._full, self._look
        zoomed = {key: view for key, view in self.views.items() if view.window is not None}
        beside = max(1, min(CHARTS, self.size.width // CHART_CELLS)) if full else 1
        buckets = max(CHART_CELLS, self.size.width // beside)  # one a column: its lowest and its highest

        def take(look: Any, error: Exception | None) -> None:
            self._asking, self._at = False, time.monotonic()
            if error is not None:
                self.log.error(error)
            elif self._run is not None and look.run.id == self._run.id:
                self._look, self._run = look, look.run
                self._draw_facts()
                self._draw_charts()
            if self._again:
                self._again = False
                self._read()

        self._fetcher.ask(
            lambda: read_run(backend, run, metric, CHARTS if full else 1, buckets, full, known, zoomed), take
        )

    def _follow(self) -> None:
        """Open the log only where it is seen."""
        run = self._run
        wanted = run.id if run is not None and self._full else ""
        if wanted == self._following:
            return
        self._following = wanted
        launcher = self._backend.launcher
        if not wanted:
            self.log_view.follow(None)
        elif launcher is None:
            reason = self._backend.missing.get("launcher", "this context keeps no logs")

            def refuse(*_: int) -> Any:
                raise Unsupported(f"no log: {reason}")

            self.log_view.follow(refuse)
        else:
            found = launcher
            self.log_view.follow(lambda start, limit: found.log(wanted, start=start, limit=limit))

    # ------------------------------------------------------------ drawing

    def on_resize(self) -> None:
        self._arrange()
        self._draw_facts()

    def _arrange(self) -> None:
        self.set_class(self.size.width < 100, "-narrow")
        room = max(1, self.size.width // CHART_CELLS) if self._full else 1
        shown = len(self._look.series) if self._look else 1
        for at in range(CHARTS):
            self.query_one(f"#run-chart-{at}", Chart).display = at < min(room, max(1, shown))

    def _draw_facts(self) -> None:
        if self._run is not None and self._stands:
            artifacts = self._look.artifacts if self._look else ()
            width = max(20, (self.facts.size.width or self.size.width) - 1)
            waits = self._look.waits if self._look and self._look.run.id == self._run.id else ""
            room = self._look.room if self._look and self._look.run.id == self._run.id else None
            self.facts.set_lines(run_lines(self._run, width, artifacts, waits=waits, room=room))

    def _draw_charts(self) -> None:
        look = self._look
        if look is None:
            return
        self.query_one("#run-charts").display = bool(look.series)
        self._arrange()
        for at in range(CHARTS):
            chart = self.query_one(f"#run-chart-{at}", Chart)
            if at < len(look.series):
                series = look.series[at]
                view = view_of(self.views, series.key)
                closer = look.closer.get(series.key)
                if closer is not None and (closer[0].window, closer[0].across) == (view.window, view.across):
                    series = closer[1]
                line = course(series, look.run, across=view.across, smoothing=view.smoothing)
                chart.plot([line], title=series.key, view=view, chosen=at == 0 or not self._full)

    # ------------------------------------------------------------ keys

    def charted(self) -> tuple[str, Chart] | None:
        if self._look is None or not self._look.series:
            return None
        return self._look.series[0].key, self.query_one("#run-chart-0", Chart)

    def chart_extent(self) -> Extent | None:
        if self._look is None or not self._look.series:
            return None
        series = self._look.series[0]
        line = course(series, self._look.run, across=view_of(self.views, series.key).across)
        return (line.points[0][0], line.points[-1][0]) if line.points else None

    def next_metric(self) -> None:
        if self._run is None or not self._run.metrics:
            return
        names = in_order(self._run)
        shown = self._look.series[0].key if self._look and self._look.series else ""
        self._metric = names[(names.index(shown) + 1) % len(names)] if shown in names else names[0]
        self._read()

    def redraw(self) -> None:
        self._draw_charts()

    def look_closer(self) -> None:
        if not self._backend.features.page_limit:  # a server sends whole courses
            self._read()

    def action_other(self) -> None:
        if not self._full:
            self.screen.focus_next()
        elif self.facts.has_focus:
            self.show_log()
        else:
            self.add_class("-facts")
            self.facts.focus(scroll_visible=False)


def read_run(
    backend: Backend,
    run: Run,
    metric: str,
    charts: int,
    buckets: int,
    full: bool,
    known: Look | None = None,
    zoomed: Mapping[str, View] | None = None,
) -> Look:
    """The run as it is now, the courses worth a chart, and its artifacts where they are shown. Blocks."""
    if backend.runs is None:
        return Look(run, (), ())
    if backend.features.page_limit:
        buckets = -(-buckets // WIDTHS) * WIDTHS
        courses = known.courses if known is not None and known.run.id == run.id else None
        courses = courses if courses is not None and courses.buckets == buckets else Courses(buckets)
        # The row is the whole run, as it was when the list was read.
        series, artifacts = courses.look(backend, run, _names(run, metric), metric, charts, full)
        return Look(run, series, artifacts, courses)
    fresh = backend.runs.get(run.id)
    found: list[MetricSeries] = []
    if backend.features.metric_history:
        for name in _names(fresh, metric)[:MOST]:
            one = backend.runs.series(fresh.id, name, buckets=buckets)
            # What was measured once is a number, not a course; it is drawn only where it was asked for.
            if one.count > 1 or name == metric:
                found.append(one)
            if len(found) >= charts:
                break
    closer = {}
    for one in found:
        view = (zoomed or {}).get(one.key)
        if view is not None and view.window is not None:
            first, last = steps_of(one, fresh, view.window, view.across)
            closer[one.key] = (
                view,
                backend.runs.series(fresh.id, one.key, buckets=buckets, first_step=first, last_step=last),
            )
    listed = backend.artifacts.list(fresh.id) if full and backend.artifacts is not None else ()
    elsewhere = fresh.engine != "local" and not fresh.status.ended
    launcher = backend.launcher if fresh.status is RunStatus.QUEUED or elsewhere else None
    waits = launcher.queue().why(fresh.id) if launcher is not None else ""
    room = backend.retention.room(fresh.id) if full and backend.retention is not None else None
    return Look(fresh, found, listed, closer=closer, waits=waits, room=room)


def _names(run: Run, metric: str) -> list[str]:
    """The metric that was chosen, then those of its kind: what the machine did is a group of its own, which is seen
    by whoever went there alone."""
    group = is_system(metric)
    names = [name for name in in_order(run) if is_system(name) == group]
    if metric not in names:
        return names
    at = names.index(metric)
    return [metric, *(names[at + 1 :] + names[:at] if group else [name for name in names if name != metric])]
