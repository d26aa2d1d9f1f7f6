"""Runs side by side: their courses over each other, then what differs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from backends.contract import Backend, BackendError
from backends.entities import MetricSeries, Run
from console.training.measured import shared_order
from console.tui.chart import Chart, Series
from console.tui.decimate import series_points
from console.tui.fetch import Answer, Fetcher
from console.tui.lines import Line
from console.tui.reading import ReadingScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from console.tui import ink

BUCKETS = 400

LOOKED_AT = 12
"""Metrics that are tried for a course before the chart is given up."""


class Overlay(Widget):
    """One metric of several runs, read in a thread."""

    DEFAULT_CSS = """
    Overlay { height: 13; width: 1fr; }
    Overlay > Chart { height: 13; }
    """

    def __init__(self, backend: Backend, runs: Sequence[Run]) -> None:
        super().__init__(id="compare-overlay")
        self._backend = backend
        self._runs = tuple(runs)
        main = shared_order(runs)
        self._metrics = [*main, *sorted({key for run in runs for key in run.metrics} - set(main))]
        self._at = -1
        self._log = False
        self._series: tuple[tuple[Run, MetricSeries], ...] = ()
        self._fetcher = Fetcher(self, "compare")

    def compose(self) -> ComposeResult:
        yield Chart(id="compare-chart")

    def on_mount(self) -> None:
        self.next_metric(first=True)

    def on_unmount(self) -> None:
        self._fetcher.close()

    def on_answer(self, answer: Answer) -> None:
        answer.question.settle()

    def next_metric(self, *, first: bool = False) -> None:
        """The next metric; at the first showing, the first that has a course."""
        if not self._metrics or self._backend.runs is None or not self._backend.features.metric_history:
            self.display = False
            return
        start = (self._at + 1) % len(self._metrics)
        tried = self._metrics[start : start + LOOKED_AT] if first else self._metrics[start : start + 1]

        def take(found: Any, error: Exception | None) -> None:
            if isinstance(error, BackendError | OSError) or found is None:
                self.display = not first and bool(self._series)
                return
            if error is not None:
                raise error
            name, self._series = found
            self._at = self._metrics.index(name)
            self.display = True
            self._draw()

        self._fetcher.ask(lambda: read_courses(self._backend, self._runs, tried, asked=not first), take)

    def turn_log(self) -> None:
        self._log = not self._log
        self._draw()

    def _draw(self) -> None:
        lines = [
            Series(f"{run.name or run.id[:8]} {run.id[:4]}", tuple(series_points(series)), run.id)
            for run, series in self._series
        ]
        key = self._series[0][1].key if self._series else ""
        self.query_one(Chart).plot(lines, title=key + (" (log)" if self._log else ""), log=self._log)


class CompareScreen(ReadingScreen):
    """`m` takes the next metric, `L` a logarithmic axis; the rest is reading."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "metric", "metric", id="compare.metric", tooltip="Chart the next metric."),
        Binding("L", "log_axis", "log axis", id="compare.log_axis", tooltip="Logarithmic y axis, or linear."),
    ]

    def __init__(self, backend: Backend, runs: Sequence[Run], lines: Sequence[Line]) -> None:
        super().__init__(f"Compare {len(runs)} runs", lines)
        self._overlay = Overlay(backend, runs)

    def on_mount(self) -> None:
        super().on_mount()
        self.mount(self._overlay, before="#reading")

    def keys(self) -> ink.Spans:
        return [*super().keys(), ("   m", "key"), (" metric   ", "dim"), ("L", "key"), (" log axis", "dim")]

    def action_metric(self) -> None:
        self._overlay.next_metric()

    def action_log_axis(self) -> None:
        self._overlay.turn_log()


def read_courses(
    backend: Backend, runs: Sequence[Run], metrics: Sequence[str], *, asked: bool
) -> tuple[str, tuple[tuple[Run, MetricSeries], ...]] | None:
    """The first of the metrics that has a course in some run (any, where it was `asked` for). Blocks."""
    store = backend.need("runs")
    for name in metrics:
        found = tuple((run, store.series(run.id, name, buckets=BUCKETS)) for run in runs if name in run.metrics)
        if found and (asked or any(series.count > 1 for _, series in found)):
            return name, found
    return None
