"""Turning charts: smoothing, axes, the stretch in sight, the crosshair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.charting import turn

if TYPE_CHECKING:
    from console.tui.here import Here


def _turn(here: Here, what: str) -> None:
    charts = getattr(here.view, "charts", None)
    if charts is not None:
        turn(charts, what)


def metric(here: Here) -> None:
    _turn(here, "metric")


def smooth(here: Here) -> None:
    _turn(here, "smooth")


def log(here: Here) -> None:
    _turn(here, "log")


def time(here: Here) -> None:
    _turn(here, "time")


def zoom_in(here: Here) -> None:
    _turn(here, "in")


def zoom_out(here: Here) -> None:
    _turn(here, "out")


def left(here: Here) -> None:
    _turn(here, "left")


def right(here: Here) -> None:
    _turn(here, "right")


def whole(here: Here) -> None:
    _turn(here, "whole")


def crosshair(here: Here) -> None:
    _turn(here, "crosshair")
