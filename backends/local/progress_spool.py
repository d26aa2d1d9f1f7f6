"""The file in which a run's progress lines wait for the store."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from backends.local.progress_lines import spooled


class SpoolWriter:
    """Appends checked lines; what a full disk refuses stays in memory until it is taken."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._pending = bytearray()
        self._lock = threading.Lock()

    def add(self, line: bytes) -> None:
        with self._lock:
            self._pending += spooled(line)

    def flush(self) -> bool:
        """Write what waits; False while the disk will not have it."""
        with self._lock:
            while self._pending:
                try:
                    del self._pending[: os.write(self._file, self._pending)]
                except OSError:
                    return False
        return True

    @property
    def pending(self) -> int:
        """Bytes that are in memory only."""
        return len(self._pending)

    def shrink(self, size: int) -> bool:
        """Begin the file anew if it still has `size` bytes, all of which the store has."""
        with self._lock:
            if os.fstat(self._file).st_size != size:
                return False
            os.ftruncate(self._file, 0)
        return True

    def close(self) -> None:
        os.close(self._file)
