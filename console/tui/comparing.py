"""Runs side by side, as lines: what differs first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.system_metrics import is_system
from console.safe import cell_length, safe_text
from console.training.measured import SIDE
from console.tui import ink, state
from console.tui.columns import metric
from console.tui.lines import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.entities import Run
    from console.training.compare import Comparison, MetricRow, ValueRow


WIDE = 22
"""Cells of a run: a value, its mark, its difference to the baseline."""


MOST = 12
"""Columns beyond the widest screen are not made."""


def comparison_lines(found: Comparison, runs: list[Run], first: int = 0) -> list[Line]:
    """One column a run, the baseline leftmost, of the others from the `first` on; what differs first."""
    held = found.baseline
    shown = [held, *[at for at in range(len(runs)) if at != held][first:]][:MOST]
    runs = [runs[at] for at in shown]
    widths = [max(WIDE, min(30, len(run.name) + 7)) for run in runs]
    heads = [(ink.fit(safe_text(f"{r.name} {r.id[:4]}"), w) + " ", "head") for r, w in zip(runs, widths, strict=True)]
    lines = [Line([(ink.fit("", 24), ""), *heads])]
    lines.append(Line([(ink.fit("", 24), ""), *_states(runs, widths)]))
    lines += _values("PARAMETERS", [row for row in found.params if row.differs], found.params, widths, shown)
    lines += [Line([("", "")]), Line([(" METRICS", "head"), ("   best marked, difference to the leftmost run", "dim")])]
    main = [row for row in found.metrics if not row.key.startswith(SIDE)]
    lines += [_metric_line(row, widths, shown) for row in main]
    lines += _values("FACTS", sorted(found.facts, key=lambda row: not row.differs), found.facts, widths, shown)
    same = [row for row in found.params if not row.differs]
    if same:
        lines += _values("THE SAME PARAMETERS", same, (), widths, shown)
    side = [row for row in found.metrics if row.key.startswith(SIDE)]
    for title, note, rows in (
        ("OTHER METRICS", "training, baseline, folds", [row for row in side if not is_system(row.key)]),
        ("SYSTEM", "machine and processes", [row for row in side if is_system(row.key)]),
    ):
        if rows:
            lines += [Line([("", "")]), Line([(f" {title}", "head"), (f"   {note}", "dim")])]
            lines += [_metric_line(row, widths, shown) for row in rows]
    return lines


def _values(
    title: str, rows: Sequence[ValueRow], of: Sequence[ValueRow], widths: list[int], shown: list[int]
) -> list[Line]:
    different = sum(row.differs for row in of)
    said = f"   {different} differ, {len(of) - different} are the same" if of else ""
    lines = [Line([("", "")]), Line([(f" {title}", "head"), (said, "dim")])]
    return lines + [_value_line(row, widths, shown, "accent" if row.differs else "dim") for row in rows]


def _metric_line(row: MetricRow, widths: list[int], shown: list[int]) -> Line:
    spans: list[ink.Span] = [(" " + ink.fit(safe_text(row.key), 22) + " ", "dim")]
    for place, width in zip(shown, widths, strict=True):
        best, off = place in row.best, row.differences[place]
        value = metric(row.values[place]) + (" ●" if best else "")
        moved = f" {off:+.3g}" if off is not None and place != shown[0] else ""
        spans += [(value, "good" if best else ""), (ink.fit(moved, width - cell_length(value)) + " ", "dim")]
    return Line(spans)


def _states(runs: list[Run], widths: list[int]) -> list[ink.Span]:
    spans: list[ink.Span] = []
    for run, width in zip(runs, widths, strict=True):
        text, tone = state.span(run.status)
        spans.append((ink.fit(text, width) + " ", tone))
    return spans


def _value_line(row: ValueRow, widths: list[int], shown: list[int], tone: str) -> Line:
    cells = [
        (ink.fit("–" if value is None else safe_text(value), width) + " ", "" if tone == "accent" else "dim")
        for value, width in zip([row.values[at] for at in shown], widths, strict=True)
    ]
    return Line([(" " + ink.fit(safe_text(row.key), 22) + " ", tone), *cells])
