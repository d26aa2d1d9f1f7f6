"""Questions laid over the frame: a yes, a line of text, a choice, a form.

A yes is always `y`, never enter and never the key that brought the dialog up; in production it is the typed name. The
answer is only an answer: whoever asked makes the change, from the app, so that closing a dialog cannot lose it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from console.safe import safe_text
from console.tui import ink
from console.tui.bar import Line as InputLine
from console.tui.frame import OneLine
from console.tui.lines import Line, LineList, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult
    from textual.suggester import Suggester

    from console.tui.app import ConsoleApp

A = TypeVar("A")

WIDTH = 96
"""Cells of a dialog where the screen has them, border and all; written in the sheet too."""

NARROW = 74
"""Cells of text that a dialog holds on the smallest usual terminal."""


class Dialog(ModalScreen[A | None], Generic[A]):
    """A box in the middle: title, lines, inputs, keys."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog:ansi { background: transparent; }
    Dialog > #box { width: 96; max-width: 100%; height: auto; max-height: 100%; border: round $rule; padding: 0 1;
                    background: $background; }
    Dialog.-production > #box { border: double $state-prod; }
    Dialog #box > LineList { height: auto; max-height: 100%; }
    Dialog #box > Horizontal { height: 1; }
    Dialog #box > Horizontal > .label { width: 16; }
    Dialog #dialog-hint-2 { display: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="dialog.cancel", tooltip="Leave; nothing is changed."),
        Binding("tab", "app.focus_next", "next", id="dialog.next", tooltip="To the next line."),
        Binding("shift+tab", "app.focus_previous", "previous", id="dialog.previous", tooltip="To the line before."),
    ]

    if TYPE_CHECKING:

        @property
        def app(self) -> ConsoleApp: ...  # type: ignore[override]

    def __init__(self, title: str) -> None:
        super().__init__()
        self.heading = title

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield OneLine(id="dialog-title")
            yield from self.inner()
            yield OneLine(id="dialog-hint")
            yield OneLine(id="dialog-hint-2")
            yield OneLine(id="dialog-keys")

    def inner(self) -> ComposeResult:
        yield from ()

    def on_mount(self) -> None:
        production = self.app.here().production
        self.set_class(production, "-production")
        session = self.app.session
        where = safe_text(session.context.name, 24) if session else ""
        self.query_one("#dialog-title", OneLine).say(
            [(safe_text(self.heading, 70), "head")],
            [(f" {where} PRODUCTION ", "badge-prod")] if production else [(where, "dim")],
        )
        self.query_one("#dialog-keys", OneLine).say((), self.keys())
        self.fit()

    def on_resize(self) -> None:
        self.fit()

    def fit(self) -> None:
        """Give the body the lines it has, and no more than the screen has."""
        bodies = list(self.query(LineList))
        if bodies:
            others = sum(1 for row in self.query_one("#box").children if row.display and not isinstance(row, LineList))
            rows = max(1, min(len(bodies[0].lines) or 1, self.app.size.height - others - 2))
            bodies[0].styles.height = rows

    def keys(self) -> ink.Spans:
        return [("esc", "key"), (" cancel", "dim")]

    def hint(self, text: str, tone: str = "warn") -> None:
        """What is wanted or wrong, on up to two lines."""
        first, *rest = wrapped(safe_text(text), min(WIDTH, self.app.size.width) - 5)
        more = self.query_one("#dialog-hint-2", OneLine)
        self.query_one("#dialog-hint", OneLine).say([(ink.plain(first.spans), tone)])
        more.say([(" ".join(ink.plain(line.spans) for line in rest), tone)])
        if more.display != bool(rest):
            more.display = bool(rest)
            self.fit()

    def action_cancel(self) -> None:
        self.dismiss(None)


_LEAVE: tuple[ink.Span, ...] = (("esc", "key"), (" cancel", "dim"))


def labelled(label: str, line: InputLine) -> Horizontal:
    """`label ▏text`."""
    name = OneLine()
    name.add_class("label")
    name.say([(safe_text(label, 15), "dim")])
    return Horizontal(name, line)


