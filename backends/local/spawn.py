"""How the supervisor of a run is started, by whoever finds that it has none.

Python and what a supervisor imports take a fifth of a second of CPU: an agent that has nothing to do keeps one that
has that behind it, and waits on its stdin to be told of a run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from backends.local.process_tree import AGENT_MARK
from backends.local.run_folder import RunFolder

SPARE = "--spare"
SETTLED_S, QUIET_S = 3.0, 1.0
"""After whoever keeps it began, and after a run did: what a spare costs must not be taken from them."""


def spawn_supervisor(folder: RunFolder) -> subprocess.Popen[bytes]:
    """Detached, in its own session; what it says beside the run's log goes to supervisor.log."""
    file = os.open(folder.path / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "backends.local.supervisor", str(folder.path)],
            cwd=folder.path,
            env=_environment(folder.workspace),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    finally:
        os.close(file)


class Spare:
    """At most one supervisor that waits for its run. It ends with whoever keeps it."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._process: subprocess.Popen[bytes] | None = None
        self._due_at = time.monotonic() + SETTLED_S

    @property
    def patience(self) -> float | None:
        """Seconds until `prepare` has something to do; None for never."""
        if self._process is not None and self._process.poll() is None:
            return None
        return max(self._due_at - time.monotonic(), 0.05)

    def prepare(self) -> None:
        """Start one, where none waits and nothing was started lately."""
        if (self._process is not None and self._process.poll() is None) or time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + 60.0  # where it can't even wait, not again and again
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backends.local.supervisor", SPARE],
            cwd=self._workspace,
            env=_environment(self._workspace),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def spawn(self, folder: RunFolder) -> subprocess.Popen[bytes]:
        """The supervisor of this run: the one that waits, else a new one."""
        process, self._process = self._process, None
        self._due_at = time.monotonic() + QUIET_S
        if process is not None and process.poll() is None and _told(process, str(folder.path)):
            return process
        return spawn_supervisor(folder)

    def end(self) -> None:
        if self._process is not None:
            _told(self._process, "")
            self._process = None


def _told(process: subprocess.Popen[bytes], words: str) -> bool:
    assert process.stdin is not None  # noqa: S101  (asked for when it was started)
    try:
        process.stdin.write(words.encode())
        process.stdin.close()
    except OSError:  # it ended meanwhile
        with suppress(OSError):
            process.stdin.close()
        return False
    return True


def await_run() -> RunFolder | None:
    """In a spare: the run that it is for; None where there is none any more. As if it had been started for it."""
    words = b""
    while part := os.read(0, 4096):
        words += part
    if not words:
        return None
    folder = RunFolder(Path(os.fsdecode(words)).resolve())
    null = os.open(os.devnull, os.O_RDWR)
    file = os.open(folder.path / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standing, wanted in ((0, null), (1, file), (2, file)):
        os.dup2(wanted, standing)
    os.close(null)
    os.close(file)
    os.chdir(folder.path)
    return folder


def _environment(workspace: Path) -> dict[str, str]:
    return {**os.environ, AGENT_MARK: str(workspace)}  # a keeper's descendant, and none of its run
