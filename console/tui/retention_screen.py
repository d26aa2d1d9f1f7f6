"""How long a monitor keeps what, the disk that it takes, and what goes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from console.safe import safe_text
from console.tui import ink
from console.tui.lines import Line, wrapped
from console.tui.reading import ReadingScreen
from console.wording import local_time, size, thousands

if TYPE_CHECKING:
    from console.monitoring.compaction.passing import Pass
    from console.monitoring.compaction.room import MonitorRoom

ENDLESS = "grows"


@dataclass(frozen=True)
class Kept:
    """What is known of it."""

    room: MonitorRoom
    ahead: Pass
    """What the next pass would do."""
    last: Pass | None
    own: bool
    """The monitor says it itself, for some of them at least."""


class RetentionScreen(ReadingScreen):
    """The answer is `edit`, `now` or `default`, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "wish('edit')", "edit", id="retention.edit", tooltip="Other times."),
        Binding("x", "wish('now')", "at once", id="retention.now", tooltip="Merge and let go now."),
        Binding("D", "wish('default')", "defaults", id="retention.default", tooltip="What the context says again."),
    ]

    def __init__(self, monitor: str, kept: Kept) -> None:
        super().__init__(f"What {monitor} keeps", ())
        self.kept = kept

    def on_mount(self) -> None:
        self._draw()
        super().on_mount()

    def on_resize(self) -> None:
        self._draw()
        self.show(self.initial)

    def _draw(self) -> None:
        self.initial = retention_lines(self.kept, self.app.size.width)

    def keys(self) -> ink.Spans:
        default: list[ink.Span] = [("D", "key"), (" defaults   ", "dim")] if self.kept.own else []
        return [
            (" e", "key"), (" edit   ", "dim"), ("x", "key"), (" at once   ", "dim"), *default,
            ("y", "key"), (" copy all   ", "dim"), ("esc", "key"), (" back", "dim"),
        ]  # fmt: skip

    def action_wish(self, do: str) -> None:
        self.dismiss(do)  # type: ignore[arg-type]


def retention_lines(kept: Kept, width: int) -> list[Line]:
    """A line for each kind of thing that is kept, then what was merged last and what comes next."""
    room = kept.room
    lines = [
        Line([(f" {'what':<9}{'kept':>7}{'there':>10}{'takes':>10}{'at most':>10}", "head"), ("  reckoned by", "head")])
    ]
    for each in room.lines:
        figures = (
            f"{each.keep:>7}{thousands(each.count) if each.count else '':>10}{size(each.bytes):>10}"
            f"{ENDLESS if each.most is None else size(each.most):>10}"
        )
        by = safe_text(f"  {each.by}", max(8, width - 50))
        lines.append(Line([(f" {each.what:<9}", ""), (figures, ""), (by, "dim")]))
    lines.append(Line([("", "")]))
    lines += wrapped(f"It {room.words()}.", width - 2, "", " ")
    said = "the monitor's own times" if kept.own else "the context's times, or the usual ones"
    lines += wrapped(
        f"By {said}. Minutes are merged into their hour and hours into their day: no row is lost by it, and labels "
        "that come late find them. The agent does it by itself.",
        width - 2, "dim", " ",
    )  # fmt: skip
    lines.append(Line([("", "")]))
    lines += _told("next", kept.ahead.words(), width)
    if kept.last is not None:
        lines += _told("last", f"{kept.last.words()}, {local_time(kept.last.at)}", width)
    for note in kept.ahead.merged.notes:
        lines += wrapped(safe_text(note, 400), width - 2, "warn", " ")
    return lines


def _told(name: str, said: str, width: int) -> list[Line]:
    first, *others = wrapped(safe_text(said, 400), width - 10, "", " ")
    return [
        Line([(f" {name}  ", "head"), (ink.plain(first.spans).strip(), "")]),
        *(Line([("       ", ""), (ink.plain(each.spans).strip(), "")]) for each in others),
    ]
