"""What could go for good: each thing with its size and why, what may be left out, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from backends.entities.holdings import Going, Part
from console.retention.rule import Plan, summary
from console.safe import safe_text
from console.tui import ink
from console.tui.lines import Line, wrapped
from console.tui.reading import ReadingScreen
from console.wording import NOTHING, plural, size

if TYPE_CHECKING:
    from collections.abc import Collection

MOST = 2_000
"""Lines of one kind; what is more is told as a number."""

TIERS = (
    ("left over · asks for a yes", (Part.LEFTOVER,)),
    ("deleted runs · for good, asks for the name · D restores one", (Part.RUN,)),
    ("files and logs · for good, asks for the name · history stays", (Part.ARTIFACTS, Part.LOG)),
    ("dataset versions · for good, asks for the name", (Part.DATA,)),
)
"""What removes what, and what is asked before: where any of it is for good, the name is."""


@dataclass(frozen=True)
class Wish:
    """What the person wants of the preview."""

    do: str
    """`remove`, `leave`, `restore` or `rule`."""
    going: Going | None = None


class CleanScreen(ReadingScreen):
    """The cursor goes through what would go; the answer is a `Wish`, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "wish('remove')", "remove", id="clean.remove", tooltip="Remove what is listed."),
        Binding("space", "wish('leave')", "leave out", id="clean.leave", tooltip="Leave this one out, or take it in."),
        Binding("D", "wish('restore')", "restore", id="clean.restore", tooltip="Bring this deleted run back."),
        Binding("a", "wish('rule')", "another rule", id="clean.rule", tooltip="Ask for age and size."),
    ]

    def __init__(self, found: Plan, rule: str, left_out: Collection[Going], at: str = "") -> None:
        super().__init__(f"Clean up › {rule}", ())
        self._found = found
        self._left_out = tuple(left_out)
        self._start = at

    def on_mount(self) -> None:
        self.initial = plan_lines(self._found, self._left_out, self.app.size.width)
        super().on_mount()
        if self._start:
            self.body.select(self._start)

    def keys(self) -> ink.Spans:
        return [
            (" r", "key"), (" remove   ", "dim"), ("space", "key"), (" leave out   ", "dim"), ("D", "key"),
            (" restore   ", "dim"), ("a", "key"), (" age, size   ", "dim"), ("esc", "key"), (" back", "dim"),
        ]  # fmt: skip

    def action_wish(self, do: str) -> None:
        current = self.body.current
        going = current.value if current is not None and isinstance(current.value, Going) else None
        if do in ("leave", "restore") and going is None:
            return
        if do == "restore" and going is not None and going.part is not Part.RUN:
            self.app.tell("only a deleted run can be restored: put the cursor on one")
            return
        self.dismiss(Wish(do, going))  # type: ignore[arg-type]


def key_of(going: Going) -> str:
    return f"{going.part}:{going.target}"


def plan_lines(found: Plan, left_out: Collection[Going], width: int) -> list[Line]:
    """What goes in its tiers, what was left out, what stays and why."""
    lines = [
        Line([(f" {summary(found)}", "head"), (f"  of {size(found.before)} in the workspace", "dim")]),
        Line([("", "")]),
    ]
    for title, parts in TIERS:
        members = [each for each in found.going if each.part in parts]
        if not members:
            continue
        lines.append(Line([(f" {safe_text(title, width - 14)}", "head"), (f"  {size(_bytes(members))}", "dim")]))
        lines += [_line(each, width) for each in members[:MOST]]
        if len(members) > MOST:
            lines.append(Line([(f" and {plural(len(members) - MOST, 'more')}", "dim")]))
        lines.append(Line([("", "")]))
    if left_out:
        lines.append(Line([(" left out by you; space takes it in again", "head")]))
        lines += [_line(each, width, tone="dim") for each in left_out]
        lines.append(Line([("", "")]))
    for why, count in sorted(found.kept.items(), key=lambda pair: -pair[1]):
        lines.append(Line([(f" {plural(count, 'run')} old enough to go stay: {safe_text(why, width - 40)}", "dim")]))
    for note in found.notes:
        lines += wrapped(safe_text(note), width - 2, "warn", " ")
    return lines


def _bytes(members: list[Going]) -> int:
    return sum(each.bytes for each in members)


def _line(each: Going, width: int, tone: str = "") -> Line:
    why, shared = 22 if width >= 100 else 18, 18 if width >= 100 else 0
    more = f"{size(each.shared)} shared" if each.shared else ""
    spans = [
        (ink.fit(str(each.part), 16), "dim"),
        (f"{size(each.bytes) if each.bytes else NOTHING:>9}  ", tone),
        (ink.fit(more, shared) if shared else "", "dim"),
        (ink.fit(safe_text(each.why, why), why + 1), "dim"),
        (safe_text(each.name, max(10, width - 32 - why - shared)), tone),
    ]
    return Line(spans, key_of(each), each)
