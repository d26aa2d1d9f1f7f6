"""Courses of metrics as lines over steps or time, with a legend and a crosshair."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.strip import Strip

from console.axes import Across, x_text
from console.safe import cut, safe_text
from console.trace import Cell
from console.tui.chart_view import Extent, View
from console.tui.course import Series
from console.tui.decimate import MOST
from console.tui.drawing import Drawing
from console.tui.glyphs import drawn, utf8_screen
from console.tui.picture import ASCII_MARKERS, Level, Ribbon, Stroke, columns_of, picture
from console.wording import NOTHING, number

if TYPE_CHECKING:
    from textual.widget import Widget

COLORS = {
    "console-dark": ("#6cb6ff", "#e2b24a", "#b48ead", "#5fc98f", "#e88f5a", "#4fc3c7", "#e57fbd", "#a3b36b"),
    "console-light": ("#0757ad", "#8a5a00", "#6f42a8", "#14713a", "#a3470b", "#006d75", "#98257d", "#56641b"),
    "high-contrast": ("#56b4e9", "#e69f00", "#ffffff", "#00d3a0", "#f0e442", "#cc79a7"),
    "ansi": ("blue", "yellow", "magenta", "green", "cyan", "red"),
}
"""Hues of series. They mean nothing but which is which; the legend says it in words."""

FAINT = 0.4
"""How much of its hue what lies behind a smoothed line keeps."""

LEGEND_ROWS = 3
ENTRY = (20, 36)
"""Cells of a name in a legend of several rows, with its reading: at least and at most."""
READING = 10


def color_numbers(ids: Sequence[str], colors: int) -> list[int]:
    """A colour for each id: its own by hash, so that a run is drawn alike everywhere and for ever. Where two share it,
    the one whose id is later takes the next that is free, in whatever order they were marked."""
    taken: set[int] = set()
    found: dict[str, int] = {}
    for identity in sorted(set(ids)):
        number_ = zlib.crc32(identity.encode("utf-8", "surrogatepass")) % colors
        if len(taken) < colors:
            while number_ in taken:
                number_ = (number_ + 1) % colors
        taken.add(number_)
        found[identity] = number_
    return [found[identity] for identity in ids]


@dataclass(frozen=True)
class Plot:
    """All that a picture is made of."""

    series: tuple[Series, ...] = ()
    levels: tuple[Level, ...] = ()
    title: str = ""
    view: View = field(default_factory=View)
    chosen: bool = True
    band: Ribbon = ()
    marks: tuple[Stroke, ...] = ()


class Chart(Drawing, can_focus=True):
    """Lines with a y axis, drawn anew only when `plot` brings other data. It takes the keyboard only while its
    crosshair is out."""

    DEFAULT_CSS = """
    Chart { height: 12; width: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "read(-1)", "left", id="crosshair.left", show=False, tooltip="To the measurement before."),
        Binding("right,l", "read(1)", "right", id="crosshair.right", show=False, tooltip="To the next measurement."),
        Binding(
            "shift+left,H", "read(-10)", "far left", id="crosshair.far_left", show=False, tooltip="Ten columns back."
        ),
        Binding(
            "shift+right", "read(10)", "far right", id="crosshair.far_right", show=False, tooltip="Ten columns on."
        ),
        Binding("home,g", "edge(0)", "first", id="crosshair.first", show=False, tooltip="To the first measurement."),
        Binding("end,G", "edge(-1)", "last", id="crosshair.last", show=False, tooltip="To the last measurement."),
        Binding("escape,enter", "leave", "leave", id="crosshair.leave", show=False, tooltip="Put the crosshair away."),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._plot = Plot()
        self.crosshair: float | None = None
        """The x whose values are read, or None."""
        self.traced: dict[tuple[object, ...], list[Cell]] = {}
        """Lines of the last picture: those whose dots are where they were are not traced again."""
        self.empty = "no points yet"
        """What stands where nothing can be drawn."""
        self.can_focus = False
        self._before: Widget | None = None
        """Who had the keyboard before the crosshair."""

    @property
    def plotted(self) -> Plot:
        return self._plot

    @property
    def series(self) -> tuple[Series, ...]:
        return self._plot.series

    @property
    def extent(self) -> Extent | None:
        """First and last x of what was plotted."""
        ends = [(s.points[0][0], s.points[-1][0]) for s in self.series if s.points]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None

    def plot(
        self,
        series: Sequence[Series],
        *,
        title: str = "",
        levels: Sequence[Level] = (),
        view: View | None = None,
        times: bool = False,
        chosen: bool = True,
        band: Ribbon = (),
        marks: Sequence[Stroke] = (),
    ) -> None:
        """Show these lines. `times` says that x is in milliseconds of UTC; one that is not `chosen` has a dim title.
        `band` is shaded behind the lines, `marks` stand across them."""
        looked = view or View(across=Across.CLOCK if times else Across.STEP)
        wanted = Plot(tuple(series), tuple(levels), title, looked, chosen, tuple(band), tuple(marks))
        if wanted == self._plot:
            return
        if looked.across is not self._plot.view.across:
            self.crosshair = None if self.crosshair is None else self._middle(wanted)
        self._plot = wanted
        self.paint()

    def on_mount(self) -> None:
        self.paint()

    # ------------------------------------------------------------ crosshair

    def read(self) -> None:
        """Take the crosshair out, in the middle, with the keyboard; or put it away."""
        if self.crosshair is not None:
            self.action_leave()
            return
        self.crosshair = self._middle(self._plot)
        if self.crosshair is not None:
            self.can_focus = True
            self._before = self.screen.focused
            self.focus(scroll_visible=False)
            self.paint()

    def _middle(self, plot: Plot) -> float | None:
        places = self._places(plot)
        return places[len(places) // 2] if places else None

    def _places(self, plot: Plot) -> list[float]:
        """Every x in sight where something was measured."""
        found = {x for series in plot.series for x, _ in series.readings or series.points}
        low, high = plot.view.window or (float("-inf"), float("inf"))
        return sorted(x for x in found if low <= x <= high)

    def action_read(self, columns: int) -> None:
        """To the first measurement that lies so many columns further, or to the next one where that is further."""
        places = self._places(self._plot)
        if self.crosshair is None or not places:
            return
        shown = self._plot.view.window or (places[0], places[-1])
        width = (shown[1] - shown[0]) / max(1, columns_of(self, self.size.width))
        here = self.crosshair
        if columns > 0:
            further = [x for x in places if x > here]
            self.crosshair = next((x for x in further if x >= here + columns * width), places[-1])
        else:
            before = [x for x in reversed(places) if x < here]
            self.crosshair = next((x for x in before if x <= here + columns * width), places[0])
        self.paint()

    def action_edge(self, place: int) -> None:
        places = self._places(self._plot)
        if places:
            self.crosshair = places[place]
            self.paint()

    def action_leave(self) -> None:
        self.crosshair = None
        before, self._before = self._before, None
        if self.has_focus:
            self.screen.set_focus(before if before is not None and before.is_attached else None, scroll_visible=False)
        self.can_focus = False
        self.paint()

    # ------------------------------------------------------------ drawing

    def drawn_lines(self, width: int, height: int) -> Sequence[Strip]:
        if not any(s.points for s in self.series):
            return [*self.heading(width), self.ink.strip([(self.empty, "dim")], width)]
        return picture(self, width, height)

    def heading(self, width: int) -> list[Strip]:
        """Title, what is special in the view, what the crosshair reads; the legend beside it or in rows below."""
        plot = self._plot
        parts: list[Segment] = []
        left = width

        def add(text: str, style: Style) -> None:
            nonlocal left
            text = cut(drawn(text), max(0, left))
            if text:
                parts.append(Segment(text, style))
                left -= parts[-1].cell_length

        add(safe_text(plot.title, width), self.ink.style("head" if plot.chosen else "dim"))
        if said := plot.view.said():
            add(f"  {said}", self.ink.style("dim"))
        if self.crosshair is not None:
            add(f"  {_place(self.crosshair, plot.view)}", self.ink.style("accent"))
            if len(self.series) == 1:
                add(f"  {_reading(self.series[0], self.crosshair)}", self.ink.style())
        rows = self._legend(width, left) if len(self.series) > 1 else []
        if rows and rows[0] and sum(each.cell_length for each in rows[0]) <= left and len(rows) == 1:
            parts += rows.pop()
        strips = [Strip(parts).adjust_cell_length(width, self.ink.style())]
        return strips + [Strip(row).adjust_cell_length(width, self.ink.style()) for row in rows]

    def _legend(self, width: int, left: int) -> list[list[Segment]]:
        """The name of each line in its colour, in the room beside the title or in columns."""
        entries = list(zip(self.series, self.styles_of_series(), strict=True))
        names = [safe_text(series.name, 24) for series, _ in entries]
        readable = any(series.readings for series, _ in entries)
        signs = ["━" if utf8_screen() else ASCII_MARKERS[at % len(ASCII_MARKERS)] for at in range(len(entries))]
        extra = READING if readable else 0
        one_row = [Segment(drawn(f"  {signs[at]} {name}"), entries[at][1]) for at, name in enumerate(names)]
        if sum(each.cell_length for each in one_row) + extra * len(names) <= left:
            if self.crosshair is None:
                return [one_row]
            parts = []
            for (series, _), segment in zip(entries, one_row, strict=True):
                parts += [segment, Segment(f" {_reading(series, self.crosshair)}", self.ink.style())]
            return [parts]
        longest = max(Segment(name).cell_length for name in names)
        cells = min(width, max(ENTRY[0], min(ENTRY[1], longest + 3 + extra)))
        beside = max(1, width // cells)
        rows: list[list[Segment]] = []
        most = beside * LEGEND_ROWS
        for at, (series, style) in enumerate(entries):
            if at % beside == 0:
                rows.append([])
            if at == most - 1 and len(entries) > most:
                rows[-1].append(Segment(f" and {len(entries) - at} more", self.ink.style("dim")))
                break
            name = Segment(drawn(f"{signs[at]} {cut(names[at], cells - 3 - extra)}"), style)
            said = "" if self.crosshair is None else f" {_reading(series, self.crosshair)}"
            rest = cells - name.cell_length
            rows[-1] += [name, Segment(cut(said, rest).ljust(rest), self.ink.style())]
        return rows

    def styles_of_series(self) -> list[Style]:
        hues = COLORS[self.ink.theme]
        ground = self.ink.style().bgcolor
        numbers = color_numbers([s.id or s.name for s in self.series], len(hues))
        return [Style(color=hues[n], bgcolor=None if ground is None else ground.name) for n in numbers]

    def faint(self, style: Style) -> Style:
        """The hue, nearly lost in the ground; where a terminal names its own colours, its grey."""
        ground, hue = self.ink.style().bgcolor, style.color
        if ground is None or hue is None or ground.triplet is None or hue.triplet is None:
            return self.ink.style("dim")
        mixed = [round(b + (h - b) * FAINT) for h, b in zip(hue.triplet, ground.triplet, strict=True)]
        return Style(color=Color.from_rgb(*mixed), bgcolor=ground.name)


def _place(x: float, view: View) -> str:
    return f"{'step ' if view.across is Across.STEP else 'at '}{x_text(x, view.across)}"


def _reading(series: Series, x: float) -> str:
    value = series.at(x)
    if value is None:
        return NOTHING
    return number(value, 4) if abs(value) <= MOST else "NaN" if value != value else f"{value:g}"
