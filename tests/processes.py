"""Processes that may end while they are looked at."""

from __future__ import annotations

import psutil


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; none of one that is gone, that nobody has asked yet how it ended, or that is another's."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def gone(process: psutil.Process) -> bool:
    """Ended, whether or not anybody has asked how."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
