"""Every process of a run, wherever it went, and the end of them all."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable

from backends.local.process_identity import ProcessIdentity, identify, is_alive, send_signal

RUN_MARK = "MLOPS_CONSOLE_RUN"
"""Environment variable that every process of a run inherits: its run's id."""
AGENT_MARK = "MLOPS_CONSOLE_AGENT"
"""Environment variable of an agent and its supervisors, which a run may start but does not own."""


def run_processes(run: str, roots: Iterable[ProcessIdentity] = ()) -> list[ProcessIdentity]:
    """The living processes of a run: whoever carries its mark, the roots, and descendants that are nobody else's.

    Zombies and the calling process are not counted.
    """
    import psutil

    found = {root.pid for root in roots if is_alive(root)}
    foreign: set[int] = set()
    children: dict[int, list[int]] = {}
    for process in psutil.process_iter():
        try:
            children.setdefault(process.ppid(), []).append(process.pid)
            environment = process.environ()
        except (psutil.Error, OSError):  # another user's, or gone meanwhile
            continue
        mark = environment.get(RUN_MARK)
        if mark == run:
            found.add(process.pid)
        elif mark or AGENT_MARK in environment:
            foreign.add(process.pid)
    # A marked process may have taken the mark from its children (`env -i`): descent counts too.
    queue = list(found)
    while queue:
        for pid in children.get(queue.pop(), ()):
            if pid not in foreign and pid not in found:
                found.add(pid)
                queue.append(pid)
    found.discard(os.getpid())
    identities = (identify(pid) for pid in sorted(found))
    return [identity for identity in identities if identity is not None]


def signal_run_processes(
    run: str,
    roots: Iterable[ProcessIdentity],
    numbers: Iterable[signal.Signals],
    spared: Iterable[ProcessIdentity] = (),
) -> int:
    """Send these signals to every process of a run once, in whatever session it is: how many were signalled.

    A process may fork while it is being looked at: what is new in the next round is signalled too.
    """
    roots, numbers = tuple(roots), tuple(numbers)
    told = set(spared)
    before = len(told)
    for _ in range(3):
        new = [each for each in run_processes(run, roots) if each not in told]
        if not new:
            break
        told.update(new)
        for identity in new:
            for number in numbers:
                send_signal(identity, number)
    return len(told) - before


def kill_run_processes(
    run: str,
    roots: Iterable[ProcessIdentity] = (),
    *,
    spared: Iterable[ProcessIdentity] = (),
    reap: Callable[[], object] = lambda: None,
    seconds: float = 10.0,
) -> tuple[int, int]:
    """SIGKILL until none but the spared is left: (how many were killed, how many would not go within `seconds`).

    A process may fork while it is being looked at, so one round does not do.
    """
    roots, spared = tuple(roots), frozenset(spared)
    killed: set[tuple[int, float]] = set()
    until = time.monotonic() + seconds
    while True:
        living = [each for each in run_processes(run, roots) if each not in spared]
        for identity in living:
            if send_signal(identity, signal.SIGKILL):
                killed.add((identity.pid, identity.started))
        reap()
        if not living or time.monotonic() > until:
            return len(killed), len(living)
        time.sleep(0.02)
