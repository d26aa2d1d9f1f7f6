"""A replay in words, the same on the screen, on the command line and in a gate."""

from __future__ import annotations

from console.serving.replay.figures import Changed, Replay
from console.wording import number, percent, thousands


def changed_words(found: Replay) -> str:
    """`37 of 1 000, 3.7 % [2.7 %, 5.1 %]`."""
    if found.share is None:
        return "no row has two answers to compare"
    interval = f"[{percent(found.share.low)}, {percent(found.share.high)}]"
    what = "" if found.tolerance is None else f", by more than {number(found.tolerance)}"
    return f"{thousands(found.changed)} of {thousands(found.replayed)}, {percent(found.share.value)} {interval}{what}"


def moved_words(found: Replay) -> str:
    """`0.031 on average, 0.42 at most (probability of late = yes)`; or why nothing can be said."""
    if found.mean_moved is None:
        return found.score
    return f"{number(found.mean_moved)} on average, {number(found.max_moved)} at most ({found.score})"


def inputs_words(row: Changed) -> str:
    """`age=31 plan=basic`, and what the log does not hold."""
    said = [f"{name}={value}" for name, value in row.inputs.items()]
    return " ".join([*said, *(f"{name}=redacted" for name in row.redacted)])
