"""Runs side by side, as lines: what differs first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.safe import safe_text
from console.training.measured import SIDE
from console.tui import ink, state
from console.tui.columns import metric
from console.tui.lines import Line

if TYPE_CHECKING:
    from backends.entities import Run
    from console.training.compare import Comparison, MetricRow, ValueRow


def comparison_lines(found: Comparison, runs: list[Run]) -> list[Line]:
    """One column a run; what differs first."""
    widths = [max(14, min(30, len(name) + 7)) for name in found.names]
    heads = [(ink.fit(safe_text(f"{r.name} {r.id[:4]}"), w) + " ", "head") for r, w in zip(runs, widths, strict=True)]
    lines = [Line([(ink.fit("", 24), ""), *heads])]
    lines.append(Line([(ink.fit("", 24), ""), *_states(runs, widths)]))
    lines.append(Line([("", "")]))
    lines.append(Line([(" METRICS", "head"), ("   best marked", "dim")]))
    main = [row for row in found.metrics if not row.key.startswith(SIDE)]
    lines += [_metric_line(row, widths) for row in main]
    for title, rows in (("PARAMETERS", found.params), ("FACTS", found.facts)):
        different = [row for row in rows if row.differs]
        same = [row for row in rows if not row.differs]
        lines += [
            Line([("", "")]),
            Line([(f" {title}", "head"), (f"   {len(different)} differ, {len(same)} are the same", "dim")]),
        ]
        lines += [_value_line(row, widths, "accent") for row in different]
        lines += [_value_line(row, widths, "dim") for row in same]
    if len(main) < len(found.metrics):
        lines += [Line([("", "")]), Line([(" OTHER METRICS", "head"), ("   training, baseline, folds", "dim")])]
        lines += [_metric_line(row, widths) for row in found.metrics if row not in main]
    return lines


def _metric_line(row: MetricRow, widths: list[int]) -> Line:
    spans: list[ink.Span] = [(" " + ink.fit(safe_text(row.key), 22) + " ", "dim")]
    for place, (value, width) in enumerate(zip(row.values, widths, strict=True)):
        best = place in row.best
        spans.append((ink.fit(metric(value) + (" ●" if best else ""), width) + " ", "good" if best else ""))
    return Line(spans)


def _states(runs: list[Run], widths: list[int]) -> list[ink.Span]:
    spans: list[ink.Span] = []
    for run, width in zip(runs, widths, strict=True):
        text, tone = state.span(run.status)
        spans.append((ink.fit(text, width) + " ", tone))
    return spans


def _value_line(row: ValueRow, widths: list[int], tone: str) -> Line:
    cells = [
        (ink.fit("–" if value is None else safe_text(value), width) + " ", "" if tone == "accent" else "dim")
        for value, width in zip(row.values, widths, strict=True)
    ]
    return Line([(" " + ink.fit(safe_text(row.key), 22) + " ", tone), *cells])
