"""The parts of the rows that are answered worst, found by themselves; enter makes one a named segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from backends.contract import BackendError
from backends.entities import Progress
from console.monitoring.reasons.found_slices import Slice, Slices
from console.offload import Cancelled
from console.safe import safe_text
from console.tui import ink
from console.tui.lines import Line, wrapped
from console.tui.searching import SearchingScreen
from console.wording import number, plural, thousands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.entities import Segment

Search = Callable[[Callable[[Progress], None], Callable[[], bool]], Slices]
FIGURES = 40
"""Cells of the numbers behind a condition."""


class SlicesScreen(SearchingScreen):
    """The answer is the slice that is to be a segment, or None; `found` keeps what was found."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "make a segment", id="slices.take", tooltip="Count this part beside the whole."),
        Binding("ctrl+r", "again", "again", id="slices.again", tooltip="Look again."),
    ]

    def __init__(
        self, title: str, search: Search, segments: Sequence[Segment], found: Slices | None = None, at: str = ""
    ) -> None:
        """found: of an earlier look, so that it is not made again."""
        super().__init__(title, ())
        self.found = found
        self._search = search
        self._named = {segment.where: segment.name for segment in segments}
        self._start = at
        self._trouble = ""

    def on_mount(self) -> None:
        super().on_mount()
        self._draw()
        if self._start:
            self.body.select(self._start)
        if self.found is None:
            self.action_again()

    def on_resize(self) -> None:
        self._draw()

    def action_again(self) -> None:
        self.run_worker(self._find(), group="slices", exclusive=True, exit_on_error=False)

    async def _find(self) -> None:
        self._trouble = ""
        try:
            self.found = await self.search("worst slices", self._search)
        except Cancelled:
            self._trouble = "the search was ended; ctrl+r looks again"
        except (BackendError, OSError) as error:
            self._trouble = str(error)
        self._draw()

    def _draw(self) -> None:
        self.show(slice_lines(self.found, self._named, self._trouble, self.app.size.width))

    def keys(self) -> ink.Spans:
        return [(" enter", "key"), (" make it a segment   ", "dim"), *super().keys()]

    def action_take(self) -> None:
        current = self.body.current
        if current is not None and isinstance(current.value, Slice):
            self.dismiss(current.value)  # type: ignore[arg-type]


def slice_lines(found: Slices | None, named: dict[str, str], trouble: str, width: int) -> list[Line]:
    """Two lines a slice; `named` says which conditions are segments already."""
    if trouble:
        return wrapped(safe_text(trouble, 600), width - 2, "warn", " ")
    if found is None:
        return [Line([(" looking among the sampled rows …", "dim")])]
    lines: list[Line] = []
    if found.error is not None:
        said = (
            f"{plural(found.rows, 'labelled row')}, {found.what} {number(found.error, 3)}; "
            f"{plural(found.tried, 'part')} tried"
        )
        lines += wrapped(safe_text(said, 200), width - 2, "dim", " ")
    room = max(20, width - FIGURES - 2)
    if found.slices:
        heads = f"{'rows':>8}{found.what.split()[0]:>9}{'elsewhere':>10}{'carries':>9}"
        lines += [Line([("", "")]), Line([(" " + ink.fit("answered worst", room), "head"), (heads, "head")])]
    for each in found.slices:
        figures = f"{thousands(each.rows):>8}{number(each.error, 3):>9}{number(each.rest, 3):>10}"
        lines.append(
            Line(
                [
                    (" " + ink.fit(safe_text(each.where), room), ""),
                    (figures, "dim"),
                    (f"{each.contribution * 100:7.0f} %", ""),
                ],
                f"slice:{each.where}",
                each,
            )
        )
        chance = f"by chance q {each.q_value:.1e}"
        told = f"segment {named[each.where]} · {chance}" if each.where in named else chance
        lines.append(Line([("   ", ""), (safe_text(told, max(20, width - 4)), "dim")]))
    if not found.slices and found.tried:
        lines += wrapped("no part is answered worse than the rest, beyond what chance makes", width - 2, "", " ")
    for note in found.notes:
        lines += [Line([("", "")]), *wrapped(safe_text(note, 400), width - 2, "dim", " ")]
    return lines
