"""The files of a prediction log: finished ones end in `.jsonl`, one that is being written in `.jsonl.part`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ENDING: Final = ".jsonl"
WRITING: Final = ".part"


def recover(folder: Path, writer: str = "") -> None:
    """Finish what a worker that died was writing: whole lines stay, a piece of one goes."""
    for path in sorted(folder.glob(f"*-{writer or '*'}-*{ENDING}{WRITING}")):
        with path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            start = max(0, end - (1 << 20))
            file.seek(start)
            whole = start + file.read().rfind(b"\n") + 1
            file.truncate(whole)
        if whole:
            path.rename(path.with_name(path.name.removesuffix(WRITING)))
        else:
            path.unlink()


def forget_oldest(folder: Path, keep: int) -> None:
    """Remove finished segments, oldest first, until those that stay have at most `keep` bytes."""
    found = sorted(folder.glob(f"*{ENDING}"), reverse=True)
    total = 0
    for path in found:
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
        if total > keep:
            path.unlink(missing_ok=True)
