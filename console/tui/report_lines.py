"""Reports as lines: the audit of a training, the bias of a dataset or a model."""

from __future__ import annotations

from collections.abc import Sequence

from backends.entities import CheckResult, Report
from console.data.bias.measures import Group
from console.data.bias.report import bias_of, rates_of
from console.safe import safe_text
from console.tui import ink, state
from console.tui.lines import Line, wrapped
from console.wording import thousands

BLANK = Line([("", "")])
NAME = 34
BAR = 20


def result_lines(results: Sequence[CheckResult], width: int) -> list[Line]:
    """Each result in words: its state, what was found, what was wanted, what fails it."""
    lines: list[Line] = []
    for each in results:
        name = ink.fit(safe_text(each.check, NAME), NAME)
        found = safe_text(each.value, max(12, width - NAME - 12))
        lines.append(Line([(" ", ""), state.span(each.status.value), (" ", ""), (f"{name} ", ""), (found, "")]))
        lines.append(Line([(f"{'':{NAME}}  wanted: {safe_text(each.rule, max(20, width - NAME - 12))}", "dim")]))
        if each.detail:
            lines += wrapped(safe_text(each.detail, 600), width, indent="      ")
        lines += [Line([(f"      {safe_text(example, max(20, width - 8))}", "dim")]) for example in each.examples]
    return lines


def bias_lines(report: Report, width: int) -> list[Line]:
    """The groups, each rate as a bar with its interval; then the measures, the worst first."""
    bias = bias_of(report)
    on = safe_text(str(report.figures.get("on", "")), 60)
    lines = [Line([(f" {thousands(bias.rows)} rows of {on}, by {safe_text(report.definition, 60)}", "dim")])]
    for name in rates_of(bias.groups):
        lines += [BLANK, Line([(f" {name.replace('_', ' ')}", "head"), ("   95 % interval", "dim")])]
        lines += [_rate(group, name, width) for group in bias.groups if name in group.rates]
    if any(group.calibration_gap is not None for group in bias.groups):
        lines += [BLANK, Line([(" mean score less what happened", "head")])]
        for group in bias.groups:
            if group.calibration_gap is not None:
                name = ink.fit(safe_text(group.name, NAME), NAME)
                lines.append(Line([(f"   {name} ", ""), (f"{group.calibration_gap:+.3f}", "")]))
    lines += [BLANK, Line([(" measures", "head")]), *result_lines(report.results, width)]
    if bias.small:
        names = ", ".join(safe_text(name, 30) for name in bias.small[:10])
        lines += [BLANK, *wrapped(f"under {bias.least} rows, shown and not compared: {names}", width, indent=" ")]
    return lines


def _rate(group: Group, name: str, width: int) -> Line:
    rate = group.rates[name]
    cells = max(8, min(BAR, width - NAME - 42))
    full = round((rate.value or 0.0) * cells)
    said = f" {rate.value or 0.0:.3f}  {rate.low:.3f} to {rate.high:.3f}  {thousands(rate.n)}"
    label = ink.fit(safe_text(group.name, NAME), NAME)
    tone = "accent" if group.compared else "dim"
    return Line(
        [(f"   {label} ", "" if group.compared else "dim"), ("█" * full + "·" * (cells - full), tone), (said, "dim")]
    )
