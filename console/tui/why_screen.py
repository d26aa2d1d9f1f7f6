"""Why a monitor is off, on one screen: the ranking, and of the feature under the cursor training and now over each
other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container

from console.monitoring.reasons.why import Cause, Why
from console.tui import ink
from console.tui.frame import OneLine, Rule
from console.tui.histogram import Histogram
from console.tui.lines import LineList
from console.tui.reading import ReadingScreen
from console.tui.why_lines import why_lines
from console.wording import plural

if TYPE_CHECKING:
    from textual.app import ComposeResult

ROOM = 110
"""Columns from which the histogram stands beside the ranking."""


class WhyScreen(ReadingScreen):
    """esc goes back; the keys of actions leave it and do them."""

    DEFAULT_CSS = """
    WhyScreen > #why { layout: vertical; height: 1fr; }
    WhyScreen > #why > #reading { height: 1fr; width: 1fr; }
    WhyScreen > #why > Histogram { height: 9; width: 1fr; }
    WhyScreen.-wide > #why { layout: horizontal; }
    WhyScreen.-wide > #why > Histogram { height: 14; width: 40%; margin: 0 0 0 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "do('b')", "roll back", id="why.rollback", tooltip="Point the alias back."),
        Binding("a", "do('a')", "acknowledge", id="why.ack", tooltip="Say that you have seen the alert."),
    ]

    def __init__(self, found: Why, width: int, do: Mapping[str, tuple[str, Callable[[], None]]]) -> None:
        """do: key → label, and what it does once this screen is left."""
        super().__init__(f"Why: {found.monitor}", why_lines(found, self._cells(width)))
        self.found = found
        self._do = do
        self.histogram = Histogram(id="why-histogram")

    @staticmethod
    def _cells(width: int) -> int:
        return max(40, width * 6 // 10 - 2 if width >= ROOM else width - 2)

    def compose(self) -> ComposeResult:
        yield OneLine(id="reading-title")
        yield Rule()
        yield Container(LineList(id="reading"), self.histogram, id="why")
        yield Rule()
        yield OneLine(id="reading-keys")

    def on_mount(self) -> None:
        super().on_mount()
        first = next((line for line in self.initial if line.key), None)
        if first is not None:
            self.body.select(first.key)
        self._draw()

    def on_resize(self) -> None:
        width = self.app.size.width
        self.set_class(width >= ROOM, "-wide")
        self.show(why_lines(self.found, self._cells(width)))

    @on(LineList.Moved)
    def _draw(self) -> None:
        line = self.body.current
        cause = line.value if line is not None and isinstance(line.value, Cause) else None
        found = cause.histogram if cause is not None else None
        if cause is None or found is None:
            self.histogram.show_levels((), (), (), title=" no histogram of this one")
            return
        names = (f"training, {plural(found.reference_rows, 'row')}", f"now, {plural(found.current_rows, 'row')}")
        if found.edges:
            self.histogram.show_bins(found.edges, found.reference, found.current, title=f" {cause.column}", names=names)
        else:
            self.histogram.show_levels(
                found.bars, found.reference, found.current, title=f" {cause.column}", names=names
            )

    def keys(self) -> ink.Spans:
        spans: list[ink.Span] = list(super().keys())
        for key, (label, _) in self._do.items():
            spans += [(f"   {key}", "key"), (f" {label}", "dim")]
        return spans

    def action_do(self, key: str) -> None:
        if key in self._do:
            self.dismiss(None)
            self._do[key][1]()
