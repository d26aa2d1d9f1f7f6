"""One process of this machine at a time, by a lock on a file: what dies lets go of it."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backends.contract import Conflict

_LOOK_S: Final = 0.02


@contextmanager
def one_at_a_time(path: Path, *, wait: float, refusal: str) -> Iterator[int]:
    """Hold the file's lock meanwhile; its descriptor, by which a child that gets it holds the lock as well, also after
    our own death. Conflict, with `refusal` as its words, where somebody else still holds it after
    `wait` seconds."""
    until = time.monotonic() + wait
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise Conflict(refusal) from None
                time.sleep(_LOOK_S)
        yield file.fileno()