@dataclass(frozen=True)
class Yes:
    """The person agreed."""

    reason: str = ""
    override: bool = False
    """In spite of what spoke against it."""


class Confirm(Dialog[Yes]):
    """Says what will happen; `y` does it.

    With `word`, the word has to be typed instead. With `refused`, it cannot be done and the dialog says why, unless it
    may be overridden: then `o`, and a reason, before the same yes. `more` is what enter shows, also as it is
    by then. `late` gives lines that
    take long, asked for in a thread: they stand at their number of line once they are there, `late_word` until then.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "yes", id="confirm.yes", tooltip="Do it."),
        Binding("n,q", "cancel", "no", id="confirm.no", tooltip="Leave; nothing is changed."),
        Binding("w", "why", "why", id="confirm.why", tooltip="Write why."),
        Binding("o", "override", "override", id="confirm.override", tooltip="Do it in spite of what fails."),
        Binding("enter,d", "details", "details", id="confirm.details", tooltip="Everything there is to know."),
    ]

    def __init__(
        self,
        title: str,
        lines: Sequence[Line],
        verb: str,
        *,
        word: str = "",
        reason: bool = False,
        refused: str = "",
        overridable: bool = False,
        more: Sequence[Line] | Callable[[], Sequence[Line]] = (),
        late: tuple[int, Callable[[], Sequence[Line]]] | None = None,
        late_word: str = "",
    ) -> None:
        super().__init__(title)
        self.more = more
        self.late = late
        self.late_word = late_word
        self.body_lines = list(lines)
        self.verb = verb
        self.word = word
        self.asks_reason = reason
        self.refused = refused
        self.overridable = overridable
        self.overriding = False

    def inner(self) -> ComposeResult:
        yield LineList(id="dialog-body")
        if self.asks_reason:
            yield labelled("why", InputLine(id="confirm-reason"))
        if self.word:
            row = labelled("type the name", InputLine(id="confirm-word"))
            row.display = not self.refused
            yield row

    def on_mount(self) -> None:
        body = self.query_one("#dialog-body", LineList)
        body.set_lines(self._with_late([Line([(self.late_word, "dim")])]) if self.late else self.body_lines)
        super().on_mount()
        if self.late:
            self.run_worker(self._wait_for_late(self.late[1]))
        if self.refused:
            self.hint(self.refused, "bad")
        if self.word and not self.refused:
            self.hint(f"type {safe_text(self.word, 60)} and press enter to {self.verb}", "prod")
            self.query_one("#confirm-word", InputLine).focus()
        else:
            body.focus(scroll_visible=False)

    def _with_late(self, lines: Sequence[Line]) -> list[Line]:
        at = self.late[0] if self.late else len(self.body_lines)
        return [*self.body_lines[:at], *lines, *self.body_lines[at:]]

    async def _wait_for_late(self, ask: Callable[[], Sequence[Line]]) -> None:
        lines = await self.app.look_up(ask)
        self.query_one("#dialog-body", LineList).set_lines(self._with_late(lines))
        self.fit()

    def keys(self) -> ink.Spans:
        spans: list[ink.Span] = []
        if self.more:
            spans += [("d" if self.word else "enter", "key"), (" details    ", "dim")]
        if self.refused:
            over: list[ink.Span] = [("o", "key"), (" override    ", "dim")] if self.overridable else []
            return [*spans, ("y", "dim"), (f" {self.verb}    ", "dim"), *over, ("esc", "key"), (" back", "dim")]
        if self.word:
            return [("tab", "key"), (" next line    ", "dim"), ("enter", "key"), (f" {self.verb}    ", "dim"), *_LEAVE]
        if self.asks_reason:
            spans += [("w", "key"), (" why    ", "dim")]
        return [*spans, ("y", "key"), (f" {self.verb}    ", "dim"), ("n", "key"), (" cancel", "dim")]

    def _reason(self) -> str:
        return self.query_one("#confirm-reason", InputLine).value.strip() if self.asks_reason else ""

    def action_yes(self) -> None:
        if self.refused:
            self.hint(self.refused, "bad")
        elif not self.word:
            self._agree()

    def _agree(self) -> None:
        if self.overriding and not self._reason():
            self.hint("overriding needs a reason, which is kept in the journal: write why, then agree", "bad")
            self.action_why()
        else:
            self.dismiss(Yes(self._reason(), self.overriding))

    def action_override(self) -> None:
        """From here on it is asked as if nothing spoke against it, but for the reason."""
        if not self.refused or not self.overridable:
            return
        self.refused, self.overriding = "", True
        if self.word:
            row = self.query_one("#confirm-word", InputLine).parent
            assert isinstance(row, Horizontal)  # noqa: S101 `labelled` made it
            row.display = True
        agree = f"type {safe_text(self.word, 60)} and press enter" if self.word else "press y"
        self.hint(f"override: write why and press enter, then {agree} to {self.verb} in spite of what fails", "warn")
        self.query_one("#dialog-keys", OneLine).say((), self.keys())
        self.fit()
        self.action_why()

    def action_details(self) -> None:
        if self.more:
            from console.tui.reading import ReadingScreen

            lines = self.more() if callable(self.more) else self.more
            self.app.push_screen(ReadingScreen(self.heading, lines))

    def action_why(self) -> None:
        if self.asks_reason:
            self.query_one("#confirm-reason", InputLine).focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if event.input.id == "confirm-reason":
            if self.word and not self.refused:
                self.query_one("#confirm-word", InputLine).focus()
            else:
                self.query_one("#dialog-body", LineList).focus(scroll_visible=False)
        elif event.value == self.word and not self.refused:
            self._agree()
        else:
            self.hint(f"this is not the name; type {safe_text(self.word, 60)} to {self.verb}", "bad")


class Ask(Dialog[str]):
    """One line of text. `check` gives a sentence when the text will not do; `note` says what may stand there."""

    def __init__(
        self,
        title: str,
        label: str,
        value: str = "",
        *,
        check: Callable[[str], str] | None = None,
        empty: bool = False,
        note: str = "",
    ) -> None:
        super().__init__(title)
        self.label = label
        self.note = note
        self.value = value
        self.check = check
        self.empty = empty

    def inner(self) -> ComposeResult:
        yield labelled(self.label, InputLine(self.value, id="ask-line"))

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#ask-line", InputLine).focus()
        if self.note:
            self.hint(safe_text(self.note, 200), "dim")

    def keys(self) -> ink.Spans:
        return [("enter", "key"), (" take    ", "dim"), ("esc", "key"), (" cancel", "dim")]

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if not text and not self.empty:
            self.hint("nothing was entered")
            return
        problem = self.check(text) if self.check else ""
        if problem:
            self.hint(problem, "bad")
            return
        self.dismiss(text)


class Choose(Dialog[str]):
    """One of a list of (id, label, detail); a letter or two narrow it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take", id="choose.take", tooltip="Take what is under the cursor.", priority=True),
        Binding("up", "move(-1)", "up", id="choose.up", tooltip="One up.", priority=True),
        Binding("down", "move(1)", "down", id="choose.down", tooltip="One down.", priority=True),
    ]

    def __init__(self, title: str, options: Sequence[tuple[str, str, str]]) -> None:
        super().__init__(title)
        self.options = list(options)

    def inner(self) -> ComposeResult:
        if len(self.options) > 8:
            yield labelled("search", InputLine(id="choose-search"))
        yield LineList(id="choose-list")

    def on_mount(self) -> None:
        self._list("")
        super().on_mount()
        searches = self.query("#choose-search")
        (searches.first() if searches else self.query_one("#choose-list")).focus(scroll_visible=False)

    def keys(self) -> ink.Spans:
        return [("enter", "key"), (" take    ", "dim"), ("esc", "key"), (" cancel", "dim")]

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._list(event.value)

    def _list(self, text: str) -> None:
        words = text.lower().split()
        cells = min(40, max((len(label) for _, label, _ in self.options), default=8) + 2)
        lines = [
            Line([(ink.fit(safe_text(label), cells), ""), (safe_text(detail, 200), "dim")], key or " ")
            for key, label, detail in self.options
            if all(word in f"{label} {detail}".lower() for word in words)
        ]
        body = self.query_one("#choose-list", LineList)
        body.empty = [(" nothing matches", "dim")]
        body.set_lines(lines)

    def action_move(self, by: int) -> None:
        self.query_one("#choose-list", LineList).action_step(by)

    def action_take(self) -> None:
        current = self.query_one("#choose-list", LineList).current
        if current is not None:
            self.dismiss(current.key)


