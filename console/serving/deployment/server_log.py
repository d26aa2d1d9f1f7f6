"""What a deployment's server wrote, from any byte on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backends.entities import LogChunk
from console.serving.deployment.place import folder_of

FILE: Final = "server.log"


def read(home: Path, name: str, *, start: int = 0, limit: int = 262_144) -> LogChunk:
    """From byte `start`; a negative start counts from the end. A log that was emptied meanwhile is read from its
    beginning. `ended` says nothing here: another server may write on."""
    path = folder_of(home, name) / FILE
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            first = max(0, size + start) if start < 0 else start if start <= size else 0
            file.seek(first)
            text = file.read(limit)
    except FileNotFoundError:
        return LogChunk(text="", start=0, end=0, size=0, ended=False)
    return LogChunk(text=text.decode("utf-8", "replace"), start=first, end=first + len(text), size=size, ended=False)
