"""What serves a model in production, in a few cells: its version against the alias, how often asked, how much fails."""

from __future__ import annotations

from collections.abc import Sequence

from backends.entities import DeploymentState
from console.safe import safe_text
from console.serving.deployment.figures import View
from console.tui import ink, state
from console.wording import figure, percent

CELLS = 18
NARROW = 13
"""Cells where the screen is narrow: what fails is left out while nothing does."""


def serving_of(views: Sequence[View], model: str) -> tuple[View, ...]:
    """Those of its deployments that are to answer callers as its champion."""
    return tuple(
        view
        for view in views
        if view.deployment.model == model
        and view.deployment.desired == "serving"
        and any(target.alias == "champion" and not target.shadow for target in view.deployment.targets)
    )


def served_spans(views: Sequence[View], wide: bool) -> list[ink.Span]:
    """`● 118/s 0.0 %`; of what is in trouble the trouble first. Always as many cells."""
    cells = CELLS if wide else NARROW
    if not views:
        return [(ink.fit("–", cells), "dim")]
    for view in views:
        status = view.deployment.status.state
        if status is not DeploymentState.SERVING:
            return [_shown(str(status), cells)]
        for each in view.standings:
            if each.served and each.wanted and each.served != each.wanted:
                glyph = state.state_of("warn").glyph
                return [(ink.fit(f"{glyph} v{safe_text(each.served, 4)}≠v{safe_text(each.wanted, 4)}", cells), "warn")]
    known = [view.whole for view in views if view.whole is not None]
    if all(each.rate is None for each in known):  # a rate is between two looks
        return [_shown("serving", cells)]
    rate = sum(each.rate or 0.0 for each in known)
    failing = max((each.errors or 0.0 for each in known), default=0.0)
    short = "<1%" if failing < 0.01 else f"{failing:.0%}"
    failed = f" {percent(failing)}" if wide else f" {short}" if failing else ""
    times = f"{len(views)}× " if len(views) > 1 else ""
    glyph, tone = state.state_of("warn" if failing else "serving")
    return [(ink.fit(f"{glyph} {times}{figure(rate)}/s{failed}", cells), tone if failing else "")]


def _shown(word: str, cells: int) -> ink.Span:
    found = state.state_of(word)
    return (ink.fit(f"{found.glyph} {word}", cells), "" if found.tone == "good" else found.tone)
