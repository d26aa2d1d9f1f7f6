"""A folder of one's own for what is not finished yet, gone afterwards whatever happens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from console.data.stream import plain_os_error

LOCK = "lock"
UNLOCKED_S = 60.0
"""A folder without a lock was left by a process that died as soon as it had made it, if it is older than this."""


@contextlib.contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """A folder of our own under `parent`, gone afterwards; what imports that were killed left there goes too.

    Whoever works in a folder holds its lock. The number of a process would not do: a killed one that nobody has
    reaped still has it, and so may another one later.
    """
    for old in parent.glob("import-*"):
        if _left_over(old):
            shutil.rmtree(old, ignore_errors=True)
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="import-", dir=parent))
    except OSError as error:
        raise plain_os_error(error, parent) from error
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _left_over(folder: Path) -> bool:
    try:
        found = folder.stat()
        if not folder.is_dir() or found.st_uid != os.getuid():
            return False
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # the lock is the first thing that is made in it
        return folder.exists() and time.time() - found.st_mtime > UNLOCKED_S
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
