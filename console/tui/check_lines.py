"""What the checks of a version found, as lines: what fails first, column by column."""

from __future__ import annotations

from collections.abc import Sequence

from backends.entities import CheckResult, GateStatus, Report
from console.data.checks.standing import Standing
from console.safe import safe_text
from console.tui import ink, state
from console.tui.lines import Line, wrapped
from console.wording import ago, plural

BLANK = Line([("", "")])
TABLE = "the whole table"
_ORDER = {GateStatus.FAIL: 0, GateStatus.WARN: 1, GateStatus.PASS: 2}


def standing_words(standing: Standing | None) -> str:
    """`2 fail`, `1 warn`, `pass`, `not run`; empty where there are no checks."""
    if standing is None or not standing.word:
        return ""
    count = len(standing.failed) if standing.word == "fail" else len(standing.warned)
    return f"{count} {standing.word}" if standing.word in ("fail", "warn") else standing.word


def standing_span(standing: Standing | None) -> tuple[str, str]:
    """With its glyph and tone."""
    return state.span(standing.word if standing else "", standing_words(standing))


def standing_lines(standing: Standing | None, width: int) -> list[Line]:
    """How a version stands, for the facts beside the list."""
    head = Line([(" checks   ", "head"), standing_span(standing)])
    if standing is None or not standing.word:
        return [head, Line([("   none yet: :suggest proposes some, E writes them", "dim")])]
    bad = (*standing.failed, *standing.warned)
    lines = [head]
    for result in bad[:4]:
        lines.append(
            Line([("   ", ""), state.span(result.status), (f"  {safe_text(result.check, max(12, width - 14))}", "")])
        )
    if len(bad) > 4:
        lines.append(Line([(f"   and {len(bad) - 4} more", "dim")]))
    hint = "K runs them" if standing.wanting else "C: the report with the rows that fail"
    return [*lines, Line([(f"   {hint}", "dim")])]


def report_lines(report: Report, width: int) -> list[Line]:
    """A report, column by column: those that fail come first, each with rows that fail."""
    counts = {status: sum(1 for each in report.results if each.status is status) for status in _ORDER}
    told = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
    lines = [
        Line([(" ", ""), state.span(report.status), (f"   {plural(len(report.results), 'check')}: {told}", "")]),
        Line([(f" by {safe_text(report.definition, 60)}, {ago(report.at)}, {safe_text(report.actor, 40)}", "dim")]),
    ]
    for name, results in _by_column(report.results):
        worst = min(results, key=lambda each: _ORDER[each.status]).status
        lines += [BLANK, Line([(f" {safe_text(name, max(12, width - 14))}   ", "head"), state.span(worst)])]
        for result in results:
            lines += result_lines(result, width)
    return lines


def result_lines(result: CheckResult, width: int) -> list[Line]:
    """One check; what it found is spelt out where it does not pass."""
    room = max(20, width - 16)
    name = result.check if len(result.columns) > 1 or not result.columns else result.kind
    spans: ink.Spans = [("   ", ""), state.span(result.status), (f"  {safe_text(name, 48)}", "")]
    if result.status is GateStatus.PASS:
        return [Line([*spans, (f"   {safe_text(result.value, room)}", "dim")])]
    lines = [Line(spans)]
    if result.value:
        lines += wrapped(f"found {safe_text(result.value, 400)}", room, indent="         ")
    if result.rule:
        lines += wrapped(f"wanted {safe_text(result.rule, 400)}", room, indent="         ")
    if result.detail:
        lines += wrapped(safe_text(result.detail, 400), room, tone="dim", indent="         ")
    lines += [Line([(f"           {safe_text(text, room)}", "")]) for text in result.examples]
    said = [text for text in (f"owner {result.owner}" if result.owner else "", result.note) if text]
    if said:
        lines += wrapped(safe_text(" · ".join(said), 400), room, tone="dim", indent="         ")
    return lines


def _by_column(results: Sequence[CheckResult]) -> list[tuple[str, list[CheckResult]]]:
    groups: dict[str, list[CheckResult]] = {}
    for result in results:
        one = result.columns[0] if len(result.columns) == 1 else TABLE
        groups.setdefault(one, []).append(result)
    for each in groups.values():
        each.sort(key=lambda result: _ORDER[result.status])
    return sorted(groups.items(), key=lambda pair: _ORDER[pair[1][0].status])
