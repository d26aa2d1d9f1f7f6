"""The error line: it stays until it is dismissed, and gives the whole of the error on request."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from backends.contract import Refused
from console.safe import safe_lines, safe_text
from console.tui import ink, state
from console.tui.frame import OneLine
from console.tui.lines import Line
from console.tui.pane import unexpected

if TYPE_CHECKING:
    from textual import events


@dataclass(frozen=True)
class Problem:
    """An error as it is shown: raw text, made safe where it is drawn."""

    wanted: str
    """What the person was doing."""
    text: str
    whole: str
    error: BaseException

    @classmethod
    def of(cls, error: BaseException, wanted: str) -> Problem:
        text = str(error) or type(error).__name__
        whole = text
        if isinstance(error, Refused) and error.gates:
            whole += "\n\n" + "\n".join(
                f"{gate.status:<5} {gate.gate}: {gate.value} (wanted {gate.rule}) {gate.detail}".rstrip()
                for gate in error.gates
            )
        if isinstance(error, Exception) and unexpected(error):
            text = f"{type(error).__name__}: {text}"
            whole = "This is a fault of mlops-console; please report it with what follows.\n\n" + "".join(
                traceback.format_exception(error)
            )
        return cls(wanted, text, whole, error)

    def lines(self) -> list[Line]:
        head = Line([(safe_text(self.wanted), "head")])
        return [head, Line([("", "")]), *(Line([(line, "")]) for line in safe_lines(self.whole))]


class ErrorLine(OneLine, can_focus=True):
    """Takes the keyboard for enter, y and esc; any other key goes on to the list."""

    DEFAULT_CSS = "ErrorLine { display: none; }"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "whole", "whole", id="error.whole", show=False, tooltip="The whole error."),
        Binding("y", "copy", "copy", id="error.copy", show=False, tooltip="Copy the error."),
        Binding("escape,q", "dismiss", "dismiss", id="error.dismiss", show=False, tooltip="Dismiss the error."),
    ]

    class Asked(Message):
        """The person wants something of the error."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def put(self, problem: Problem) -> None:
        spans: list[ink.Span] = [(" ", ""), state.span("failed", "")]
        if problem.wanted:
            spans.append((f"{safe_text(problem.wanted, 60)}: ", "bad"))
        spans.append((safe_text(problem.text, 400), ""))
        self.say(
            spans,
            [
                ("  enter", "key"),
                (" whole  ", "dim"),
                ("y", "key"),
                (" copy  ", "dim"),
                ("esc", "key"),
                (" dismiss ", "dim"),
            ],
        )
        self.display = True

    def action_whole(self) -> None:
        self.post_message(self.Asked("whole"))

    def action_copy(self) -> None:
        self.post_message(self.Asked("copy"))

    def action_dismiss(self) -> None:
        self.post_message(self.Asked("dismiss"))

    def on_key(self, event: events.Key) -> None:
        if event.key not in ("enter", "y", "escape", "q"):
            event.stop()
            event.prevent_default()
            self.app.pass_on(event)
