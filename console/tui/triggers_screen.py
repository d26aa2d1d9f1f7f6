"""The triggers: where each stands, when it is due, what came of it last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from backends.entities import Firing, Trigger
from console.safe import safe_text
from console.triggers.telling import do_words, limit_words, next_words, outcome_words, state_words, when_words
from console.tui import ink, state
from console.tui.lines import Line, folded, wrapped
from console.tui.reading import ReadingScreen
from console.wording import ago, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

EMPTY = (
    "No trigger yet. n makes one from a few answers, or: mlops-console trigger create NAME --on-alert MONITOR "
    "--rollback MODEL"
)


@dataclass(frozen=True)
class Kept:
    """A trigger with its newest firings."""

    trigger: Trigger
    firings: tuple[Firing, ...]


@dataclass(frozen=True)
class Wish:
    """What the person wants: `new`, `turn`, `run`, `dry`, `edit`, `history`, `delete` or `again`."""

    do: str
    kept: Kept | None = None


class TriggersScreen(ReadingScreen):
    """The cursor goes through the triggers; the answer is a `Wish`, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "wish('turn')", "pause", id="triggers.turn", tooltip="Pause it, or let it act again."),
        Binding("r", "wish('run')", "run", id="triggers.run", tooltip="Fire it by hand."),
        Binding("t", "wish('dry')", "try", id="triggers.dry", tooltip="Say what it would do, and do nothing."),
        Binding("e", "wish('edit')", "edit", id="triggers.edit", tooltip="Change its limits and note."),
        Binding("enter", "wish('history')", "history", id="triggers.history", tooltip="What it did, step by step."),
        Binding("n", "wish('new')", "new", id="triggers.new", tooltip="Make one."),
        Binding("D", "wish('delete')", "delete", id="triggers.delete", tooltip="Delete it with its history."),
        Binding("ctrl+r", "wish('again')", "again", id="triggers.again", tooltip="Look again."),
    ]

    def __init__(self, found: Sequence[Kept], at: str, now: int) -> None:
        super().__init__("Triggers", ())
        self._found = tuple(found)
        self._start = at
        self._now = now

    def on_mount(self) -> None:
        self.initial = trigger_lines(self._found, self.app.size.width, self._now)
        super().on_mount()
        if self._start:
            self.body.select(self._start)

    def keys(self) -> ink.Spans:
        if not self._found:
            return [(" n", "key"), (" new   ", "dim"), ("esc", "key"), (" back", "dim")]
        return [
            (" p", "key"), (" pause   ", "dim"), ("r", "key"), (" run   ", "dim"), ("t", "key"), (" try   ", "dim"),
            ("e", "key"), (" edit   ", "dim"), ("enter", "key"), (" history   ", "dim"), ("n", "key"),
            (" new   ", "dim"), ("D", "key"), (" delete   ", "dim"), ("esc", "key"), (" back", "dim"),
        ]  # fmt: skip

    def action_wish(self, do: str) -> None:
        current = self.body.current
        kept = current.value if current is not None and isinstance(current.value, Kept) else None
        if kept is None and do not in ("new", "again"):
            return
        self.dismiss(Wish(do, kept))  # type: ignore[arg-type]


def trigger_lines(found: Sequence[Kept], width: int, now: int) -> list[Line]:
    """A trigger in two lines, on a narrow screen in as many as it takes, then why it is not active; the cursor stands
    on the first."""
    if not found:
        return wrapped(EMPTY, width - 2, "dim", " ")
    lines: list[Line] = []
    for kept in found:
        trigger = kept.trigger
        words = state_words(trigger)
        word, _, why = words.partition(": ")
        name = f"trigger:{trigger.name}"
        deed = f"{when_words(trigger)} → {do_words(trigger)}"
        first, *rest = folded(safe_text(deed, 400), max(20, width - 36))
        lines.append(
            Line(
                [
                    state.span(word, f"{word:<8}"),
                    (" " + ink.fit(safe_text(trigger.name), 22) + " ", ""),
                    (first, ""),
                ],
                name,
                kept,
            )
        )
        lines += [Line([(" " * 34, ""), (more, "")]) for more in rest]
        due = next_words(trigger, now)
        last = kept.firings[0] if kept.firings else None
        told = f"last {ago(last.at, now)}, {outcome_words(last)}" if last else "has not fired yet"
        said = f"{f'next {due[0]} · ' if due else ''}{told} · {limit_words(trigger)}"
        lines += wrapped(safe_text(said, 600), width - 2, "dim", " " * 11)
        if why:
            lines += wrapped(safe_text(why), width - 2, "warn", " " * 11)
    return lines


def history_lines(kept: Kept, width: int) -> list[Line]:
    """The newest firings: cause, each step, what came of it."""
    from console.wording import local_time

    lines = [Line([(f" {plural(len(kept.firings), 'firing')}, the newest first", "head")]), Line([("", "")])]
    for firing in kept.firings:
        lines.append(
            Line(
                [
                    (" ", ""),
                    state.span(firing.state, f"{firing.state:<8}"),
                    (f" {local_time(firing.at)} ", ""),
                    (safe_text(firing.cause, max(20, width - 36)), "dim"),
                ]
            )
        )
        for step in firing.steps:
            lines.append(
                Line([(f"           {step.step:<11}", "dim"), (safe_text(step.said, max(20, width - 26)), "")])
            )
        if not firing.state.ended:
            lines.append(
                Line([(f"           {firing.step or 'waits':<11}", ""), (safe_text(firing.reason, 120), "dim")])
            )
        elif firing.reason:
            lines += wrapped(safe_text(firing.reason), width - 2, "", " " * 11)
    return lines
