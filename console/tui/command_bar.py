"""`:` goes anywhere and does anything by its word, with the rest of the word as a ghost."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from textual import on
from textual.suggester import Suggester
from textual.widgets import Input

from console.safe import safe_text
from console.tui.actions import ACTIONS, COMMANDS, Action
from console.tui.bar import Bar, Line
from console.tui.frame import OneLine
from console.tui.panes import BY_ID as PANES
from console.tui.theme import PALETTES

if TYPE_CHECKING:
    from textual import events

    from console.tui.here import Here

HISTORY: list[str] = []
"""What was entered since the console was started, oldest first."""


class Command(NamedTuple):
    action: Action
    argument: str


class UnknownCommandError(ValueError):
    """No such word."""


def read_command(text: str) -> Command | None:
    """`runs status=failed` → the action and its argument; None for nothing typed."""
    word, _, rest = text.strip().lstrip(":").strip().partition(" ")
    if not word:
        return None
    found = COMMANDS.get(word.lower())
    if found is None:
        starts = sorted(name for name in COMMANDS if name.startswith(word.lower()))
        if len({COMMANDS[name].id for name in starts}) == 1:
            found = COMMANDS[starts[0]]
        else:
            near = starts[:3] or get_close_matches(word.lower(), COMMANDS, n=1)
            hint = f"; did you mean :{' or :'.join(near)}?" if near else "; ? lists them all"
            raise UnknownCommandError(f"no command :{word}{hint}")
    return Command(found, rest.strip())


def completions(text: str, contexts: list[str]) -> str | None:
    """The whole line as it would be with its last word completed."""
    word, space, rest = text.partition(" ")
    if not space:
        if not word:
            return None
        # Shown words come before their shorthands, so `:mod` grows to `models`.
        names = [action.command[0] for action in ACTIONS if action.command] + list(COMMANDS)
        return next((name for name in names if name.startswith(word.lower()) and name != word), None)
    action = COMMANDS.get(word.lower())
    if action is None:
        return None
    if action.argument == "context":
        return _first(contexts, rest, word)
    if action.argument == "theme":
        return _first(list(PALETTES), rest, word)
    if action.argument == "filter":
        return _filter(action, word, rest)
    return None


def _first(names: list[str], typed: str, word: str) -> str | None:
    found = next((name for name in names if name.startswith(typed) and name != typed), None)
    return f"{word} {found}" if found else None


def _filter(action: Action, word: str, rest: str) -> str | None:
    pane = PANES.get(action.id.removeprefix("go."))
    if pane is None or not rest:
        return None
    fields = pane.load().FIELDS
    if fields is None:
        return None
    from backends.query import complete

    for option in complete(rest, len(rest), fields, lambda _scope, _prefix: ()):
        if option.end == len(rest):
            whole = rest[: option.start] + option.text
            if whole.startswith(rest) and whole != rest:
                return f"{word} {whole}"
    return None


class CommandSuggester(Suggester):
    def __init__(self, contexts: list[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.contexts = contexts

    async def get_suggestion(self, value: str) -> str | None:
        return completions(value, self.contexts)


class CommandBar(Bar):
    """One command, then gone. Up and down walk through what was entered before."""

    SIGN = ":"

    def __init__(self, here: Here) -> None:
        super().__init__(id="command-bar")
        self.here = here
        self.at = len(HISTORY)

    def line(self) -> Line:
        from console.config import load_config

        try:
            contexts = list(load_config().contexts)
        except Exception:
            contexts = []  # a broken config.toml is told when a context is opened, not while typing
        return Line(id="bar-line", suggester=CommandSuggester(contexts))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        hint = self.query_one("#bar-hint", OneLine)
        try:
            command = read_command(event.value)
        except UnknownCommandError as error:
            hint.say([(f" {safe_text(error)}", "warn")])
            return
        if command is None:
            words = "  ".join(f":{action.command[0]}" for action in ACTIONS if action.command)
            hint.say([(f" {words}", "dim")])
            return
        reason = command.action.reason(self.here)
        hint.say([(f" {command.action.help}", "dim"), (f"  {reason}" if reason else "", "warn")])

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        try:
            command = read_command(text)
        except UnknownCommandError:
            return  # the line over it says so already; the text stays to be mended
        if text and (not HISTORY or HISTORY[-1] != text):
            HISTORY.append(text)
        self.close()
        if command is not None:
            self.app.perform(command.action, command.argument)

    def on_key(self, event: events.Key) -> None:
        if event.key not in ("up", "down"):
            return
        event.stop()
        self.at = max(0, min(len(HISTORY), self.at + (-1 if event.key == "up" else 1)))
        line = self.query_one("#bar-line", Line)
        line.value = HISTORY[self.at] if self.at < len(HISTORY) else ""
        line.cursor_position = len(line.value)
