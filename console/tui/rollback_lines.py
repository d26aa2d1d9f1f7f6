"""What a rollback changes, as a person reads it: who serves what, which columns callers send, what the figures say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.entities import GateStatus
from console.promotion.along import said
from console.safe import safe_text
from console.tui import ink, state
from console.tui.case_lines import measure_lines
from console.tui.dialogs import sentences
from console.tui.lines import Line, wrapped
from console.wording import traffic

if TYPE_CHECKING:
    from console.promotion.callers import ColumnChange, ServedChange
    from console.promotion.rollback_case import RollbackCase

MOST_COLUMNS = 5


def rollback_lines(case: RollbackCase) -> list[Line]:
    """From what to what, then what callers notice."""
    was = f"v{case.held.version}" if case.held is not None else "nothing"
    head = [
        (ink.fit(safe_text(was, 9), 10), "bad"),
        ("→  ", "dim"),
        (f"v{safe_text(case.target.version, 9)} ", "good"),
        (safe_text(case.target.note, 60), "dim"),
    ]
    lines = [Line(head), Line([("", "")])]
    lines += sentences(f"{case.alias} of {case.model} goes from {was} back to v{case.target.version}. Undo: u.")
    if len(case.changes) > 1:
        lines += sentences(f"With it: {said(case.changes[1:])}.")
    if case.stay:
        lines += sentences(f"Moved on since, so it stays: {', '.join(case.stay)}.")
    lines += [line for each in case.served for line in _served(each)]
    if not case.served:
        lines.append(Line([("served: no deployment follows it", "dim")]))
    lines += _columns(case)
    if case.measures:
        lines += [Line([("", "")]), *measure_lines(case.measures, was, f"v{safe_text(case.target.version, 8)}")]
        if case.held is not None and not case.same_test:
            lines.append(Line([state.span("warn", "not measured on the same rows: the difference says little")]))
    gate = case.artifact
    told = f"{safe_text(gate.gate, 20)} {safe_text(gate.value, 40)}"
    lines += [Line([("", "")]), Line([state.span("ok" if gate.status is GateStatus.PASS else gate.status, told)])]
    if gate.status is not GateStatus.PASS and gate.detail:
        lines += wrapped(safe_text(gate.detail, 200), 72, "dim", "  ")
    return lines


def _served(each: ServedChange) -> list[Line]:
    was = f"v{each.was}" if each.was else "nothing"
    much = f" ({traffic(each)})" if each.shadow or each.share < 1 else ""
    text = f"served: {each.deployment}{much} answers with {was} now, with v{each.will} then; no request is dropped"
    if each.state != "serving":
        text = f"served: {each.deployment}{much} is {each.state}; it answers with v{each.will} once it serves"
    return sentences(text)


def _columns(case: RollbackCase) -> list[Line]:
    if not case.signatures:
        return [] if case.held is None else [Line([state.span("warn", "columns: a signature is not recorded")])]
    if not case.columns:
        return [Line([("columns: callers send what they send today", "dim")])]
    lines = [_column(change) for change in case.columns[:MOST_COLUMNS]]
    if len(case.columns) > MOST_COLUMNS:
        lines.append(Line([(f"{len(case.columns) - MOST_COLUMNS} more columns: enter", "dim")]))
    return lines


def _column(change: ColumnChange) -> Line:
    name = safe_text(change.name, 30)
    said_of = {
        "added": f"column {name} ({change.will}) is wanted again",
        "removed": f"column {name} ({change.was}) is not known to it",
        "type": f"column {name} is {change.will}, callers send {change.was}",
    }[change.what]
    return Line([state.span("warn" if change.breaks else "ok", said_of)])
