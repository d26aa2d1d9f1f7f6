"""What the chart keys do, wherever charts stand: beside a run, over a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from console.tui.chart_view import PAN, ZOOM, View, view_of

if TYPE_CHECKING:
    from console.tui.chart import Chart
    from console.tui.chart_view import Extent


class Charted(Protocol):
    """Who has charts. How each metric is looked at is kept by its name, for as long as the owner lives."""

    views: dict[str, View]

    def charted(self) -> tuple[str, Chart] | None:
        """The metric that the keys are about, and where it is drawn; None while there is none."""

    def chart_extent(self) -> Extent | None:
        """First and last x of the whole course, whatever is in sight."""

    def next_metric(self) -> None: ...

    def redraw(self) -> None:
        """Draw what is held, as the views say."""

    def look_closer(self) -> None:
        """Read what the stretch in sight has that the whole course has not."""


def turn(owner: Charted, what: str) -> None:
    """Do what a chart key says, by the last word of its action."""
    if what == "metric":
        owner.next_metric()
        return
    found = owner.charted()
    if found is None:
        return
    metric, chart = found
    if what == "crosshair":
        chart.read()
        return
    view, extent = view_of(owner.views, metric), owner.chart_extent()
    if what == "log":
        owner.views[metric] = view.with_log()
    elif what == "smooth":
        owner.views[metric] = view.smoother()
    elif what == "time":
        owner.views[metric] = view.other_axis()
    elif what == "whole":
        owner.views[metric] = view.whole()
    elif extent is not None:
        steps = {"in": ZOOM, "out": 1 / ZOOM}
        if what in steps:
            owner.views[metric] = view.zoomed(extent, steps[what], chart.crosshair)
        else:
            owner.views[metric] = view.panned(extent, PAN if what == "right" else -PAN)
    owner.redraw()
    if view_of(owner.views, metric).window != view.window:
        owner.look_closer()
