"""The command of a run as a process: started in its own session under a keeper, its two pipes, its end."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from backends.entities import LaunchSpec
from backends.local.keeper import StartError, fork_keeper
from backends.local.process_identity import ProcessIdentity, is_alive, own_identity, send_signal
from backends.local.process_tree import AGENT_MARK, RUN_MARK, kill_run_processes, signal_run_processes
from backends.local.run_folder import Ended, RunFolder
from backends.local.tree_usage import TreeUsage, usage_of_descendants

PROGRESS_FD = "MLOPS_PROGRESS_FD"
PROGRESS_NUMBER = 3
"""A plain `sh` can only write to descriptors below ten."""
WORKSPACE = "MLOPS_CONSOLE_WORKSPACE"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class CommandProcess:
    """The command of a run as its supervisor sees it: its pipes, its keeper, its end."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self.output = _reading_end(folder.output)
        self.progress = _reading_end(folder.said)
        self.bell = _reading_end(folder.bell)
        """Readable when something happened to the command, and for good once its keeper is gone."""
        self.keeper: ProcessIdentity | None = None
        self.child: ProcessIdentity | None = None
        self.ended: Ended | None = None

    @property
    def watchers(self) -> tuple[ProcessIdentity, ...]:
        """Those who look after the command and are no part of it; what it leaves behind becomes theirs."""
        return (own_identity(),) if self.keeper is None else (own_identity(), self.keeper)

    @property
    def roots(self) -> tuple[ProcessIdentity, ...]:
        """The processes whose descendants are the command's."""
        return self.watchers if self.child is None else (*self.watchers, self.child)

    def usage(self) -> TreeUsage:
        """What the command and everything below it takes."""
        keeper = self.keeper.pid if self.keeper is not None and self.kept else 0
        child = self.child.pid if self.child is not None and is_alive(self.child) else 0
        return usage_of_descendants(keeper, child)

    def signal(self, *numbers: signal.Signals) -> None:
        """To every process of the run, in whatever session."""
        signal_run_processes(self._folder.run, self.roots, numbers, spared=self.watchers)

    def kill(self) -> int:
        """SIGKILL until nothing of the run is left: how many were killed."""
        killed, _ = kill_run_processes(self._folder.run, self.roots, spared=self.watchers, reap=self.look)
        return killed

    def look(self) -> None:
        """Learn what happened: whether it has begun, and how it ended."""
        if self.child is None and (keeping := self._folder.keeping()) is not None:
            self.keeper, self.child = keeping.keeper, keeping.child
        self._reap()
        if self.ended is None:
            self.ended = self._folder.ended()
        if self.ended is None and not self.kept and (self.child is None or not is_alive(self.child)):
            # The keeper sets the end down before it goes, and what it leaves unreaped comes to us.
            self._reap()
            self.ended = self.ended or self._folder.ended() or Ended(seen=False, at=time.time_ns() // 1_000_000)

    @property
    def kept(self) -> bool:
        """Whether somebody is there to tell how it ends."""
        return self.keeper is not None and is_alive(self.keeper)

    def _reap(self) -> None:
        """Collect our own ended children: the keeper, and what came to us when a keeper was killed."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self.child is not None and pid == self.child.pid:
                self.ended = Ended.of(status, usage)

    def await_start(self) -> None:
        """Until it has begun or could not."""
        while self.child is None and self.ended is None:
            select.select([self.bell], [], [], 1.0)
            self.look()

    def release(self) -> None:
        """All was read: the keeper may go, and the pipes with it."""
        if self.keeper is not None:
            send_signal(self.keeper, signal.SIGKILL)
        self._folder.remove_pipes()


def adopt_orphans() -> None:
    """On Linux: whoever of our descendants loses its parent becomes our child, so that none gets out of sight."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """What a child does between fork and exec: ask for this signal at its parent's death (Linux), and hear hang-ups."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
            if os.getppid() != parent:  # killed before the line above took hold
                os._exit(1)

    return prepare


def start_command(
    folder: RunFolder, spec: LaunchSpec, tracking: Mapping[str, str] | None = None, withheld: Collection[str] = ()
) -> CommandProcess:
    """Start the run's command, under a keeper, with its marks in the environment. Call it before any thread is started.

    `tracking` is given to it besides, and may hold a token; variables `withheld` hold somebody else's.
    StartError says why there is no command.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **spec.env}  # else a log stays empty for 8 kB of prints
    environment.pop(AGENT_MARK, None)
    for name in withheld:
        if name not in spec.env:
            environment.pop(name, None)
    environment |= tracking or {}
    environment |= {RUN_MARK: folder.run, WORKSPACE: str(folder.workspace), PROGRESS_FD: str(PROGRESS_NUMBER)}
    gpus = folder.gpus()
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    try:
        folder.make_pipes()
    except OSError as error:
        raise StartError(f"could not be started: {folder.path} takes no named pipes: {error.strerror}") from None
    command = CommandProcess(folder)
    fork_keeper(folder, lambda: _spawn(folder, spec, environment), (command.output, command.progress), adopt_orphans)
    command.await_start()
    if command.ended is not None and command.ended.error:
        raise StartError(command.ended.error)
    return command


def adopt_command(folder: RunFolder) -> CommandProcess:
    """The command that a supervisor before us has started; it may have ended meanwhile."""
    command = CommandProcess(folder)
    command.look()
    command.await_start()
    if command.ended is not None and command.ended.error:
        raise StartError(command.ended.error)
    return command


def _reading_end(pipe: Path) -> int:
    return os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _spawn(folder: RunFolder, spec: LaunchSpec, environment: Mapping[str, str]) -> int:
    """Start the command as a child of the calling process: its process id."""
    spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # so that subprocess has no descriptor of its own at 3
    # Open for reading too: a command whose supervisor is gone waits at a full pipe, and is not ended by it.
    output_end = os.open(folder.output, os.O_RDWR | os.O_CLOEXEC)
    progress_end = os.open(folder.said, os.O_RDWR | os.O_CLOEXEC)

    def prepare() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if spec.nice:
            os.nice(spec.nice)
        os.dup2(progress_end, PROGRESS_NUMBER)

    try:
        process = subprocess.Popen(
            list(spec.argv),
            cwd=spec.cwd or folder.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output_end,
            stderr=output_end,
            start_new_session=True,
            pass_fds=(PROGRESS_NUMBER,),
            preexec_fn=prepare,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise StartError(_why(spec, folder, error)) from None
    finally:
        os.close(output_end)
        os.close(progress_end)
        os.close(spare)
    process.returncode = 0  # we reap it ourselves, with its usage; subprocess shall not try
    return process.pid


def _why(spec: LaunchSpec, folder: RunFolder, error: Exception) -> str:
    command = spec.argv[0] if spec.argv else ""
    where = spec.cwd or str(folder.path)
    if not os.path.isdir(where):  # noqa: PTH112
        return f"could not be started: its folder {where} is not there"
    if isinstance(error, FileNotFoundError):
        return f"could not be started: there is no command {command!r} in the PATH"
    if isinstance(error, OSError):
        return f"could not be started: {command!r}: {error.strerror}"
    return f"could not be started: {command!r}: {error}"
