"""Two versions of a dataset side by side: what changed, which columns moved, worst first, one drawn over the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on

from console.data.diff import Move, VersionDiff
from console.data.diff_text import facts, figures, value
from console.safe import safe_text
from console.tui import ink
from console.tui.describing import field
from console.tui.histogram import Histogram
from console.tui.lines import Line, LineList
from console.tui.reading import ReadingScreen
from console.wording import NOTHING

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

TONES = {"moved far": "bad", "moved": "warn", "barely moved": ""}

LEAST_DRAWN = 9
"""Lines of the drawing on the smallest screen."""


class DiffScreen(ReadingScreen):
    """The cursor goes through the columns; under them is drawn the one that it stands on."""

    DEFAULT_CSS = """
    DiffScreen > Histogram { height: 9; border-top: solid $rule; }
    """

    def __init__(self, found: VersionDiff) -> None:
        super().__init__(f"{found.before} → {found.after}", ())
        self._found = found
        self._drawing = Histogram(id="diff-drawing")

    def compose(self) -> ComposeResult:
        for widget in super().compose():
            if widget.id == "reading-keys":
                yield self._drawing
            yield widget

    def on_mount(self) -> None:
        self.initial = self._lines(self.app.size.width)
        super().on_mount()
        self.fit()
        if self._found.moved:
            self.body.select(self._found.moved[0].name)
        self._draw(self._found.moved[0] if self._found.moved else None)

    def on_resize(self, event: events.Resize) -> None:
        self.body.set_lines(self._lines(event.size.width))
        self.fit()

    def fit(self) -> None:
        self._drawing.styles.height = max(LEAST_DRAWN, self.app.size.height * 2 // 5)

    def _lines(self, width: int) -> list[Line]:
        lines = []
        for name, text in facts(self._found)[2:]:
            lines += [
                field(name if not row else "", safe_text(line, max(20, width - 18)))
                for row, line in enumerate(text.split("\n"))
            ]
        lines.append(Line([("", "")]))
        shown = [("PSI", 6), ("KS", 6), ("shift", 8), ("missing", 12)]
        if width >= 110:
            shown += [("JS", 6), ("median", 24)]
        room = 16 if width < 110 else 22
        heads = "".join(f"{title:>{cells}} " for title, cells in shown)
        lines.append(Line([("  " + ink.fit("column", room) + " " + ink.fit("moved", 19) + " " + heads, "head")]))
        for move in self._found.moved:
            said = figures(move)
            tone = TONES.get(move.words, "dim")
            values = "".join(f"{said.get(title, NOTHING):>{cells}} " for title, cells in shown)
            spans = [
                (ink.fit(safe_text(move.name), room) + " ", ""),
                (ink.fit(move.words, 19) + " ", tone),
                (values, "dim" if tone == "dim" else ""),
            ]
            lines.append(Line(spans, move.name, move))
        error = max((move.error for move in self._found.moved), default=0.0)
        if error:
            lines.append(Line([(f"  long columns are compared by samples: shares within ±{error * 100:.2g} %", "dim")]))
        return lines

    @on(LineList.Moved)
    def _moved(self, event: LineList.Moved) -> None:
        if event.line is not None and isinstance(event.line.value, Move):
            self._draw(event.line.value)

    def _draw(self, move: Move | None) -> None:
        names = (self._found.before, self._found.after)
        if move is None or not move.before:
            self._drawing.show_bins((), (), (), title=f"{move.name}: {move.words}" if move else "", names=names)
        elif move.labels:
            self._drawing.show_levels(move.labels, move.before, move.after, title=_title(move), names=names)
        else:
            kind = move.type
            self._drawing.show_bins(
                move.edges,
                move.before,
                move.after,
                title=_title(move),
                names=names,
                text=lambda edge: value(edge, kind),
            )


def _title(move: Move) -> str:
    changed = [f"{word} {', '.join(values[:4])}" for word, values in (("new", move.new), ("lost", move.lost)) if values]
    return "  ".join([move.name, *changed])
