"""The lines around every pane: who and where at the top, what can be done at the bottom."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.widget import Widget

from console.safe import cell_length, cut, safe_text
from console.tui import ink, state
from console.tui.actions import ALWAYS, COMMON, OWN, shown_key
from console.tui.panes import PANES
from console.wording import bar, clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.strip import Strip

    from backends.entities import Progress
    from console.config import Session
    from console.tui.actions import Action
    from console.tui.app import ConsoleApp
    from console.tui.watch import Facts, Trouble

CRUMB = " › "

LEAST_TRAIL = 10
"""Cells under which the place within a pane is not worth telling."""


class OneLine(Widget):
    """A line of toned text that is written again only when it differs."""

    DEFAULT_CSS = "OneLine { height: 1; width: 1fr; }"

    if TYPE_CHECKING:

        @property
        def app(self) -> ConsoleApp: ...  # type: ignore[override]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._left: ink.Spans = ()
        self._right: ink.Spans = ()

    def say(self, left: ink.Spans, right: ink.Spans = ()) -> None:
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    def render_line(self, y: int) -> Strip:
        if y:
            return self.app.ink.strip((), self.size.width)
        return self.app.ink.strip(ink.spread(self._left, self._right, self.size.width), self.size.width)

    def text(self) -> str:
        return f"{ink.plain(self._left)}  {ink.plain(self._right)}".rstrip()


class Rule(Widget):
    """A line across; double in production, so that it is seen without colour."""

    DEFAULT_CSS = "Rule { height: 1; width: 1fr; }"
    production = False

    if TYPE_CHECKING:

        @property
        def app(self) -> ConsoleApp: ...  # type: ignore[override]

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        sign, tone = ("═", "prod") if self.production else ("─", "border")
        return self.app.ink.strip([(sign * self.size.width, tone)], self.size.width)


def header(
    session: Session | None, facts: Facts, trouble: Trouble | None, width: int, opening: bool = False
) -> tuple[ink.Spans, ink.Spans]:
    """Product, context and badges at the left; agent, alerts and how fresh it is at the right."""
    if session is None:
        said: list[ink.Span] = [("opening … ", "dim")]
        if not opening:
            said = [state.span("stale", "no context is open "), ("  ctrl+r", "key"), (" tries again ", "dim")]
        return ([(" mlops-console", "head")], said)
    context = session.context
    name = safe_text(context.name, 24)
    left: list[ink.Span] = [(" mlops-console ", "head"), (" ", "")]
    if context.production:
        left.append((f" ‹{name}› PRODUCTION ", "badge-prod"))
    else:
        left.append((f"‹{name}›", "accent"))
    if context.read_only or session.backend.features.read_only:
        left += [(" ", ""), (" READ-ONLY ", "badge")]
    if width >= 100:
        left.append((f" {safe_text(_where(session), 40)}", "dim"))
    right: list[ink.Span] = []
    if facts.agent is not None:
        right.append(("agent ", "dim"))
        right.append(state.span("ok", "") if facts.agent else state.span("no data", "off "))
    if facts.running:
        right.append((f"{facts.running} running ", "accent"))
    if facts.queued:
        right.append((f"{facts.queued} queued ", "dim"))
    if facts.firing:
        right += [(" ", ""), state.span("firing", f"{facts.firing} firing "), (" ", "")]
    if facts.warning:
        right += [(" ", ""), state.span("warn", f"{facts.warning} warn "), (" ", "")]
    right.append((" ", ""))
    right.append(state.span("stale", "stale ") if trouble else state.span("live", "live "))
    return left, right


def _where(session: Session) -> str:
    if session.context.registry:
        return session.backend.url
    home = str(session.workspace or session.backend.url)
    from pathlib import Path

    own = str(Path.home())
    return "~" + home[len(own) :] if home.startswith(own + "/") else home


def tabs(active: str, keys: dict[str, str], width: int) -> ink.Spans:
    return [(" ", ""), *(span for _, spans in _tabs(active, keys, width) for span in spans)]


def tab_at(x: int, active: str, keys: dict[str, str], width: int) -> str:
    """The pane whose tab stands at column `x`, or nothing."""
    end = 1
    for name, spans in _tabs(active, keys, width):
        start, end = end, end + ink.width_of(spans)
        if start <= x < end:
            return name
    return ""


def _tabs(active: str, keys: dict[str, str], width: int) -> list[tuple[str, ink.Spans]]:
    found: list[tuple[str, ink.Spans]] = []
    short = width < 1 + sum(len(spec.title) + 4 for spec in PANES)
    for spec in PANES:
        key = shown_key(keys.get(f"go.{spec.id}", spec.key).split(",")[0])
        if spec.id == active:
            found.append((spec.id, [(f" {key} {spec.title} ", "badge")]))
        else:
            found.append((spec.id, [(f" {key} ", "key"), ("" if short else f"{spec.title} ", "dim")]))
    return found


class Tabs(OneLine):
    """The panes; a click goes there."""

    def on_click(self, event: events.Click) -> None:
        app = self.app
        name = tab_at(event.x, app.pane.PANE if app.pane else "", app.keymap.keys, self.size.width)
        if name:
            app.show_pane(name)


def stale_line(trouble: Trouble, at: float | None = None) -> ink.Spans:
    moment = time.monotonic() if at is None else at
    wait = max(0, round(trouble.retry_at - moment))
    return [
        (" ", ""),
        state.span("stale", f"stale {round(moment - trouble.since)} s"),
        (f" · {safe_text(trouble.text, 160)}", "warn"),
        (f" · retry in {wait} s", "dim"),
    ]


def footer(
    actions: Sequence[tuple[Action, str]], keys: dict[str, str], crumbs: Sequence[str], width: int
) -> tuple[ink.Spans, ink.Spans]:
    """Keys that fit and where we are. `actions` come in the order of the footer, each with why it cannot be done now.

    `?` is always there; then what fits of the pane's own verbs that can be done now, the place within the pane, the
    ways to anywhere, the pane's verbs that cannot be done now (without colour), and the rest.
    """
    always = [pair for pair in actions if pair[0].footer >= ALWAYS]
    own = [pair for pair in actions if pair[0].footer < OWN and not pair[1]]
    ways = [pair for pair in actions if OWN <= pair[0].footer < COMMON and not pair[1]]
    greyed = [pair for pair in actions if pair[0].footer < COMMON and pair[1]]
    rest = [pair for pair in actions if COMMON <= pair[0].footer < ALWAYS]
    # At the root of a pane its tab says where we are.
    wanted = min(ink.width_of(_trail(crumbs, width)), width // 3 if width >= 100 else 24 if len(crumbs) > 1 else 0)
    room = width - 1 - sum(_cells(action, keys) for action, _ in always)
    kept = list(always)
    for group, held in ((own, 0), (ways, wanted), (greyed, wanted), (rest, wanted)):
        for pair in group:
            cells = _cells(pair[0], keys)
            if cells > room - held:
                break
            kept.append(pair)
            room -= cells
    left: list[ink.Span] = [(" ", "")]
    for action, reason in sorted(kept, key=lambda pair: pair[0].footer):
        key = shown_key(keys.get(action.id, action.key).split(",")[0])
        if key:
            left += [(key, "dim" if reason else "key"), (f" {action.label}   ", "dim")]
    return left, _trail(crumbs, min(room, width // 3 if width >= 100 else room))


def _trail(crumbs: Sequence[str], room: int) -> ink.Spans:
    """`Models › churn › v7 `, shortened from the left to what fits; nothing where less than a word does."""
    names = [safe_text(crumb, 32) for crumb in crumbs]
    while names:
        text = CRUMB.join([*(["…"] if len(names) < len(crumbs) else []), *names]) + " "
        if cell_length(text) <= room:
            return [(text, "dim")]
        if len(names) == 1 and len(crumbs) > 1 and room >= LEAST_TRAIL:
            return [(cut(f"…{CRUMB}{names[0]}", room - 1) + " ", "dim")]
        names.pop(0)
    return ()


def _cells(action: Action, keys: dict[str, str]) -> int:
    key = shown_key(keys.get(action.id, action.key).split(",")[0])
    return len(key) + len(action.label) + 4 if key else 0


def progress_spans(what: str, progress: Progress, stop: str = "") -> ink.Spans:
    """`▶ importing flights.csv  ▕████░░▏ 62 %  reading  1.2 M rows/s  eta 0:41   x stops`."""
    spans: list[ink.Span] = [(" ", ""), state.span("running", f"{safe_text(what, 60)}  ")]
    if progress.fraction is not None:
        spans.append((f"{bar(progress.fraction, 16)} {progress.fraction * 100:3.0f} %  ", "accent"))
    spans.append((f"{safe_text(progress.stage, 40)}  {safe_text(progress.rate, 20)}", "dim"))
    if progress.eta_s is not None:
        spans.append((f"  eta {clock(progress.eta_s)}", "dim"))
    if stop:
        spans += [(f"   {shown_key(stop)}", "key"), (" stops", "dim")]
    return spans
