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


def usage_of_descendants(keeper: int = 0, command: int = 0) -> TreeUsage:
    """What everything below the calling process takes, and below a keeper and a command that need not be below it.

    Supervisor and keeper adopt the orphans of their command, so that nothing of a run is outside of this, and nothing
    that ended is lost: it counts with whoever waited for it. They themselves are no part of the run and do not count.
    """
    times = os.times()
    reaped = times.children_user + times.children_system
    watchers = {os.getpid(), keeper} - {0}
    roots = watchers | ({command} - {0})
    pids = _linux_descendants(roots)
    if pids is None:
        found = _portable(roots, watchers)
        return found._replace(cpu_s=found.cpu_s + reaped)
    cpu, memory, living = reaped, 0, set()
    for pid in pids | roots:
        if pid == os.getpid():
            continue
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:  # gone meanwhile
            continue
        fields = stat[stat.rindex(b")") + 2 :].split()  # the command's name may hold spaces and brackets
        if pid == keeper:
            cpu += sum(map(int, fields[13:15])) / _TICK  # of those that it waited for
            continue
        cpu += sum(map(int, fields[11:15])) / _TICK  # utime, stime, cutime, cstime
        memory += int(fields[21]) * _PAGE
        if fields[0] not in (b"Z", b"X"):
            living.add(pid)
    return TreeUsage(cpu, memory, frozenset(living))


def _linux_descendants(roots: set[int]) -> set[int] | None:
    """By the kernel's own lists of children, a read a thread; None where it keeps none."""
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        return None
    found: set[int] = set()
    queue = list(roots)
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
            queue += [each for each in below if each not in found and each not in roots]
            found.update(below)
    return found


def _portable(roots: set[int], watchers: set[int]) -> TreeUsage:
    import psutil

    found: dict[int, psutil.Process] = {}
    for root in roots:
        try:
            process = psutil.Process(root)
            found |= {each.pid: each for each in (process, *process.children(recursive=True))}
        except psutil.Error:  # gone meanwhile
            continue
    cpu, memory, living = 0.0, 0, set()
    for pid, process in found.items():
        try:
            times = process.cpu_times()
            taken = process.memory_info().rss
            ended = process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        if pid != os.getpid():
            cpu += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        if pid in watchers:
            continue
        cpu += times.user + times.system
        memory += taken
        if not ended:
            living.add(pid)
    return TreeUsage(cpu, memory, frozenset(living))
