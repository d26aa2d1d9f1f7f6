"""A sweep's plots as text."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping

from console.cli.output import coloured
from console.training.sweep.begin import SweepState
from console.training.sweep.plots import kinds, plot

HEIGHT = 14
WIDEST = 120
NARROW = 80
CODES = {"dim": "2", "accent": "36", "good": "32", "bad": "31", "head": "1"}


def print_plots(state: SweepState, shares: Mapping[str, float]) -> None:
    """All of them, under each other."""
    width = min(shutil.get_terminal_size((NARROW, HEIGHT)).columns, WIDEST) if sys.stdout.isatty() else NARROW
    rich = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    colour = coloured()
    for kind in kinds(state):
        lines = [""]
        for spans in plot(state, kind, width, HEIGHT, shares=shares, rich=rich):
            lines.append("".join(_painted(text, tone) if colour else text for text, tone in spans).rstrip())
        text = "\n".join(lines) + "\n"
        sys.stdout.write(text if rich else text.encode("ascii", "replace").decode("ascii"))
        sys.stdout.flush()


def _painted(text: str, tone: str) -> str:
    code = CODES.get(tone, "")
    return f"\x1b[{code}m{text}\x1b[0m" if code and text.strip() else text
