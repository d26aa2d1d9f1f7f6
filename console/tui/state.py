"""Every state as word, glyph and tone, in one place: nothing on the screen is told by colour alone."""

from __future__ import annotations

from typing import NamedTuple

from console.tui.glyphs import drawn


class State(NamedTuple):
    """How a state is shown. `tone` is a name that `theme.py` gives a colour."""

    glyph: str
    """`drawn` gives its ASCII stand-in where the locale is not UTF-8."""
    tone: str


OK = State("●", "good")
WARN = State("◐", "warn")
FIRING = State("▲", "bad")
FAILED = State("✕", "bad")
RUNNING = State("▶", "accent")
QUEUED = State("…", "dim")
STALE = State("◌", "warn")
QUIET = State("○", "dim")

STATES: dict[str, State] = {
    # runs
    "queued": QUEUED,
    "running": RUNNING,
    "stopping": RUNNING,
    "finished": OK,
    "failed": FAILED,
    "stopped": QUIET,
    "lost": STALE,
    # what is wrong with a run under way
    "stalled": STALE,
    "NaN": FIRING,
    # requests
    "waiting": QUEUED,
    "claimed": RUNNING,
    "cancelled": QUIET,
    # gates
    "pass": OK,
    "warn": WARN,
    "fail": FAILED,
    # checks
    "not run": QUIET,
    # monitors and alerts
    "ok": OK,
    "firing": FIRING,
    "no data": QUIET,
    "acked": WARN,
    "muted": QUIET,
    "resolved": OK,
    "paused": QUIET,
    # triggers
    "active": OK,
    "dry run": QUIET,
    "refused": WARN,
    # deployments
    "starting": RUNNING,
    "serving": OK,
    "draining": RUNNING,
    "crash loop": FAILED,
    # journal
    "intent": WARN,
    "done": OK,
    "abandoned": QUIET,
    "undone": QUIET,
    # connection
    "live": OK,
    "stale": STALE,
}

UNKNOWN = State("·", "dim")


def state_of(word: str) -> State:
    """How this state is shown; a word nobody declared is shown as a plain dot."""
    return STATES.get(str(word), UNKNOWN)


def span(word: str, text: str | None = None) -> tuple[str, str]:
    """`("● finished", "good")`, for `ink`; an empty word is the sign of no value."""
    if not word:
        return ("–", "dim")
    found = state_of(word)
    return (f"{drawn(found.glyph)} {word if text is None else text}", found.tone)
