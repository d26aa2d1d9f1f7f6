"""The charts under a monitor's features: quality, drift, bias and how the service did, all over the same time, with
what happened marked across them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan

from backends.entities import Estimate, MonitorState, ServiceWindow, Window
from console.axes import Across
from console.monitoring.alarms.policy import read_policy
from console.monitoring.marks import Mark
from console.monitoring.quality.performance import LARGER_IS_BETTER, coverage
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

QUALITY, DRIFT, BIAS = "quality", "drift", "bias"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MOST_LINES = 6

Read = Callable[[ServiceWindow], float | None]
SERVICE: dict[str, tuple[str, tuple[tuple[str, Read], ...]]] = {
    "rate": ("requests a second", (("rate", lambda w: w.rate),)),
    "latency": (
        "latency, ms",
        (
            ("p50", lambda w: _ms(w.p50)),
            ("p95", lambda w: _ms(w.p95)),
            ("p99", lambda w: _ms(w.p99)),
        ),
    ),
    "errors": ("errors, %", (("errors", lambda w: _percent(w.error_share)),)),
    "cpu": ("processors in use", (("cpu", lambda w: w.cpu),)),
    "memory": (
        "memory, MB",
        (("memory", lambda w: None if w.memory_bytes is None else w.memory_bytes / 1e6),),
    ),
}
"""Chart → its title and its lines."""


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100


def chart_kinds(view: MonitorView) -> tuple[str, ...]:
    """The charts that there is something for."""
    found = [QUALITY, DRIFT]
    if any(window.bias for window in view.windows):
        found.append(BIAS)
    found += [
        kind
        for kind, (_, lines) in SERVICE.items()
        if any(read(each) is not None for each in view.services for _, read in lines)
    ]
    return tuple(found)


def draw_chart(chart: Chart, view: MonitorView, kind: str) -> None:
    """Plot one of `chart_kinds` for the windows of the view."""
    if kind in SERVICE:
        title, lines = SERVICE[kind]
        series = [
            Series(name, tuple((float(each.start), _or_nan(read(each))) for each in view.services))
            for name, read in lines
        ]
        _plot(chart, view, series, f" {title}")
    elif kind == DRIFT:
        _plot(chart, view, [Series("drifted features, %", _drift_points(view.windows))], " features that drift, %")
    elif kind == BIAS:
        keys = list(dict.fromkeys(key for window in view.windows for key in window.bias))[:MOST_LINES]
        series = [
            Series(
                safe_text(key, 40),
                tuple((float(w.start), w.bias[key].value if key in w.bias else nan) for w in view.windows),
            )
            for key in keys
        ]
        _plot(chart, view, series, " bias by group")
    else:
        _draw_quality(chart, view)


def _draw_quality(chart: Chart, view: MonitorView) -> None:
    metric = view.metric
    if not metric:
        text = " no labels yet: drop a labels file, or: mlops-console monitor labels NAME FILE"
        chart.plot([], title=(view.trouble and " no reference, so nothing to measure quality by") or text)
        return
    measured = _points(view.windows, lambda window: window.performance.get(metric))
    series = [Series(label(metric), measured)]
    if any(metric in window.estimated for window in view.windows):
        series.append(Series("estimated", _points(view.windows, lambda window: window.estimated.get(metric))))
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
    _plot(chart, view, series, f" {label(metric)} by {view.kind}", levels=levels, band=band)


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
    window = (float(first), float(last)) if last > first else None
    chart.plot(
        shown,
        title=title,
        levels=levels if shown else (),
        view=View(across=Across.CLOCK, window=window, given=True),
        band=band,
        marks=[Stroke(float(mark.at), letter) for letter, mark in lettered(view)],
    )


def _points(windows: Sequence[Window], read: Callable[[Window], Estimate | None]) -> tuple[tuple[float, float], ...]:
    found = ((window.start, read(window)) for window in windows)
    return tuple((float(at), nan if estimate is None else estimate.value) for at, estimate in found)


def _drift_points(windows: Sequence[Window]) -> tuple[tuple[float, float], ...]:
    odd = (MonitorState.WARN, MonitorState.FIRING)
    return tuple(
        (
            float(window.start),
            100 * sum(score.state in odd for score in window.columns) / len(window.columns) if window.columns else nan,
        )
        for window in windows
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
    return list(zip(LETTERS, view.marks[-8:], strict=False))


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
        spans = []
    lines.append(Line(ink.spread(spans, tail, width)))
    return lines
