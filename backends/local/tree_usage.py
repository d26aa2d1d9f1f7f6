"""What the processes below one take together: cheap enough to be asked every second."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class TreeUsage(NamedTuple):
    """Of all descendants of the calling process."""

    cpu_s: float
    """User and system time so far, with that of those that were waited for."""
    memory: int
    """Resident bytes; pages that they share count for each."""
    processes: frozenset[int]
    """Their ids, without those that have ended."""


def usage_of_descendants() -> TreeUsage:
    """What everything below the calling process takes.

    A supervisor adopts the orphans of its command, so that nothing of a run is outside of this, and nothing that ended
    is lost: it counts with whoever waited for it.
    """
    times = os.times()
    reaped = times.children_user + times.children_system
    children = _linux_descendants(os.getpid())
    if children is None:
        found = _portable()
        return found._replace(cpu_s=found.cpu_s + reaped)
    cpu, memory, living = reaped, 0, set()
    for pid in children:
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:  # gone meanwhile
            continue
        fields = stat[stat.rindex(b")") + 2 :].split()  # the command's name may hold spaces and brackets
        cpu += sum(map(int, fields[11:15])) / _TICK  # utime, stime, cutime, cstime
        memory += int(fields[21]) * _PAGE
        if fields[0] not in (b"Z", b"X"):
            living.add(pid)
    return TreeUsage(cpu, memory, frozenset(living))


def _linux_descendants(pid: int) -> list[int] | None:
    """By the kernel's own lists of children, a read a thread; None where it keeps none."""
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():
        return None
    found: list[int] = []
    queue = [pid]
    while queue:
        try:
            threads = list(Path(f"/proc/{queue.pop()}/task").iterdir())
        except OSError:
            continue
        for thread in threads:
            try:
                below = [int(each) for each in (thread / "children").read_bytes().split()]
            except OSError:
                continue
            found += below
            queue += below
    return found


def _portable() -> TreeUsage:
    import psutil

    cpu, memory, living = 0.0, 0, set()
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
            memory += process.memory_info().rss
            ended = process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error:  # gone meanwhile
            continue
        cpu += times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        if not ended:
            living.add(process.pid)
    return TreeUsage(cpu, memory, frozenset(living))
