"""What the guard of a split saw, kept on disk: another agent goes on with it, and whoever looks may read it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from backends.entities import GateResult, Record
from console.serving.deployment.judge import Course

FILE: Final = "guard.json"


class Watched(Record, frozen=True, kw_only=True):
    """What was seen since the split was set."""

    split: str = ""
    """Which split, and which versions: with another one it begins anew."""
    courses: dict[str, Course] = msgspec.field(default_factory=dict)
    """Target → what it did."""
    counted: dict[str, int] = msgspec.field(default_factory=dict)
    """Version → requests that the server had answered at the last look."""
    server: str = ""
    """Of which server those counts are."""
    looks: int = 0
    judged_at: int = 0
    """Requests of all but the first target at the last judgement."""
    results: dict[str, tuple[GateResult, ...]] = msgspec.field(default_factory=dict)
    """Target → of the last judgement."""
    undecided: str = ""
    """What a person should decide, because too few callers meet the version; empty for nothing."""


def watched_of(folder: Path) -> Watched:
    """What an agent kept in the deployment's folder; nothing where there is none."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Watched)
    except (FileNotFoundError, msgspec.DecodeError):
        return Watched()
