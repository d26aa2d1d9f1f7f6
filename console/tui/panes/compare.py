"""Runs side by side: their courses over each other, then what differs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.binding import Binding, BindingsMap, BindingType
from textual.widget import Widget

from backends.contract import Backend, BackendError
from backends.entities import MetricSeries, Run
from backends.system_metrics import is_system
from console.training.changed_code import Changes, changes_of
from console.training.compare import compare
from console.training.measured import shared_order
from console.tui.actions import ACTIONS, shown_key
from console.tui.chart import Chart
from console.tui.chart_view import Extent, View, view_of
from console.tui.charting import turn
from console.tui.comparing import comparison_lines
from console.tui.course import Series, course, steps_of
from console.tui.fetch import Answer, Fetcher
from console.tui.reading import ReadingScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from console.axes import Across
    from console.tui import ink

BUCKETS = 80
"""At least; else one a column, with its lowest and its highest."""

DRAWN = 8
"""Runs over each other: as many as there are colours."""

Courses = tuple[tuple[Run, MetricSeries], ...]

LOOKED_AT = 12
"""Metrics that are tried for a course before the chart is given up."""


CHART_KEYS = "chart."

HERE = {"export": "export", "compare.baseline": "baseline(1)", "compare.baseline_back": "baseline(-1)"}
"""What actions do on this screen; those of charts turn its chart."""

SHOWN = (
    ("metric", "next"),
    ("log", "log"),
    ("smooth", "ema"),
    ("time", "time"),
    ("in out left right whole", "zoom"),
    ("crosshair", "read"),
)
"""Chart keys in the line at the foot, with their shortest names."""


class Overlay(Widget):
    """One metric of several runs, read in a thread."""

    DEFAULT_CSS = """
    Overlay { height: 13; width: 1fr; }
    Overlay > Chart { height: 1fr; }
    """

    def __init__(self, backend: Backend, runs: Sequence[Run]) -> None:
        super().__init__(id="compare-overlay")
        self._backend = backend
        self._runs = tuple(runs[:DRAWN])
        self._left_out = len(runs) - len(self._runs)
        main = shared_order(runs)
        others = {key for run in runs for key in run.metrics} - set(main)
        self._metrics = [*main, *sorted(others, key=lambda key: (is_system(key), key))]
        self._at = -1
        self.views: dict[str, View] = {}
        self._courses: Courses = ()
        self._closer: tuple[View, Courses] | None = None
        """The stretch in sight, finer than the whole courses have it."""
        self._fetcher = Fetcher(self, "compare")

    def compose(self) -> ComposeResult:
        yield Chart(id="compare-chart")

    def on_mount(self) -> None:
        self.next_metric(first=True)

    def on_unmount(self) -> None:
        self._fetcher.close()

    def on_answer(self, answer: Answer) -> None:
        answer.question.settle()

    # ------------------------------------------------------------ what the chart keys ask

    def charted(self) -> tuple[str, Chart] | None:
        return (self._courses[0][1].key, self.query_one(Chart)) if self._courses else None

    def chart_extent(self) -> Extent | None:
        found = self.charted()
        if found is None:
            return None
        lines = self._lines(self._courses, view_of(self.views, found[0]))
        ends = [(line.points[0][0], line.points[-1][0]) for line in lines if line.points]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None

    def next_metric(self, *, first: bool = False) -> None:
        """The next metric; at the first showing, the first that has a course."""
        if not self._metrics or self._backend.runs is None or not self._backend.features.metric_history:
            self.display = False
            return
        start = (self._at + 1) % len(self._metrics)
        tried = self._metrics[start : start + LOOKED_AT] if first else self._metrics[start : start + 1]
        if first:
            tried = [key for key in tried if not is_system(key)]

        def take(found: Any, error: Exception | None) -> None:
            if isinstance(error, BackendError | OSError) or found is None:
                self.display = not first and bool(self._courses)
                return
            if error is not None:
                raise error
            name, self._courses = found
            self._closer = None
            self._at = self._metrics.index(name)
            self.display = True
            self.redraw()
            self.look_closer()

        buckets = max(BUCKETS, self.size.width)
        self._fetcher.ask(
            lambda: read_courses(self._backend, self._runs, tried, asked=not first, buckets=buckets), take
        )

    def look_closer(self) -> None:
        found = self.charted()
        view = view_of(self.views, found[0]) if found else View()
        if found is None or view.window is None or self._backend.features.page_limit:
            return  # a server sends whole courses
        courses, window = self._courses, view.window

        def take(closer: Any, error: Exception | None) -> None:
            if isinstance(error, BackendError | OSError):
                return  # what is drawn is true, only coarse
            if error is not None:
                raise error
            if self._courses is courses:
                self._closer = (view, closer)
                self.redraw()

        buckets = max(BUCKETS, self.size.width)
        self._fetcher.ask(lambda: read_closer(self._backend, courses, window, view.across, buckets=buckets), take)

    def redraw(self) -> None:
        if not self._courses:
            return
        key = self._courses[0][1].key
        view = view_of(self.views, key)
        courses = self._courses
        if self._closer is not None:
            looked, closer = self._closer
            if (looked.window, looked.across) == (view.window, view.across):
                courses = closer
        more = f"  first {len(self._runs)} of {len(self._runs) + self._left_out} runs" if self._left_out else ""
        self.query_one(Chart).plot(self._lines(courses, view), title=key + more, view=view)

    def _lines(self, courses: Courses, view: View) -> list[Series]:
        return [
            course(series, run, name=f"{run.name or run.id[:8]} {run.id[:4]}", across=view.across,
                   smoothing=view.smoothing)
            for run, series in courses
        ]  # fmt: skip


class CompareScreen(ReadingScreen):
    """The keys of charts are those of the runs; the rest is reading."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "sideways(1)", "right", id="compare.right", tooltip="The runs further right."),
        Binding("left", "sideways(-1)", "left", id="compare.left", tooltip="The runs further left."),
    ]

    def __init__(self, backend: Backend, runs: Sequence[Run]) -> None:
        self._backend = backend
        self._runs = list(runs)
        self._compared = compare(runs)
        self._first = 0
        super().__init__(f"Compare {len(runs)} runs", comparison_lines(self._compared, self._runs))
        self._overlay = Overlay(backend, runs)
        self._changes: dict[str, Changes] = {}
        keys = self.app.keymap.keys
        own = [
            Binding(keys[action.id], does, action.label, id=f"in.{action.id}", tooltip=action.help)
            for action in ACTIONS
            if (does := _done_here(action.id)) and keys[action.id]
        ]
        self._bindings = BindingsMap.merge((self._bindings, BindingsMap(own)))

    def on_mount(self) -> None:
        super().on_mount()
        self.mount(self._overlay, before="#reading")
        if any(run.source.diff for run in self._runs):
            self._read_changes()

    @work
    async def _read_changes(self) -> None:
        """Which files were changed, once their diffs are read: from a server they have to be fetched first."""
        self._changes = await self.app.look_up(lambda: changes_of(self._backend, self._runs))
        self._compare(self._compared.baseline)

    def _compare(self, baseline: int) -> None:
        self._compared = compare(self._runs, baseline=baseline, changes=self._changes)
        self.show(comparison_lines(self._compared, self._runs, self._first))

    def keys(self) -> ink.Spans:
        spans: list[ink.Span] = [(" esc", "key"), (" back  ", "dim")]
        keys = self.app.keymap.keys
        for name, said in (("export", "export"), ("compare.baseline", "base")):
            spans += [(shown_key(keys[name].split(",")[0]), "key"), (f" {said}  ", "dim")]
        for name, said in SHOWN:
            shown = "".join(shown_key(keys[CHART_KEYS + each].split(",")[0]) for each in name.split())
            spans += [(shown, "key"), (f" {said}  ", "dim")]
        return spans

    def action_baseline(self, by: int) -> None:
        self._compare((self._compared.baseline + by) % len(self._runs))

    def action_sideways(self, by: int) -> None:
        self._first = max(0, min(len(self._runs) - 2, self._first + by))
        self.show(comparison_lines(self._compared, self._runs, self._first))

    @work
    async def action_export(self) -> None:
        from console.tui.dialogs import Ask
        from console.tui.exporting import export_comparison

        target = await self.app.ask(Ask("Export the comparison", "file", "comparison.md", note=".csv, .json or .md"))
        if not target:
            return
        compared = self._compared
        try:
            self.app.tell(await self.app.look_up(lambda: export_comparison(compared, target)))
        except (BackendError, OSError) as error:
            self.app.tell(f"export: {error}", severity="warning")

    def action_chart(self, what: str) -> None:
        turn(self._overlay, what)


def _done_here(name: str) -> str:
    """What this screen does for an action, or nothing."""
    return f"chart('{name.removeprefix(CHART_KEYS)}')" if name.startswith(CHART_KEYS) else HERE.get(name, "")


def read_courses(
    backend: Backend, runs: Sequence[Run], metrics: Sequence[str], *, asked: bool, buckets: int = BUCKETS
) -> tuple[str, Courses] | None:
    """The first of the metrics that has a course in some run (any, where it was `asked` for). Blocks."""
    store = backend.need("runs")
    for name in metrics:
        found = tuple((run, store.series(run.id, name, buckets=buckets)) for run in runs if name in run.metrics)
        if found and (asked or any(series.count > 1 for _, series in found)):
            return name, found
    return None


def read_closer(
    backend: Backend, courses: Courses, window: Extent, across: Across, *, buckets: int = BUCKETS
) -> Courses:
    """The same courses, read anew where they are in the stretch. Blocks."""
    store = backend.need("runs")
    found = []
    for run, series in courses:
        first, last = steps_of(series, run, window, across)
        found.append((run, store.series(run.id, series.key, buckets=buckets, first_step=first, last_step=last)))
    return tuple(found)
