"""A model card as lines to read."""

from __future__ import annotations

from collections.abc import Iterator

from console.promotion.card import Card
from console.promotion.card_sections import UNKNOWN, Section, Table, sections
from console.safe import cell_length, safe_lines, safe_text
from console.tui import ink
from console.tui.lines import Line, folded, wrapped

BLANK = Line([("", "")])
FACT = 24
GAP = 2
STATES = {"pass": "good", "warn": "warn", "fail": "bad"}


def card_lines(card: Card, width: int) -> list[Line]:
    """Every section: its facts, its tables no wider than the screen, its text as written."""
    lines: list[Line] = []
    for section in sections(card):
        lines += [BLANK, Line([(f" {section.title}", "head")]), *_section(section, width)]
    return lines[1:]


def _section(section: Section, width: int) -> Iterator[Line]:
    for name, value in section.facts:
        yield from fact_lines(name, value, width)
    for table in section.tables:
        yield from table_lines(table, width)
    if section.text:
        for row in safe_lines(section.text, max(20, width - 5)):
            yield Line([(f"   │ {row}", "dim")])
    if section.remark:
        yield from wrapped(safe_text(section.remark, 600), width - 2, "dim", indent="   ")


def fact_lines(name: str, value: str, width: int, room: int = FACT) -> Iterator[Line]:
    """A name, and what it is, over as many lines as it needs. `room` is what the name takes."""
    tone = "dim" if value == UNKNOWN else ""
    first, *more = folded(safe_text(value, 2_000), max(16, width - room - 2))
    yield Line([(f"   {ink.fit(safe_text(name, room - 2), room - 2)} ", "dim"), (first, tone)])
    for row in more:
        yield Line([(" " * (room + 2), ""), (row, tone)])


def table_lines(table: Table, width: int) -> Iterator[Line]:
    """Columns as wide as they need; where they do not fit, the widest give way first."""
    cells = [[safe_text(value, 200) for value in row] for row in table.rows]
    titles = [safe_text(title, 40) for title in table.titles]
    widths = [max(cell_length(row[at]) for row in [titles, *cells]) for at in range(len(titles))]
    room = max(len(titles) * 4, width - 4 - GAP * (len(titles) - 1))
    while sum(widths) > room and max(widths) > 4:
        widths[widths.index(max(widths))] -= 1
    yield Line([("   " + (" " * GAP).join(ink.fit(titles[at], widths[at]) for at in range(len(titles))), "dim")])
    for row in cells:
        spans = [("   ", "")]
        for at, value in enumerate(row):
            tone = STATES.get(value, "dim" if value == UNKNOWN else "")
            spans.append((ink.fit(value, widths[at]) + " " * GAP, tone))
        yield Line(spans)