@dataclass(frozen=True)
class Field:
    """A line of a form."""

    name: str
    label: str
    value: str = ""
    note: str = ""
    """What may stand here, in a few words."""
    choices: tuple[str, ...] = ()
    """Up and down walk through these; anything else may still be typed."""
    suggester: Suggester | None = None
    """Completes what is typed; tab takes it."""


class Form(Dialog[dict[str, str]]):
    """Several lines with defaults. Enter goes to the next, and from the last one is done.

    `check` gives a sentence when the values will not do.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "done", "done", id="form.done", tooltip="Take the form as it is.", priority=True),
        Binding(
            "up",
            "turn(-1)",
            "choice before",
            id="form.up",
            tooltip="The choice before, or the line above.",
            priority=True,
        ),
        Binding(
            "down",
            "turn(1)",
            "next choice",
            id="form.down",
            tooltip="The next choice, or the line below.",
            priority=True,
        ),
    ]

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        verb: str,
        *,
        lines: Sequence[Line] = (),
        check: Callable[[dict[str, str]], str] | None = None,
    ) -> None:
        super().__init__(title)
        self.fields = list(fields)
        self.verb = verb
        self.body_lines = list(lines)
        self.check = check

    def inner(self) -> ComposeResult:
        if self.body_lines:
            yield LineList(id="form-body")
        for number, field in enumerate(self.fields):
            yield labelled(field.label, InputLine(field.value, suggester=field.suggester, id=f"field-{number}"))

    def on_mount(self) -> None:
        if self.body_lines:
            body = self.query_one("#form-body", LineList)
            body.set_lines(self.body_lines)
            body.can_focus = False
        super().on_mount()
        self._line(0).focus()

    def keys(self) -> ink.Spans:
        return [
            ("enter", "key"), (" next    ", "dim"), ("↑ ↓", "key"), (" choices    ", "dim"), ("ctrl+s", "key"),
            (f" {self.verb}    ", "dim"), ("esc", "key"), (" cancel", "dim"),
        ]  # fmt: skip

    def _line(self, number: int) -> InputLine:
        return self.query_one(f"#field-{number}", InputLine)

    def _at(self) -> int:
        focused = self.focused
        name = focused.id if focused is not None and focused.id else ""
        return int(name.removeprefix("field-")) if name.startswith("field-") else 0

    def on_descendant_focus(self) -> None:
        field = self.fields[self._at()]
        choices = "  ·  ".join(safe_text(choice, 30) for choice in field.choices[:12])
        self.hint("  ".join(part for part in (field.note, choices) if part), "dim")

    def action_turn(self, by: int) -> None:
        at = self._at()
        choices = self.fields[at].choices
        if not choices:
            self._line(max(0, min(len(self.fields) - 1, at + by))).focus()
            return
        line = self._line(at)
        place = choices.index(line.value) + by if line.value in choices else 0
        line.value = choices[place % len(choices)]
        line.cursor_position = len(line.value)

    @on(Input.Submitted)
    def _entered(self, _: Input.Submitted) -> None:
        at = self._at()
        if at + 1 < len(self.fields):
            self._line(at + 1).focus()
        else:
            self.action_done()

    def action_done(self) -> None:
        values = {field.name: self._line(number).value.strip() for number, field in enumerate(self.fields)}
        problem = self.check(values) if self.check else ""
        if problem:
            self.hint(problem, "bad")
            return
        self.dismiss(values)


def sentences(text: str, width: int = NARROW) -> list[Line]:
    """A paragraph as dialog lines."""
    return wrapped(safe_text(text), width)
