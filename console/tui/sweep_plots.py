"""The plots of the sweep that was entered: as many under each other as there is room for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from backends.contract import BackendError
from console.training.sweep.begin import SweepState
from console.training.sweep.plots import IMPORTANCE, kinds, plot
from console.tui.drawing import Drawing
from console.tui.fetch import Answer, Fetcher
from console.tui.glyphs import utf8_screen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.strip import Strip

LEAST_ROWS = 9
"""Lines that a plot needs to be read beside others."""

GROWN = 1.1
"""What mattered is worked out anew once there are so many times the trials, and at the end: it takes a second of a
core, in a process of its own."""


class SweepPlots(Drawing):
    """History, importance, parallel coordinates, a slice for each parameter."""

    DEFAULT_CSS = """
    SweepPlots { height: 1fr; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._state: SweepState | None = None
        self._kind = ""
        self.alone = False
        """One plot takes all the room."""
        self._shares: Mapping[str, float] | None = None
        self._shares_of: tuple[str, int] = ("", 0)
        """Sweep and finished trials that the importance was worked out from."""
        self._working = False
        self._left = threading.Event()
        self._fetcher = Fetcher(self, "importance")

    @property
    def busy(self) -> bool:
        return self._working

    @property
    def kind(self) -> str:
        """The plot that the keys are about."""
        found = kinds(self._state) if self._state is not None else []
        return self._kind if self._kind in found else found[0] if found else ""

    def on_unmount(self) -> None:
        self._left.set()
        self._fetcher.close()

    def on_answer(self, answer: Answer) -> None:
        answer.question.settle()

    def show(self, state: SweepState | None) -> None:
        """Draw this sweep; of None, nothing."""
        if state is None or self._state is None or state.run.id != self._state.run.id:
            self._left.set()
            self._left = threading.Event()
            self._shares, self._shares_of, self._kind = None, ("", 0), ""
        self._state = state
        self.paint()
        self._look_for_importance()

    def turn(self, by: int) -> None:
        """To the next plot, or the one before."""
        if self._state is not None:
            found = kinds(self._state)
            self._kind = found[(found.index(self.kind) + by) % len(found)]
            self.paint()
            self._look_for_importance()

    def shown(self, height: int) -> list[str]:
        """The kinds in sight: the chosen one first, those that follow it below."""
        if self._state is None:
            return []
        found = kinds(self._state)
        at = found.index(self.kind)
        room = 1 if self.alone else max(1, min(len(found), height // LEAST_ROWS))
        return [found[(at + step) % len(found)] for step in range(room)]

    def drawn_lines(self, width: int, height: int) -> Sequence[Strip]:
        state = self._state
        if state is None:
            return ()
        wanted = self.shown(height)
        strips: list[Strip] = []
        for at, kind in enumerate(wanted):
            rows = (height - len(strips)) // (len(wanted) - at)
            last = at == len(wanted) - 1
            lines = plot(state, kind, width - 1, rows if last else rows - 1, shares=self._shares, rich=utf8_screen())
            strips += [self.ink.strip(spans, width) for spans in lines]
            if not last:
                strips.append(self.ink.strip((), width))
        return strips

    def _look_for_importance(self) -> None:
        state = self._state
        if state is None or self._working or IMPORTANCE not in self.shown(self.size.height):
            return
        done = sum(trial.complete for trial in state.trials)
        sweep, known = self._shares_of
        enough = known * (1.0 if state.run.status.ended else GROWN)
        if sweep == state.run.id and (done <= enough or done == known):
            return
        if done < 10:
            self._shares, self._shares_of = {}, (state.run.id, 0)
            self.paint()
            return
        self._working = True
        left = self._left

        def take(shares: Any, error: Exception | None) -> None:
            self._working = False
            if not left.is_set():
                if error is not None and not isinstance(error, BackendError | OSError):
                    raise error
                self._shares_of = (state.run.id, done)
                self._shares = shares if error is None else self._shares or {}
                if error is not None:
                    self.log.error(error)
                self.paint()
            if self._state is not None:
                self._look_for_importance()

        from console.training.sweep.importance import importance_offloaded

        self._fetcher.ask(lambda: importance_offloaded(state, left.is_set), take)
