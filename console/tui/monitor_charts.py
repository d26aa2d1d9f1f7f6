"""The charts under a monitor's features: quality, drift, bias and how the service did, all over the same time, with
what happened marked across them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan

from backends.entities import Window
from console.axes import Across
from console.monitoring.alarms.measures import unit_of
from console.monitoring.alarms.policy import read_policy
from console.monitoring.charted import CHARTS, QUALITY, Course, courses_of, keys_of_chart
from console.monitoring.marks import Happened, Mark
from console.monitoring.quality.performance import LARGER_IS_BETTER, coverage
from console.monitoring.ranges import ALL, merged_words
from console.monitoring.read import MonitorView
from console.monitoring.wording import label, moment
from console.safe import safe_text
from console.tui import ink
from console.tui.chart import Chart
from console.tui.chart_view import View
from console.tui.course import Series
from console.tui.lines import Line
from console.tui.picture import MARGIN, Level, Ribbon, Stroke
from console.tui.sparkline import sparkline
from console.wording import number

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def draw_chart(chart: Chart, view: MonitorView, kind: str) -> None:
    """Plot one of `charts_of`, or keys of measures, for the windows of the view."""
    if kind == QUALITY:
        _draw_quality(chart, view)
        return
    keys = keys_of_chart(view, kind)
    title = CHARTS[kind][0] if kind in CHARTS else _titled(keys)
    _plot(chart, view, [_line(course) for course in courses_of(view, keys)], f" {title}")


def _titled(keys: tuple[str, ...]) -> str:
    """The unit that all of them are in, or what there is not."""
    units = {unit_of(key) for key in keys} or {""}
    return safe_text(", ".join(sorted(units - {""})) or "by window", 40) if keys else "nothing of that was measured"


def _line(course: Course) -> Series:
    points = tuple((float(at), nan if found is None else found.value) for at, found in course.points)
    return Series(safe_text(course.key, 40), points)


def _draw_quality(chart: Chart, view: MonitorView) -> None:
    metric = view.metric
    if not metric:
        text = " no labels yet: drop a labels file, or: mlops-console monitor labels NAME FILE"
        chart.plot([], title=(view.trouble and " no reference, so nothing to measure quality by") or text)
        return
    names = {metric: label(metric), f"estimated.{metric}": "estimated without labels"}
    series = [
        replace(_line(course), name=names.get(course.key, course.key), id=course.key)
        for course in courses_of(view, keys_of_chart(view, QUALITY))
    ]
    measured = series[0].points
    levels = []
    reference = view.reference.get(metric)
    if reference is not None:
        effect = read_policy(view.monitor.policy).min_effect
        effect *= abs(reference) if metric in ("rmse", "mae") else 1.0
        limit = reference - effect if LARGER_IS_BETTER.get(metric, True) else reference + effect
        levels = [
            Level(reference, f"reference {number(reference, 3)}"),
            Level(limit, f"alert {'below' if limit < reference else 'above'} {number(limit, 3)}"),
        ]
    band = _band(view.windows, metric) if any(y == y for _, y in measured) else ()
    _plot(
        chart,
        view,
        series,
        f" {label(metric)}{', all of it' if view.kind == ALL else f' by {view.kind}'}",
        levels=levels,
        band=band,
    )


def _plot(
    chart: Chart,
    view: MonitorView,
    series: Sequence[Series],
    title: str,
    *,
    levels: Sequence[Level] = (),
    band: Ribbon = (),
) -> None:
    """Over the time of the windows, whatever the lines cover."""
    shown = [each for each in series if any(y == y for _, y in each.points)]
    first, last = view.windows[0].start, max(view.windows[-1].start, *(int(x) for s in shown for x, _ in s.points), 0)
    if last == first:
        last = view.windows[-1].end  # a single one is as long as it is, and what happened within it has its place
    window = (float(first), float(last)) if last > first else None
    chart.plot(
        shown,
        title=title,
        levels=levels if shown else (),
        view=View(across=Across.CLOCK, window=window, given=True),
        band=band,
        marks=[Stroke(float(mark.at), letter) for letter, mark in lettered(view)],
    )


def _band(windows: Sequence[Window], metric: str) -> Ribbon:
    found = []
    for window in windows:
        estimate = window.performance.get(metric)
        low, high = (None, None) if estimate is None else (estimate.low, estimate.high)
        found.append((float(window.start), _or_nan(low), _or_nan(high)))
    return tuple(found)


def _or_nan(value: float | None) -> float:
    return nan if value is None else value


def lettered(view: MonitorView) -> list[tuple[str, Mark]]:
    """The newest marks, each with its letter, oldest first; what is looked at, where that is not the newest."""
    kept = {*view.marks[-8:], *(mark for mark in view.marks if mark.what is Happened.ONSET)}
    return list(zip(LETTERS, (mark for mark in view.marks if mark in kept), strict=False))


def below_chart(view: MonitorView, kind: str, kinds: Sequence[str], width: int) -> list[Line]:
    """What the letters stand for, how far labels reach, and which charts `c` leads to."""
    spans: list[ink.Span] = [(" ", "")]
    for letter, mark in lettered(view):
        text = f"{safe_text(mark.text, 30)} {moment(mark.at, 'day')[:-5]}"
        spans += [(letter, "head"), (f" {text}  ", "dim")]
    if not view.marks:
        spans.append(("nothing happened along the way", "dim"))
    lines = [Line(spans)]
    at = kinds.index(kind) if kind in kinds else 0
    others = " ".join((*kinds[at + 1 :], *kinds[:at]))
    tail = [("c", "key"), (f" {others} ", "dim")]
    if kind == QUALITY:
        shares = [coverage(window.rows, window.labelled) if window.rows else None for window in view.windows]
        cells = max(8, min(len(shares), width - MARGIN - 12 - ink.width_of(tail)))
        spans = [(" labels ", "dim"), (sparkline(shares, cells, low=0, high=1), "accent")]
        known = [share for share in shares if share is not None]
        if known:
            spans.append((f" {known[-1] * 100:.0f} %", "dim"))
    else:
        spans = [(" ", "")]
    coarse = merged_words(view.windows, view.monitor.window) if not view.look.stretch else ""
    if coarse:
        spans.append((f"  {coarse} of these are merged from shorter windows, as retention says", "dim"))
    lines.append(Line(ink.spread(spans, tail, width)))
    return lines
