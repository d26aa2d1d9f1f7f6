"""Which process is meant: a process id alone is reused, with its start and its boot it is not."""

from __future__ import annotations

import os
import signal
import sys
from functools import cache
from pathlib import Path

from backends.entities import Record

LINUX = sys.platform.startswith("linux")


class ProcessIdentity(Record, frozen=True):
    """One process, told apart from every other that has or will have its number."""

    pid: int
    started: float
    """Clock ticks after boot on Linux (no clock change moves them), seconds since the epoch elsewhere."""
    boot: str
    """The boot of the machine it belongs to."""


@cache
def current_boot() -> str:
    """An id of this boot of this machine."""
    if LINUX:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    import psutil

    return f"boot-{int(psutil.boot_time())}"


def started(pid: int) -> float | None:
    """When the living process of this number was started, as in `ProcessIdentity`; None for none or a zombie."""
    if LINUX:
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return None
        fields = stat[stat.rindex(b")") + 2 :].split()  # the command's name may hold spaces and brackets
        return None if fields[0] in (b"Z", b"X") else float(fields[19])
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of a living process."""
    at = started(pid)
    return None if at is None else ProcessIdentity(pid=pid, started=at, boot=current_boot())


def own_identity() -> ProcessIdentity:
    identity = identify(os.getpid())
    assert identity is not None, "a running process is alive"  # noqa: S101
    return identity


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether this very process still runs; a zombie does not."""
    if identity.boot != current_boot():
        return False
    at = started(identity.pid)
    return at is not None and abs(at - identity.started) < 0.02


def send_signal(identity: ProcessIdentity, number: signal.Signals) -> bool:
    """Signal this very process and no other; False when it is gone.

    On Linux a pidfd holds the process while its start is compared, so that its number cannot pass to another between.
    """
    if not is_alive(identity):
        return False
    try:
        if sys.platform != "linux":
            os.kill(identity.pid, number)
            return True
        handle = os.pidfd_open(identity.pid)
        try:
            if not is_alive(identity):
                return False
            signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
    except ProcessLookupError:
        return False
    return True
