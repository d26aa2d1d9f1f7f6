"""Why a monitor is off, on one screen: the ranking, of the feature under the cursor training and now over each other,
and the course of the metric with what began when. What stored windows tell stands at once; what only sampled rows
can tell is worked out meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical

from backends.contract import BackendError
from backends.entities import Progress
from console.axes import Across
from console.monitoring.reasons.why import Cause, Why
from console.monitoring.wording import label
from console.offload import Cancelled
from console.safe import safe_text
from console.tui import ink
from console.tui.chart import Chart
from console.tui.chart_view import View
from console.tui.course import Series
from console.tui.frame import OneLine, Rule
from console.tui.histogram import Histogram
from console.tui.lines import LineList
from console.tui.picture import Level, Stroke
from console.tui.searching import SearchingScreen
from console.tui.why_lines import lettered, why_lines
from console.wording import number, plural

if TYPE_CHECKING:
    from textual.app import ComposeResult

ROOM = 110
"""Columns from which the pictures stand beside the ranking."""
HIGH = 30
"""Rows from which there is room for the course too where the pictures stand below."""
BEHIND = 5
"""Lines behind the last feature that are in sight once somebody reads on."""

Search = Callable[[Callable[[Progress], None], Callable[[], bool]], Why]


class WhyScreen(SearchingScreen):
    """esc ends the search, then goes back; the keys of actions leave it and do them."""

    DEFAULT_CSS = """
    WhyScreen > #why { layout: vertical; height: 1fr; }
    WhyScreen > #why > #reading { height: 1fr; width: 1fr; }
    WhyScreen > #why > #why-pictures { height: 9; width: 1fr; }
    WhyScreen #why-histogram { height: 9; width: 1fr; }
    WhyScreen #why-course { height: 9; width: 1fr; display: none; }
    WhyScreen.-high > #why > #why-pictures { height: 18; }
    WhyScreen.-high #why-course, WhyScreen.-wide #why-course { display: block; }
    WhyScreen.-wide > #why { layout: horizontal; }
    WhyScreen.-wide > #why > #why-pictures { height: 1fr; width: 40%; margin: 0 0 0 1; }
    WhyScreen.-wide #why-histogram { height: 1fr; max-height: 14; }
    WhyScreen.-wide #why-course { height: 1fr; max-height: 12; margin: 1 0 0 0; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "do('b')", "roll back", id="why.rollback", tooltip="Point the alias back."),
        Binding("a", "do('a')", "acknowledge", id="why.ack", tooltip="Say that you have seen the alert."),
    ]

    def __init__(
        self,
        found: Why,
        width: int,
        do: Mapping[str, tuple[str, Callable[[], None]]],
        search: Search | None = None,
    ) -> None:
        """do: key → label, and what it does once this screen is left. search: what finds the whole of it."""
        super().__init__(f"Why: {found.monitor}", why_lines(found, self._cells(width), searching=search is not None))
        self.found = found
        self._do = do
        self._search = search
        self._unknown = search is not None
        """The sampled rows are still to be looked at."""
        self.histogram = Histogram(id="why-histogram")
        self.course = Chart(id="why-course")

    @staticmethod
    def _cells(width: int) -> int:
        return max(40, width * 6 // 10 - 2 if width >= ROOM else width - 2)

    def compose(self) -> ComposeResult:
        yield OneLine(id="reading-title")
        yield Rule()
        yield Container(LineList(id="reading"), Vertical(self.histogram, self.course, id="why-pictures"), id="why")
        yield OneLine(id="searching")
        yield Rule()
        yield OneLine(id="reading-keys")

    def on_mount(self) -> None:
        super().on_mount()
        first = next((line for line in self.initial if line.key), None)
        if first is not None:
            self.body.select(first.key)
        self._draw()
        self._draw_course()
        self.watch(self.body, "scroll_y", self._scrolled, init=False)
        if self._search is not None:
            self.run_worker(self._find(self._search), group="why", exit_on_error=False)

    async def _find(self, question: Search) -> None:
        """The whole of it, in place of what stood there at once; a failure is told among the notes."""
        note = ""
        try:
            self.found = await self.search("sampled rows", question)
        except Cancelled:
            note = "the sampled rows were not looked at, as you wished: no effect on error, no examples"
        except (BackendError, OSError) as error:
            note = f"the sampled rows could not be looked at: {error}"
        if note:
            self.found = msgspec.structs.replace(self.found, notes=(*self.found.notes, note))
        self._unknown = False
        self._show()

    def _show(self) -> None:
        self.show(why_lines(self.found, self._cells(self.app.size.width), searching=self._unknown))
        self._draw()
        self._draw_course()

    def on_resize(self) -> None:
        self.set_class(self.app.size.width >= ROOM, "-wide")
        self.set_class(self.app.size.height >= HIGH and self.app.size.width < ROOM, "-high")
        self._show()

    @on(LineList.Moved)
    def _draw(self) -> None:
        line = self.body.current
        cause = line.value if line is not None and isinstance(line.value, Cause) else None
        self._make_room(False)
        found = cause.histogram if cause is not None else None
        if cause is None or found is None:
            few = plural(sum(each.histogram is not None for each in self.found.causes), "feature")
            self.histogram.show_levels((), (), (), title=f" histograms: of the first {few}")
            return
        names = (f"training, {plural(found.reference_rows, 'row')}", f"now, {plural(found.current_rows, 'row')}")
        self.histogram.show_found(found, f" {safe_text(cause.column, 60)}", names)

    def _scrolled(self) -> None:
        """Behind the features there is more to read than a picture tells: where both share the height it gives way,
        until the cursor moves among the features again."""
        last = max((at for at, each in enumerate(self.body.lines) if isinstance(each.value, Cause)), default=-1)
        if self.body.scroll_y + self.body.size.height > last + BEHIND:
            self._make_room(self.body.scroll_y > 0)

    def _make_room(self, wanted: bool) -> None:
        small = self.app.size.width < ROOM and self.app.size.height < HIGH
        for pictures in self.query("#why-pictures"):
            pictures.display = not (wanted and small)

    def _draw_course(self) -> None:
        """The metric by window, with the onset and what changed near it."""
        found = self.found
        points = tuple((float(at), nan if value is None else value) for at, value in found.course)
        known = any(y == y for _, y in points)
        span = (points[0][0], points[-1][0]) if len(points) > 1 else None
        levels = []
        if known and found.reference is not None and found.value is not None:
            levels = [Level(found.reference, f"reference {number(found.reference, 3)}")]
        marks = [
            Stroke(float(at), letter)
            for letter, at in lettered(found)
            if span is not None and span[0] <= at <= span[1]
        ]  # fmt: skip
        name = label(found.metric) if found.value is not None else "share of features that drift"
        self.course.plot(
            [Series(name, points)] if known else [],
            title=f" {name} by window",
            levels=levels,
            view=View(across=Across.CLOCK, window=span, given=True),
            marks=marks,
        )

    def keys(self) -> ink.Spans:
        spans: list[ink.Span] = list(super().keys())
        for key, (label_, _) in self._do.items():
            spans += [(f"   {key}", "key"), (f" {label_}", "dim")]
        return spans

    def action_do(self, key: str) -> None:
        if key in self._do:
            self.dismiss(None)
            self._do[key][1]()
