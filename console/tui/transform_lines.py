"""What a transform does to a sample, as lines: what each step learned, the first rows before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.safe import safe_text
from console.tui import ink
from console.tui.lines import Line, wrapped
from console.wording import plural, thousands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.entities import Column
    from console.data.transform.result import Preview, StepReport

BLANK = Line([("", "")])
WIDE = 14
"""Cells of a column of rows."""


def summary_lines(found: Preview, width: int) -> list[Line]:
    """In a dialog: the steps, and how large the parts become."""
    about = f"{found.ref}: {plural(found.total, 'row')}, {plural(len(found.before), 'column')}"
    lines = [Line([(f" {safe_text(about)}", "")])]
    lines += [_step(step, width) for step in found.steps]
    for part in found.parts:
        share = f" {100 * part.rows / found.sample:.0f} % of the rows," if found.sample else ""
        called = safe_text(part.part or "result", 20)
        lines.append(Line([(f" → {called}:", "accent"), (f"{share} {plural(len(found.after), 'column')}", "")]))
    if found.sample < found.total:
        lines.append(Line([(f" figures are of a sample of {thousands(found.sample)} rows", "dim")]))
    for note in found.notes:
        lines += wrapped(safe_text(note), width, indent=" ")
    return lines


def preview_lines(found: Preview) -> list[Line]:
    """All of it, to be read on a screen of its own."""
    lines = [Line([(" AS IT IS", "head"), (f"   {safe_text(found.ref, 60)}", "dim")])]
    lines += _rows(found.before, found.rows)
    lines += [BLANK, Line([(" STEPS", "head")])]
    for step in found.steps:
        lines.append(_step(step, 400))
        for word, names, tone in (("new", step.added, "good"), ("gone", step.removed, "warn")):
            if names:
                lines.append(Line([(f"      {word} ", tone), (safe_text(", ".join(names), 380), "dim")]))
    for part in found.parts:
        title = f"PART {part.part}" if part.part else "AFTER"
        rows = f"   {plural(part.rows, 'row')} of the sample"
        lines += [BLANK, Line([(f" {safe_text(title, 60)}", "head"), (rows, "dim")])]
        lines += _rows(found.after, part.first)
    return lines


def _step(step: StepReport, width: int) -> Line:
    rows = f"{thousands(step.rows_in)} → {thousands(step.rows_out)} rows  " if step.rows_in != step.rows_out else ""
    said = safe_text(rows + step.learned, max(10, width - 22))
    return Line([(f" {step.number:>3} ", "dim"), (ink.fit(safe_text(step.do, 12), 12), ""), (f" {said}", "dim")])


def _rows(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> list[Line]:
    heads = [(ink.fit(safe_text(column.name, WIDE), WIDE) + " ", "dim") for column in columns]
    lines = [Line([(" ", ""), *heads])]
    for row in rows:
        cells = ["∅" if value is None else safe_text(_shown(value), WIDE) for value in row]
        lines.append(Line([(" " + " ".join(ink.fit(cell, WIDE) for cell in cells), "")]))
    return lines


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
