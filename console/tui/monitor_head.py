"""What stands above the features of a monitor: which stretch is shown against what, what is wrong, how good the answers
were."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backends.entities import Alert
from console.monitoring.alarms.severity import is_muted
from console.monitoring.quality.answers import Part, quality_parts
from console.monitoring.ranges import ALL, kind_of
from console.monitoring.read import MonitorView, course, label_share, when
from console.monitoring.wording import label
from console.monitoring.wording import plural as windows_of
from console.safe import safe_text
from console.tui import ink, state
from console.tui.lines import Line, wrapped
from console.tui.sparkline import sparkline
from console.wording import local_time, number, plural


def status_spans(view: MonitorView) -> ink.Spans:
    """One line: the monitor, its version, the stretch that is shown, and what it is held against."""
    monitor = view.monitor
    word = "paused" if monitor.paused else str(monitor.state)
    spans: list[ink.Span] = [(" ", ""), state.span(word), (f"  {safe_text(monitor.name, 30)}", "head")]
    model = "" if monitor.model == monitor.name else f"{safe_text(monitor.model, 30)} "
    for said in answered(view.alerts):
        spans.append((f"  {safe_text(said, 50)}", "accent"))
    if view.version:
        spans.append((f"  {model}v{safe_text(view.version, 8)} {safe_text(monitor.alias, 16)}", ""))
    if view.look.segment:
        spans.append((f"  segment {safe_text(view.look.segment, 24)}", "accent"))
    if view.newest is not None:
        rows = plural(view.newest.rows, "prediction")
        shown = "all of it" if view.kind == ALL else f"{view.kind} {when(view.newest.start, view.kind)}"
        held = kind_of(view.newest, view.monitor.window)
        if not view.look.stretch and held != view.monitor.window:  # retention has put its windows together
            shown = f"{held} {when(view.newest.start, held)}, merged from {windows_of(view.monitor.window)}"
        spans.append((f"  {shown}", "" if view.last else "accent"))
        usual = view.against == "training"
        if not usual:  # first, so that a narrow screen says it too
            spans.append((f" against {safe_text(view.against, 60)}", "accent"))
        spans.append((f": {rows}, {label_share(view.newest)}", "dim"))
        if usual:
            spans.append((f"  against {plural(view.reference_rows, 'row')} of training", "dim"))
    return spans


def answered(alerts: Sequence[Alert]) -> list[str]:
    """Who took an open alert, and until when nobody is told of one: `AUC acked by ada`, `drift muted until 13:20`."""
    said = []
    for alert in alerts:
        name = label(alert.metric)
        if is_muted(alert) and alert.muted_until is not None:
            until = local_time(alert.muted_until)
            today = until[:10] == local_time(int(time.time() * 1000))[:10]
            said.append(f"{name} muted until {until[11:16] if today else until[:16]}")
        elif alert.acked_by:
            said.append(f"{name} acked by {alert.acked_by.partition('@')[0]}")
    return said


def headline_lines(view: MonitorView, width: int, *, low: bool) -> list[Line]:
    """What is wrong in a sentence, whole if two lines can hold it, then how good the shown stretch was; with little
    room the course of it too, for there is no chart."""
    tone = state.state_of(view.monitor.state).tone
    said = safe_text(view.headline, 2 * width - 20)
    lines = wrapped(said, width, "" if tone == "good" else tone, " ")[:2]
    if view.left_out:
        lines.append(Line([(" ", ""), (safe_text(f"left out {view.left_out}", max(8, width - 2)), "warn")]))
    if view.newest is None or not view.metric:
        return lines
    lines += part_lines(quality_parts(view.newest, view.metric), width)[: 1 if low else 2]
    return [*lines, quality_line(view, width)] if low else lines


def part_lines(parts: Sequence[Part], width: int) -> list[Line]:
    """Parts of one saying with dots between, over as many lines as they need."""
    lines: list[list[ink.Span]] = [[(" ", "")]]
    for text, tone in parts:
        safe = safe_text(text, max(8, width - 2))
        used = ink.width_of(lines[-1])
        first = len(lines[-1]) == 1
        if not first and used + len(safe) + 3 > width:
            lines.append([(" ", "")])
            first = True
        lines[-1] += [*([] if first else [(" · ", "dim")]), (safe, tone)]
    return [Line(spans) for spans in lines]


def quality_line(view: MonitorView, width: int) -> Line:
    """The course of the metric that decides, where there is no room for its chart."""
    values = [None if found is None else found.value for _, found in course(view.windows, view.metric)]
    title = f" {label(view.metric)} by {view.monitor.window}  "
    reference = view.reference.get(view.metric)
    tail = f"  reference {number(reference, 3)}" if reference is not None else ""
    cells = max(8, min(len(values), width - len(title) - len(tail)))
    return Line([(title, "dim"), (sparkline(values, cells), "accent"), (tail, "dim")])
