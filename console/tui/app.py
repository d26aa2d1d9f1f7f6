"""The Textual app: one frame, panes made when first opened, and the rules by which they live together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingsMap, BindingType
from textual.containers import Container
from textual.message import Message

from backends.contract import Unreachable
from console.config import Session, keymap_path, open_session
from console.safe import safe_text
from console.tui import frame
from console.tui.actions import ACTIONS, Action
from console.tui.actions import BY_ID as ACTION_BY_ID
from console.tui.alarm import Alarm
from console.tui.errors import ErrorLine, Problem
from console.tui.ink import Ink, Spans
from console.tui.keymap import Keymap, load_keymap
from console.tui.panes import BY_ID as PANE_BY_ID
from console.tui.panes import PANES
from console.tui.theme import DEFAULT, PALETTES, textual_theme
from console.tui.type_ahead import TypeAhead
from console.tui.watch import Facts, Noticed, Trouble, Watch
from console.tui.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from rich.console import RenderableType
    from textual.screen import Screen
    from textual.worker import Worker

    from backends.entities import Progress
    from console.tui.bar import Bar
    from console.tui.dialogs import Dialog
    from console.tui.pane import Pane
from console.tui.frame_screen import AROUND, Frame
from console.tui.here import Here

T = TypeVar("T")


OPENING = "opening the context"

AWAY = 300.0
"""Seconds without a key after which nobody seems to be there."""


class Opened(Message):
    """A context was opened, or could not be."""

    bubble = False

    def __init__(self, session: Session | None, error: Exception | None, token: object = None) -> None:
        super().__init__()
        self.session = session
        self.error = error
        self.token = token
        """What the backend's `changed` said before anything was read."""


