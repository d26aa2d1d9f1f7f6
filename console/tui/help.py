"""Every action with its key and its sentence, searchable; enter does it. The palette is the same list, shorter."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Input

from console.tui import ink
from console.tui.actions import ACTIONS, Action, shown_key
from console.tui.bar import Line as InputLine
from console.tui.frame import OneLine, Rule
from console.tui.lines import Line, LineList
from console.tui.panes import BY_ID

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.tui.app import ConsoleApp
    from console.tui.here import Here


class HelpScreen(ModalScreen[str | None]):
    """A line to search in, and the actions that match."""

    DEFAULT_CSS = """
    HelpScreen { layout: vertical; background: $background; }
    HelpScreen.-short { align: center top; background: $background 0%; }
    HelpScreen > #help-box { height: 1fr; width: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "back", id="help.back", tooltip="Back."),
        Binding("enter", "choose", "do it", id="help.choose", tooltip="Do the action under the cursor.", priority=True),
        Binding("up", "move(-1)", "up", id="help.up", tooltip="One up.", priority=True),
        Binding("down", "move(1)", "down", id="help.down", tooltip="One down.", priority=True),
        Binding("pageup", "page(-1)", "page up", id="help.page_up", tooltip="One page up.", priority=True),
        Binding("pagedown", "page(1)", "page down", id="help.page_down", tooltip="One page down.", priority=True),
    ]

    if TYPE_CHECKING:

        @property
        def app(self) -> ConsoleApp: ...  # type: ignore[override]

    def __init__(self, here: Here, *, short: bool = False) -> None:
        super().__init__()
        self.here = here
        self.short = short

    def compose(self) -> ComposeResult:
        yield OneLine(id="help-title")
        yield InputLine(placeholder=" type to search", id="help-search")
        yield Rule()
        yield LineList(id="help-list")
        yield Rule()
        yield OneLine(id="help-keys")

    def on_mount(self) -> None:
        where = BY_ID[self.here.pane].title if self.here.pane in BY_ID else ""
        self.query_one("#help-title", OneLine).say([(" What can be done" + (f" in {where}" if where else ""), "head")])
        self.query_one("#help-keys", OneLine).say(
            [(" enter", "key"), (" do it   ", "dim"), ("esc", "key"), (" back   ", "dim"),
             ("keymap.toml", "key"), (" changes every key", "dim")]
        )  # fmt: skip
        self.search("")
        self.query_one("#help-search", InputLine).focus(scroll_visible=False)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self.search(event.value)

    def search(self, text: str) -> None:
        found = ranked(text, self.here.pane)
        lines: list[Line] = []
        group = ""
        for action in found:
            head = _group(action, self.here.pane)
            if head != group and not text and not self.short:
                group = head
                lines.append(Line([(f" {head}", "head")]))
            lines.append(self._line(action))
        listing = self.query_one("#help-list", LineList)
        listing.empty = [(" nothing is called that", "dim")]
        listing.set_lines(lines)
        if lines:
            listing.select(next(line.key for line in lines if line.key))

    def _line(self, action: Action) -> Line:
        keys = self.app.keymap.keys.get(action.id, action.key)
        shown = " ".join(shown_key(key) for key in keys.split(",") if key)
        command = f":{action.command[0]}" if action.command else ""
        reason = action.reason(self.here) if action.here(self.here.pane) else "in " + ", ".join(action.panes)
        spans: list[ink.Span] = [
            (ink.fit(shown, 14), "dim" if reason else "key"),
            (ink.fit(command, 15), "dim"),
            (action.help, "dim" if reason else ""),
        ]
        if reason:
            spans.append((f"  ({reason})", "warn"))
        return Line(spans, action.id)

    def action_move(self, by: int) -> None:
        self.query_one("#help-list", LineList).action_step(by)

    def action_page(self, by: int) -> None:
        self.query_one("#help-list", LineList).action_page(by)

    def action_choose(self) -> None:
        current = self.query_one("#help-list", LineList).current
        self.dismiss(current.key if current else None)

    def action_close(self) -> None:
        self.dismiss(None)


def ranked(text: str, pane: str) -> list[Action]:
    """The actions that the words mean, best first; all of them, those of the pane first, for no words."""
    words = text.lower().split()
    scored = []
    for place, action in enumerate(ACTIONS):
        near = 0 if pane in action.panes else 1 if not action.panes else 2
        if not words:
            scored.append(((near, place), action))
            continue
        score = score_of(action, words)
        if score is not None:
            scored.append(((score, near * 1000 + place), action))
    return [action for _, action in sorted(scored, key=lambda pair: pair[0])]


def score_of(action: Action, words: list[str]) -> int | None:
    """0 is best: the start of the label or command, then inside it, then in the help, then its letters in order."""
    label = f"{action.label} {' '.join(action.command)} {action.id}".lower()
    total = 0
    for word in words:
        if any(part.startswith(word) for part in label.split()):
            continue
        if word in label:
            total += 1
        elif word in action.help.lower():
            total += 3
        elif _in_order(word, label):
            total += 6
        else:
            return None
    return total


def _in_order(word: str, text: str) -> bool:
    letters = iter(text)
    return all(letter in letters for letter in word)


def _group(action: Action, pane: str) -> str:
    if pane in action.panes:
        return f"Here, in {BY_ID[pane].title if pane in BY_ID else pane}"
    return "Everywhere" if not action.panes else "In other panes"
