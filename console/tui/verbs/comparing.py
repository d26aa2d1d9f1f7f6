"""The comparison in sight: another run to hold the others against."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.tui.here import Here


def baseline(here: Here) -> None:
    _move(here, 1)


def baseline_back(here: Here) -> None:
    _move(here, -1)


def _move(here: Here, by: int) -> None:
    from console.tui.panes.compare import CompareScreen

    if isinstance(here.app.screen, CompareScreen):
        here.app.screen.action_baseline(by)
