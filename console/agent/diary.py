"""The agent's log: what it did, one line each, in a file that stays small."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from console.safe import safe_text

LARGEST = 1024 * 1024
"""Bytes; a fuller log becomes `agent.log.1`, in place of the one before."""


class Diary:
    """Writes through the process's own standard error, so that a traceback lands in the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._attach()

    def _attach(self) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)

    def say(self, text: str) -> None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {safe_text(' '.join(text.split()))}\n"
        with suppress(OSError):  # a full disk: the work goes on without a log
            os.write(2, line.encode("utf-8", "replace"))
            if os.fstat(2).st_size > LARGEST:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                self._attach()
