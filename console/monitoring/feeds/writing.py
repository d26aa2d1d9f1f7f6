"""Whether somebody still writes to a file, as far as that can be told."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

CLOSED_S = 10.0
"""A last line without an end may be taken as it is once nobody has written for so long."""


def is_quiet(status: os.stat_result) -> bool:
    """Whether nobody has written for a while."""
    return time.time() - status.st_mtime >= CLOSED_S


def moved_in(status: os.stat_result) -> bool:
    """Whether a file came under its name when it was written already.

    A write sets the times of content and of status alike; a rename sets only that of status, so a later status time
    means that nobody wrote last.
    """
    return status.st_size > 0 and status.st_ctime_ns - status.st_mtime_ns >= 1_000_000


def is_held_open(path: Path) -> bool:
    """Whether a process has the file open to write to it, among those that the system lets us look at: a writer may
    stall for longer than anybody would wait. False where there is no `/proc`. Takes some ms."""
    with suppress(OSError):
        status = path.stat()
        own = (status.st_dev, status.st_ino)
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and _holds(process, own):
                return True
    return False


def _holds(process: Path, file: tuple[int, int]) -> bool:
    with suppress(OSError):  # it ended, or is somebody else's
        for each in os.scandir(process / "fd"):
            with suppress(OSError):
                status = Path(each.path).stat()
                if (status.st_dev, status.st_ino) == file and _writes(process / "fdinfo" / each.name):
                    return True
    return False


def _writes(about: Path) -> bool:
    flags = next(line for line in about.read_text().splitlines() if line.startswith("flags:"))
    return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
