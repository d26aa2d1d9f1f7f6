"""The case for a promotion on one screen: gates, and under each heading what they were judged by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from backends.entities import CheckResult, GateResult, GateStatus
from console.promotion.card_sections import Table
from console.safe import cell_length, safe_text
from console.tui import ink, state
from console.tui.card_lines import BLANK, fact_lines, table_lines
from console.tui.lines import Line, wrapped
from console.tui.reading import ReadingScreen

if TYPE_CHECKING:
    from console.promotion.case_part import Part

STATE = 8
NAME = 13
MOST_NAME = 30
FACT = 20


def part_lines(parts: Sequence[Part], width: int) -> list[Line]:
    """Every part; no line is wider than `width`, less the cell of a scroll bar."""
    width -= 1
    lines: list[Line] = []
    for part in parts:
        lines += [BLANK, Line([(f" {part.title}", "head")])]
        lines += _judged(part.gates, width)
        for name, value in part.facts:
            lines += fact_lines(name, value, width, FACT)
        for table in part.tables:
            lines += _table(table, width)
        lines += _judged(part.results, width)
        lines += [Line([(f"   {safe_text(line, width - 4)}", "dim")]) for line in part.lines]
        if part.remark:
            lines += wrapped(safe_text(part.remark, 600), width - 2, "dim", indent="   ")
    return lines[1:]


def _judged(judged: Sequence[GateResult | CheckResult], width: int) -> Iterator[Line]:
    """What was found beside what was wanted; on a narrow screen under it."""
    names = [safe_text(each.gate if isinstance(each, GateResult) else each.check, MOST_NAME) for each in judged]
    room = max([NAME, *map(cell_length, names)])
    for each, name in zip(judged, names, strict=True):
        word, colour = state.span(str(each.status))
        tone = colour if each.status is not GateStatus.PASS else ""
        head = [(" ", ""), (ink.fit(word, STATE), colour), (f"{ink.fit(name, room)} ", "")]
        first, *more = wrapped(safe_text(each.value, 300), width - STATE - room - 2, tone)
        wanted = f"wanted: {safe_text(each.rule, 200)}" if each.rule else ""
        spans = [*head, *first.spans]
        beside = not more and ink.width_of(spans) + cell_length(wanted) + 3 <= width
        yield Line([*spans, (f"   {wanted}" if beside else "", "dim")])
        for row in more:
            yield Line([(" " * (STATE + room + 2), ""), *row.spans])
        for text in ("" if beside else wanted, safe_text(each.detail, 600)):
            if text:
                yield from wrapped(text, width - 1, "dim", " " * (STATE + 1))


def _table(table: Table, width: int) -> Iterator[Line]:
    """As `table_lines`; where it is too wide, the last column stands under each row."""
    widths = [
        max(cell_length(safe_text(row[at], 200)) for row in (table.titles, *table.rows))
        for at in range(len(table.titles))
    ]
    if sum(widths) + 2 * len(widths) + 2 <= width or len(widths) < 3:
        yield from table_lines(table, width)
        return
    shorter = Table(titles=table.titles[:-1], rows=tuple(row[:-1] for row in table.rows))
    head, *rows = table_lines(shorter, width)
    yield head
    for line, row in zip(rows, table.rows, strict=True):
        yield line
        if row[-1]:
            yield from wrapped(safe_text(row[-1], 400), width - 1, "dim", " " * 5)


class CaseScreen(ReadingScreen):
    """esc goes back, r replays the logged requests again, p promotes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "do('replay')", "replay", id="case.replay", tooltip="Ask it the last logged requests again."),
        Binding("p", "do('promote')", "promote", id="case.promote", tooltip="Promote it, after one more look."),
    ]

    def __init__(
        self,
        title: str,
        parts: Sequence[Part],
        width: int,
        *,
        replay: Callable[[], None],
        promote: Callable[[], None],
        at: str = "",
    ) -> None:
        """`at` names the part that is shown first."""
        super().__init__(title, part_lines(parts, width))
        self.parts = parts
        self._at = at
        self._do = {"replay": replay, "promote": promote}

    def on_mount(self) -> None:
        super().on_mount()
        row = next((at for at, line in enumerate(self.initial) if ink.plain(line.spans).strip() == self._at), 0)
        if self._at and row:
            self.call_after_refresh(self.body.scroll_to, y=row, animate=False)

    def on_resize(self) -> None:
        self.show(part_lines(self.parts, self.app.size.width))

    def keys(self) -> ink.Spans:
        return [*super().keys(), ("   r", "key"), (" replay", "dim"), ("   p", "key"), (" promote", "dim")]

    def action_do(self, what: str) -> None:
        """Leave this screen, and do it: it has a screen of its own."""
        self.dismiss(None)
        self._do[what]()
