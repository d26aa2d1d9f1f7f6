"""What a model looks at, as bars and curves; what moved one prediction, as bars to both sides."""

from __future__ import annotations

import msgspec

from backends.entities import Report
from console.axes import padded, y_ticks
from console.safe import safe_text
from console.trace import DOTS_X, DOTS_Y, trace
from console.training.explain.figures import ONE, Curve, Explanation, PredictionExplained
from console.tui import ink
from console.tui.lines import Line, wrapped
from console.wording import number, thousands

BLANK = Line([("", "")])
NAME = 26
ROWS = 7
LABEL = 9


def explain_lines(report: Report, width: int) -> list[Line]:
    """Of a report on a version or on one prediction."""
    if report.kind == ONE:
        return _one(msgspec.convert(report.figures, PredictionExplained), width)
    return _whole(msgspec.convert(report.figures, Explanation), width)


def _whole(found: Explanation, width: int) -> list[Line]:
    said = (
        f"How far {found.metric} ({number(found.whole)}) gets worse when a column is shuffled: mean ± spread of "
        f"{found.repeats} times over {thousands(found.rows)} held-out rows."
    )
    lines = [Line([(" importance", "head")]), *wrapped(safe_text(said, 300), width - 2, "dim", indent=" ")]
    largest = max((abs(each.fall) for each in found.importance), default=0.0) or 1.0
    cells = max(6, width - NAME - 26)
    for each in found.importance:
        bar = "█" * round(cells * max(0.0, each.fall) / largest)
        name = ink.fit(safe_text(each.column, NAME), NAME)
        lines.append(
            Line([(f" {name} ", ""), (f"{each.fall:+.4f} ", ""), (f"± {each.spread:.4f} ", "dim"), (bar, "accent")])
        )
    for curve in found.curves:
        lines += [
            BLANK,
            Line([(f" {safe_text(curve.column, 40)}", "head"), (f"   {safe_text(found.score, 60)}", "dim")]),
        ]
        lines += _curve(curve, width) if curve.values else _levels(curve, width)
    if found.slices:
        lines += [BLANK, Line([(" worst slices", "head"), ("   times the loss of all rows", "dim")])]
        for worse in found.slices:
            where = safe_text(worse.where, max(20, width - 24))
            lines.append(
                Line([(f" {worse.ratio:>6.2f}  ", "warn"), (where, ""), (f"  {thousands(worse.rows)} rows", "dim")])
            )
    return lines


def _curve(curve: Curve, width: int) -> list[Line]:
    """A line over the values of a number."""
    columns = max(12, min(72, width - LABEL - 4))
    left, right = curve.values[0], curve.values[-1]
    low, high = padded(min(curve.means), max(curve.means))
    points = [
        (
            (x - left) / (right - left) * (DOTS_X * columns - 1),
            (y - low) / (high - low) * (DOTS_Y * ROWS - 1),
        )
        for x, y in zip(curve.values, curve.means, strict=True)
    ]
    grid = [[" "] * columns for _ in range(ROWS)]
    for row, column, character in trace([points], columns, ROWS):
        grid[row][column] = character
    ticks = y_ticks(low, high, ROWS, False)
    lines = [
        Line([(f" {ticks.get(at, ''):>{LABEL}} │", "dim"), ("".join(cells), "accent")]) for at, cells in enumerate(grid)
    ]
    ends = number(left), number(right)
    axis = ends[0] + ends[1].rjust(columns - len(ends[0]))
    return [*lines, Line([(f" {'':>{LABEL}}  {axis}", "dim")])]


def _levels(curve: Curve, width: int) -> list[Line]:
    """A bar for each text."""
    low, high = min(0.0, *curve.means), max(0.0, *curve.means)
    cells = max(6, width - NAME - 14)
    lines = []
    for level, mean in zip(curve.levels, curve.means, strict=True):
        name = ink.fit(safe_text(level, NAME), NAME)
        bar = "█" * round(cells * abs(mean) / ((high - low) or 1.0))
        lines.append(Line([(f" {name} ", ""), (f"{number(mean):>9} ", "dim"), (bar, "accent")]))
    return lines


def _one(found: PredictionExplained, width: int) -> list[Line]:
    """Each column's share to the left (down) or to the right (up) of a middle line."""
    truth = f" The truth is {found.truth}." if found.truth else ""
    how = "all orders of columns" if found.orders is None else f"{found.orders} orders drawn"
    said = (
        f"{found.row}: {found.of} is {number(found.score)}, {number(found.base)} on average.{truth} "
        f"What moved it (Shapley values, {how}, {found.background} background rows):"
    )
    lines = [*wrapped(safe_text(said, 600), width - 2, indent=" "), BLANK]
    largest = max((abs(each.by) for each in found.moved), default=0.0) or 1.0
    half = max(4, (width - 2 * NAME - 14) // 2)
    for each in found.moved:
        cells = round(half * abs(each.by) / largest)
        less = ("█" * cells if each.by < 0 else "").rjust(half)
        more = "█" * cells if each.by > 0 else ""
        name, value = (ink.fit(safe_text(text, NAME - 4), NAME - 4) for text in (each.column, each.value))
        spans = [(f" {name} ", ""), (f"{value} ", "dim"), (f"{each.by:+9.4f} ", "")]
        lines.append(Line([*spans, (less, "warn"), ("│", "dim"), (more, "accent")]))
    return lines