class ConsoleApp(App[int], inherit_bindings=False):
    """mlops-console."""

    TITLE = "mlops-console"
    ENABLE_COMMAND_PALETTE = False
    ESCAPE_TO_MINIMIZE = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = []
    CSS = """
    * { scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }
    Toast { background: $background; border-left: outer $accent; padding: 0 1; margin-top: 0; }
    """

    def __init__(
        self,
        *,
        context: str | None = None,
        workspace: Path | None = None,
        read_only: bool = False,
        pane: str = "overview",
        argument: str = "",
        theme: str = "",
        session: Session | None = None,
        keymap: Keymap | None = None,
        plain: bool = False,
        driver_class: Any = None,
    ) -> None:
        no_color = "NO_COLOR" in os.environ
        super().__init__(driver_class=driver_class, ansi_color=True if no_color else None)
        self.animation_level = "none"
        self.keymap = keymap if keymap is not None else load_keymap(keymap_path())
        self._bindings = BindingsMap(
            Binding(
                self.keymap.keys[action.id],
                f"do('{action.id}')",
                action.label,
                id=action.id,
                tooltip=action.help,
                show=False,
            )
            for action in ACTIONS
            if self.keymap.keys[action.id]
        )
        for name in PALETTES:
            self.register_theme(textual_theme(name))
        named = theme or os.environ.get("MLOPS_CONSOLE_THEME", "")
        chosen = "ansi" if no_color else named if named in PALETTES else DEFAULT
        self.ink = Ink(chosen)
        self.theme = chosen
        # The first sheet is made in these colours; Textual would parse it in its own and then anew in ours.
        self.stylesheet.set_variables(self.get_css_variables())
        self._styled = chosen
        self.wanted = (context, workspace, read_only)
        self.session: Session | None = session
        self.type_ahead = TypeAhead(self)
        self.pane: Pane | None = None
        self.facts = Facts()
        self._alarm = Alarm()
        self.trouble: Trouble | None = None
        self.problem: Problem | None = None
        self.slow: Pane | None = None
        """The pane whose question has been out for more than a second."""
        self.changing = 0
        """Mutations under way."""
        self.imports: dict[str, threading.Event] = {}
        """What is being imported or transformed, with what stops it."""
        self.looks: dict[threading.Event, str] = {}
        """Looks that take a while: what stops each, and what it is."""
        self._first = (pane if pane in PANE_BY_ID else "overview", argument)
        self._panes: dict[str, Pane] = {}
        self._watch: Watch | None = None
        self._ticking: Any = None
        self._opening = False
        self._last_input = monotonic()
        self._leaving = False
        self._holding = False
        self._waiters: set[str] = set()
        """Groups of workers that wait for the others."""
        self.welcome: bool | None = None
        """The first-run hints: asked for, no longer wanted, or as the workspace needs them."""
        self.plain_output = plain
        self.plain_text = ""
        """What `--plain` prints, once there is something."""
        self.calm = False
        """It was left with no question out."""
        self.remembered = ""
        self._wire = Wire()
        """Where the screen is remembered for the next start; empty for nowhere."""
        self.end_signals: tuple[signal.Signals, ...] = ()

    # ------------------------------------------------------------ life

    def get_default_screen(self) -> Screen[None]:
        return Frame(id="frame")

    def refresh_css(self, animate: bool = True) -> None:
        styled, self._styled = self._styled, ""
        if styled != self.theme:  # else it is what setting the first theme asked for, and nothing is styled yet
            super().refresh_css(animate)

    def begin(self) -> None:
        """The frame stands: open the context.

        Nothing is painted over the skeleton until there is something to say, or a quarter of a second has passed.
        """
        if self.remembered:
            self._begin_batch()
            self._holding = True
            self.set_timer(0.25, self.let_paint)
        self.refresh_frame()
        if self.session is None:
            self.open_context(*self.wanted)
        else:
            self._begin(self.session)
        for sentence in self.keymap.problems:
            self.tell(sentence, severity="warning")
        self.call_after_refresh(_thaw)
        self.set_interval(30, self._tick)
        for number in self.end_signals:
            asyncio.get_running_loop().add_signal_handler(number, self._told_to_end, number)
        if self.plain_output:
            self.run_worker(self._make_plain(), group="plain")

    def open_context(self, context: str | None, workspace: Path | None, read_only: bool) -> None:
        """Open a context in a thread; the present one stays until the new one answers."""
        if self._opening:
            return
        self._opening = True
        self.refresh_frame()

        def work() -> None:
            session, error, token = None, None, None
            try:
                session = open_session(context, workspace, read_only)
            except Exception as problem:
                error = problem
            if session is not None:
                with contextlib.suppress(Exception):  # the watch will tell of a backend that does not answer
                    token = session.backend.changed()
            self.post_message(Opened(session, error, token))

        self.run_worker(work, thread=True, group="open", exit_on_error=False)

    @on(Opened)
    def _opened(self, event: Opened) -> None:
        self._opening = False
        if event.error is not None:
            self.let_paint()
            self.show_problem(event.error, OPENING)
            self.refresh_frame()
            return
        if self.problem is not None and self.problem.wanted == OPENING:
            self.dismiss_problem()
        self.run_worker(self._switch(event.session, event.token), exclusive=True, group="switch", exit_on_error=True)

    async def _switch(self, session: Session | None, token: object) -> None:
        old = self.session
        at = self.pane.PANE if self.pane else self._first[0]
        if self._watch:
            self._watch.stop()
        for pane in list(self._panes.values()):
            await pane.remove()
        self._panes.clear()
        self.pane = None
        self._first = (at, self._first[1] if old is None else "")
        self.session = session
        self.facts, self.trouble = Facts(), None
        if session is not None:
            self._begin(session, token)
        if old is not None:
            # Workers may still be asking it: closing waits for them in the adapter.
            threading.Thread(target=old.backend.close, name="close", daemon=True).start()

    def _begin(self, session: Session, token: object = None) -> None:
        name, argument = self._first
        self.show_pane(name, argument)
        self._watch = Watch(session, self.post_message, token)
        self._watch.start()

    @on(Noticed)
    def _noticed(self, event: Noticed) -> None:
        if event.session is not self.session:
            return
        self.facts, self.trouble = event.facts, event.trouble
        self._alarm.hear(self, event.session, event.facts.alarms)
        if event.changed:
            for pane in self._panes.values():
                pane.dirty = True
            if self.pane is not None and self.app_focus:
                self.pane.noticed()
        self._tick_while_stale()
        self.refresh_frame()

    def _tick(self) -> None:
        if self._watch and monotonic() - self._last_input > AWAY:
            self._watch.doze(True)
        if self.pane is not None and self.pane.ready and self.app_focus:
            self.pane.tick()

    def _tick_while_stale(self) -> None:
        if self.trouble is not None and self._ticking is None:
            self._ticking = self.set_interval(1.0, self.refresh_frame)
        elif self.trouble is None and self._ticking is not None:
            self._ticking.stop()
            self._ticking = None

    def on_app_blur(self) -> None:
        if self._watch:
            self._watch.rest(True)

    def on_app_focus(self) -> None:
        if self._watch:
            self._watch.rest(False)
        if self.pane is not None and self.pane.dirty:
            self.pane.refresh_data()

    def _told_to_end(self, number: signal.Signals) -> None:
        """SIGTERM, or the line is gone: what was begun is finished, then we go. Runs go on without us."""
        self.run_worker(self._end(number), group="end")

    async def _end(self, number: signal.Signals) -> None:
        while self.changing:
            await asyncio.sleep(0.02)
        if number == signal.SIGHUP:
            os._exit(128 + number)  # no terminal is left to tidy, and writing to it could block
        self.exit(128 + number, return_code=128 + number)

    async def _make_plain(self) -> None:
        with contextlib.suppress(TimeoutError):
            await self.idle(30, own="plain")
        if self.pane is not None:
            self.plain_text = f"{' › '.join(safe_text(crumb) for crumb in self.pane.crumbs())}\n{self.pane.plain()}"
        self.exit(0)

    def remember_screen(self) -> None:
        """Keep the frame's text for the next start's first paint."""
        if not self.remembered or self.screen is not self.frame or self.pane is None or self.query("Toast"):
            return
        from console.tui import skeleton

        lines = ["".join(segment.text for segment in strip).rstrip() for strip in self.frame.texts()]
        palette = self.ink.palette
        ground = "" if palette.ansi else ";".join(str(int(palette.background[i : i + 2], 16)) for i in (1, 3, 5))
        pane = self.pane.PANE
        head, _, tail = self.remembered.rpartition("/")
        key, _, rest = tail.partition("-")
        skeleton.remember(f"{head}/{key}-{pane}-{rest.rpartition('-')[2]}", lines, ground)

    def on_unmount(self) -> None:
        if self._watch:
            self._watch.stop()

    # ------------------------------------------------------------ panes

    def show_pane(self, name: str, argument: str = "") -> None:
        """Bring a pane to the front, made at its first showing."""
        if name not in PANE_BY_ID:
            return
        if self.session is None:
            self._first = (name, argument)  # shown once a context is open
            if not self._opening:
                self.tell("no context is open", severity="warning")
            self.refresh_frame()
            return
        pane = self._panes.get(name)
        new = pane is None
        if pane is None:
            try:
                pane = PANE_BY_ID[name].load()(self.session)
            except Exception as error:
                self.show_problem(error, f"opening {PANE_BY_ID[name].title}")
                return
            self._panes[name] = pane
        for other in self._panes.values():
            other.display = other is pane
        self.pane = pane
        pane.wanted = argument
        if new:
            pane.fit(self.size.width, self.size.height - AROUND)
            self.frame.query_one("#panes", Container).mount(pane)
        elif pane.ready:
            self.pane_ready(pane)
        self.refresh_frame()

    def pane_ready(self, pane: Pane) -> None:
        """The pane's widgets stand: give it the keyboard, what it was asked for, and rows."""
        if self.pane is not pane:
            return
        pane.focus_list()
        argument, pane.wanted = pane.wanted, ""
        if argument:
            pane.go(argument)
        if pane.dirty:
            pane.refresh_data()
        self.refresh_frame()

    @property
    def untouched_s(self) -> float:
        """Seconds since the person last did something."""
        return monotonic() - self._last_input

    def asked(self, pane: Pane, generation: int) -> None:
        """A question went out: after a second the person sees that it is out, and for how long."""
        since = monotonic()

        def look() -> None:
            if not self.screen_stack:
                return  # the program has ended meanwhile
            if pane is self.pane and pane.asks(generation):
                waited = round(monotonic() - since)
                self.slow = pane
                self.say_work([(f" asking … {waited} s", "warn"), ("   esc", "key"), (" stops", "dim")])
                self.set_timer(1.0, look)
            elif self.slow is not None:
                self.slow = None
                self.say_work(())

        self.set_timer(1.0, look)

    def stop_asking(self) -> bool:
        """`esc` while a slow question is out."""
        if self.slow is None or not self.slow.stop_asking():
            return False
        self.slow = None
        self.say_work(())
        return True

    def pane_failed(self, pane: Pane, error: Exception) -> None:
        """A pane's question failed: rows stay. The stale line tells of an absent server, the error line of all else."""
        self.let_paint()
        if isinstance(error, Unreachable) and self.trouble is None:
            self.trouble = Trouble(monotonic(), str(error), monotonic() + 2)
            self._tick_while_stale()
            if self._watch:
                self._watch.ask_now()
            self.refresh_frame()
        elif not isinstance(error, Unreachable):
            self.show_problem(error, f"reading {pane.TITLE}", focus=False)

    def let_paint(self) -> None:
        """The first answer is here, or too late."""
        if self._holding:
            self._holding = False
            self._end_batch()
            self.frame.refresh()

    def pane_answered(self, pane: Pane) -> None:  # noqa: ARG002
        """A pane's question was answered, and shown when what is queued now is done."""
        if self._holding:
            self.call_after_refresh(self.let_paint)

    def apply_filter(self, pane: Pane, text: str) -> str:
        """Parse and apply a filter; what is wrong with it is returned, and shown by whoever asked."""
        from backends.query import QueryError, parse

        if pane.FIELDS is None:
            return f"{pane.TITLE} has no filter"
        try:
            pane.apply_query(parse(text, pane.FIELDS), text)
        except QueryError as error:
            self.show_problem(error, "the filter")
            return str(error)
        self.refresh_frame()
        return ""

    # ------------------------------------------------------------ the lines around

    @property
    def frame(self) -> Frame:
        """The screen under all dialogs."""
        return self.screen_stack[0]  # type: ignore[return-value]

    def refresh_frame(self) -> None:
        """Say the frame's lines anew; those that did not change write nothing."""
        if not self.is_running or not self.screen_stack or not isinstance(self.screen_stack[0], Frame):
            return
        screen = self.frame
        if not screen.is_mounted:
            return
        width = screen.size.width or self.size.width
        find = screen.query_one
        find("#header", frame.OneLine).say(*frame.header(self.session, self.facts, self.trouble, width, self._opening))
        find("#tabs", frame.OneLine).say(
            frame.tabs(self.pane.PANE if self.pane else self._first[0], self.keymap.keys, width)
        )
        production = bool(self.session and self.session.context.production)
        for name in ("#rule-top", "#rule-bottom"):
            rule = find(name, frame.Rule)
            if rule.production != production:
                rule.production = production
                rule.refresh()
        stale = find("#stale", frame.OneLine)
        stale.display = self.trouble is not None
        if self.trouble is not None:
            stale.say(frame.stale_line(self.trouble))
        here = self.here()
        offered = [(action, action.reason(here)) for action in ACTIONS if action.footer and action.here(here.pane)]
        offered.sort(key=lambda pair: pair[0].footer)
        crumbs = self.pane.crumbs() if self.pane and self.pane.ready else ()
        find("#footer", frame.OneLine).say(*frame.footer(offered, self.keymap.keys, crumbs, width))

    def watch_theme(self, name: str) -> None:
        if hasattr(self, "ink"):
            self.ink = Ink(name)

    # ------------------------------------------------------------ actions

    def here(self, argument: str = "") -> Here:
        pane = self.pane
        return Here(
            self,
            self.session,
            pane,
            pane.PANE if pane else "",
            pane.selected() if pane and pane.ready else None,
            pane.marked() if pane and pane.ready else (),
            argument,
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "do" and parameters:
            found = ACTION_BY_ID.get(str(parameters[0]))
            return found is not None and found.here(self.pane.PANE if self.pane else "")
        return True

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.InputEvent):
            self._last_input = monotonic()
            if self._watch:
                self._watch.doze(False)
        if event.is_forwarded or not self.type_ahead.takes(event):
            await super().on_event(event)

    async def _on_key(self, event: events.Key) -> None:
        # Keys that had set out for the list before the line was asked for come up here; Textual's own handler is next.
        # One for a list that another screen has been laid over is for nobody: that screen is not seen yet, may not be
        # answered, and taken away before it stands it could not stand at all.
        if self.type_ahead.takes(event) or not self.screen.is_mounted:
            event.prevent_default()

    def action_do(self, name: str) -> None:
        self.perform(ACTION_BY_ID[name])

    def perform(self, action: Action, argument: str = "") -> None:
        """Do an action, or say why not."""
        here = self.here(argument)
        if not action.here(here.pane) and here.pane:
            where = " or ".join(PANE_BY_ID[name].title for name in action.panes if name in PANE_BY_ID)
            why = f"go to {where} first" if where else action.reason(here)
            self.tell(f"{action.label}: {why}", severity="warning")
            return
        reason = action.reason(here)
        if reason:
            self.tell(f"{action.label}: {reason}", severity="warning")
            return
        if action.lays_line:
            self.type_ahead.hold()
        try:
            result = action.load()(here)
        except Exception as error:
            self.type_ahead.drop()
            self.show_problem(error, action.label)
            return
        if asyncio.iscoroutine(result):
            self.set_about(action, result)

    def set_about(self, action: Action, steps: Coroutine[Any, Any, Any]) -> None:
        """Carry out the steps of an action; what fails is shown."""
        self.run_worker(self._conclude(action, steps), group=f"verb-{action.id}", exit_on_error=False)

    async def _conclude(self, action: Action, steps: Coroutine[Any, Any, Any]) -> None:
        try:
            await steps
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.show_problem(error, action.label)

    async def carry_out(self, change: Callable[[], T]) -> T:
        """Run a change in a thread. It goes on when the dialog that asked is gone; the app waits for it at its end."""
        self.changing += 1
        try:
            return await asyncio.shield(asyncio.to_thread(change))
        finally:
            self.changing -= 1
            if self._watch:
                self._watch.ask_now()

    def report(self, what: str, stop: str = "") -> Callable[[Progress], None]:
        """A line of progress for something under way, called from its thread; written at most twice a second. `stop`
        is the action that ends it."""
        key = self.keymap.keys[stop].split(",")[0] if stop else ""
        last = 0.0

        def say(progress: Progress) -> None:
            nonlocal last
            at = monotonic()
            if at - last >= 0.5:
                last = at
                self.call_from_thread(self.say_work, frame.progress_spans(what, progress, key))

        return say

    def stop_looking(self) -> bool:
        """End the newest look that takes a while. False where there is none."""
        end = next((each for each in reversed(self.looks) if not each.is_set()), None)
        if end is not None:
            end.set()
        return end is not None

    def say_work(self, spans: Spans) -> None:
        """The progress line; empty takes it away."""
        line = self.frame.query_one("#work", frame.OneLine)
        line.display = bool(spans)
        line.say(spans)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, self._wire.thrifty(renderable))

    def redraw(self) -> None:
        """All of the screen, whatever is believed to stand there."""
        self._wire.forget()
        self.screen.refresh()

    async def look_up(self, question: Callable[[], T]) -> T:
        """Ask a backend in a thread."""
        return await asyncio.to_thread(question)

    def perform_chosen(self, name: str | None) -> None:
        """What a picker gave back."""
        if name:
            self.perform(ACTION_BY_ID[name])

    async def ask(self, dialog: Dialog[T]) -> T | None:
        """Lay a dialog over the frame and wait for its answer; None when it was left. Only from an action."""
        return await self.push_screen_wait(dialog)

    async def open_bar(self, bar: Bar) -> None:
        """Lay an input line over the footer."""
        for old in self.frame.query("Bar"):
            await old.remove()
        await self.frame.mount(bar, before="#footer")

    def send_to_terminal(self, code: str) -> None:
        """Write a control sequence of ours past the screen."""
        if self._driver is not None:
            self._driver.write(code)
            self._driver.flush()

    def ask_again(self) -> None:
        """`ctrl+r`: now, whatever the back-off says. A screen that something else wrote on is mended by it too."""
        self.redraw()
        if self.session is None:
            self.open_context(*self.wanted)
            return
        if self._watch:
            self._watch.ask_now()
        if self.pane:
            self.pane.refresh_data()

    async def leave(self, code: int = 0) -> None:
        """Quit, after the changes under way. A second request does not wait."""
        if self.changing and not self._leaving:
            self._leaving = True
            self.tell("finishing what was begun; press again to quit at once")
            while self.changing:
                await asyncio.sleep(0.05)
        self.remember_screen()
        self.calm = self.pane is None or not self.pane.busy
        self.exit(code)

    # ------------------------------------------------------------ telling

    def tell(self, text: object, *, severity: Any = "information") -> None:
        """A toast."""
        self.notify(
            safe_text(text, 600), severity=severity, markup=False, timeout=8 if severity != "information" else 4
        )

    def show_problem(self, error: BaseException, wanted: str, *, focus: bool = True) -> None:
        """The error line; it stays until dismissed."""
        self.problem = Problem.of(error, wanted)
        line = self.frame.query_one("#error", ErrorLine)
        line.put(self.problem)
        if focus and self.screen is self.frame:
            line.focus(scroll_visible=False)

    @on(ErrorLine.Asked)
    def _error_asked(self, event: ErrorLine.Asked) -> None:
        if event.what == "whole":
            self.perform(ACTION_BY_ID["error"])
        elif event.what == "copy" and self.problem is not None:
            from console.tui.clipboard import copy

            self.tell(copy(self, f"{self.problem.wanted}: {self.problem.whole}"))
        elif event.what == "dismiss":
            self.dismiss_problem()

    def dismiss_problem(self) -> bool:
        line = self.frame.query_one("#error", ErrorLine)
        if not line.display:
            return False
        focused = line.has_focus
        line.display = False
        if focused:
            self.focus_list()
        return True

    def pass_on(self, event: events.Key) -> None:
        """Give a key to the list instead of the error line; to the frame where there is no list."""
        self.focus_list()
        self.post_message(events.Key(event.key, event.character))

    def focus_list(self) -> None:
        """Give the keyboard to the pane's list; a pane that does not stand yet takes it when it does."""
        if self.pane is not None and self.pane.ready:
            self.pane.focus_list()
        else:
            self.frame.set_focus(None)

    # ------------------------------------------------------------ tests and plain output

    @property
    def settled(self) -> bool:
        """No question is out and no change under way."""
        if (
            self._opening
            or self.changing
            or any(not w.is_finished for w in self.workers if w.group not in self._waiters)
        ):
            return False
        return self.pane is None or not (self.pane.busy or self.pane.dirty)

    async def idle(self, timeout: float = 10.0, own: str = "") -> None:
        """Wait until everything asked for is on the screen. An action that waits names its own worker group."""
        self._waiters.add(own)
        try:
            await self._calm(timeout)
        finally:
            self._waiters.discard(own)

    async def _calm(self, timeout: float) -> None:
        end = monotonic() + timeout
        calm = 0
        while calm < 3:
            await asyncio.sleep(0.01)
            calm = calm + 1 if self.settled else 0
            if monotonic() > end:
                working = [worker.name for worker in self.workers if not worker.is_finished]
                raise TimeoutError(f"still busy: {working}, pane {self.pane}")

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.worker.error is not None and not event.worker.group.startswith(("fetch", "verb", "open")):
            self.show_problem(event.worker.error, event.worker.name or "working", focus=False)


def _thaw() -> None:
    """What was made while starting lives as long as the program: leave it out of every later collection."""
    gc.freeze()
    gc.enable()


PANE_IDS = tuple(spec.id for spec in PANES)
