"""The parts of a monitor's rows that are counted beside the whole, and the columns whose groups are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from backends.entities import Segment
from console.safe import safe_text
from console.tui import ink, state
from console.tui.lines import Line, wrapped
from console.tui.reading import ReadingScreen
from console.wording import number, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.entities import Estimate, Monitor
    from console.monitoring.counted.segment_standing import SegmentStanding

NAME = 20


@dataclass(frozen=True)
class Wish:
    """What the person wants: `look`, `new`, `remove`, `protect` or `slices`."""

    do: str
    segment: Segment | None = None


class SegmentsScreen(ReadingScreen):
    """The cursor goes through the segments; the answer is a `Wish`, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "wish('look')", "look", id="segments.look", tooltip="Show the rows of this segment."),
        Binding("n", "wish('new')", "new", id="segments.new", tooltip="Count another part beside the whole."),
        Binding("D", "wish('remove')", "remove", id="segments.remove", tooltip="Count it no longer."),
        Binding("p", "wish('protect')", "protect", id="segments.protect", tooltip="Columns whose groups to compare."),
        Binding("f", "wish('slices')", "worst slices", id="segments.slices", tooltip="Find the worst parts."),
    ]

    def __init__(
        self,
        monitor: Monitor,
        found: Sequence[SegmentStanding],
        bias: dict[str, Estimate],
        at: str,
    ) -> None:
        super().__init__(f"Segments of {monitor.name}", ())
        self.monitor = monitor
        self._found = tuple(found)
        self._bias = bias
        self._start = at

    def on_mount(self) -> None:
        self._draw()
        super().on_mount()
        if self._start:
            self.body.select(self._start)

    def on_resize(self) -> None:
        self._draw()
        self.show(self.initial)

    def _draw(self) -> None:
        self.initial = segment_lines(self.monitor, self._found, self._bias, self.app.size.width)

    def keys(self) -> ink.Spans:
        look: list[ink.Span] = [(" enter", "key"), (" look  ", "dim")] if self._found else []
        remove: list[ink.Span] = [(" D", "key"), (" remove  ", "dim")] if self._found else []
        return [
            *look, (" n", "key"), (" new  ", "dim"), *remove, (" p", "key"), (" protect  ", "dim"),
            (" f", "key"), (" worst slices  ", "dim"), (" esc", "key"), (" back", "dim"),
        ]  # fmt: skip

    def action_wish(self, do: str) -> None:
        current = self.body.current
        segment = current.value if current is not None and isinstance(current.value, Segment) else None
        if segment is None and do in ("look", "remove"):
            return
        self.dismiss(Wish(do, segment))  # type: ignore[arg-type]


def segment_lines(
    monitor: Monitor, found: Sequence[SegmentStanding], bias: dict[str, Estimate], width: int
) -> list[Line]:
    """Two lines a segment, then the protected columns with their newest measures."""
    lines = [Line([(" COUNTED BESIDE THE WHOLE", "head")])]
    for each in found:
        counted = f"{plural(each.rows, 'row')}, {plural(each.labelled, 'label')} in {plural(each.windows, 'window')}"
        said = "  ".join(f"{key} {number(value.value, 3)}" for key, value in list(each.performance.items())[:3])
        lines.append(
            Line(
                [
                    (" ", ""),
                    state.span(each.state, f"{each.state:<8}"),
                    (" " + ink.fit(safe_text(each.name), NAME) + " ", ""),
                    (safe_text(each.where, max(20, width - NAME - 16)), ""),
                ],
                f"segment:{each.name}",
                each,
            )
        )
        lines.append(Line([(" " * 12, ""), (safe_text(f"{counted}  {said}", max(20, width - 14)), "dim")]))
    if not found:
        lines += wrapped(
            "none yet: n writes a condition, f finds the parts that are answered worst", width - 4, "dim", "   "
        )
    lines += [Line([("", "")]), Line([(" GROUPS THAT ARE COMPARED", "head")])]
    for column in monitor.protected:
        measured = {key: value for key, value in bias.items() if key.startswith(f"{column}.")}
        lines.append(Line([("   ", ""), (safe_text(column, 40), "")]))
        said = "  ".join(
            f"{key.removeprefix(f'{column}.').replace('_', ' ')} {number(value.value, 3)}"
            for key, value in sorted(measured.items())
        )
        lines += wrapped(safe_text(said or "not counted yet: from the next batch on", 400), width - 8, "dim", " " * 6)
    if not monitor.protected:
        lines += wrapped("none: p names columns, such as sex or age group", width - 4, "dim", "   ")
    return lines
