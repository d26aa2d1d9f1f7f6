"""The command of a run as a process: started in its own session, its two pipes, its end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping

from backends.entities import LaunchSpec, Record
from backends.local.process_identity import ProcessIdentity, identify
from backends.local.process_tree import AGENT_MARK, RUN_MARK
from backends.local.run_folder import RunFolder

PROGRESS_FD = "MLOPS_PROGRESS_FD"
PROGRESS_NUMBER = 3
"""A plain `sh` can only write to descriptors below ten."""
WORKSPACE = "MLOPS_CONSOLE_WORKSPACE"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class StartError(Exception):
    """The command could not be started; the message says why, in one line."""


class Ended(Record, frozen=True):
    """How a process ended: by itself with a code, or by a signal."""

    code: int | None
    signal: int | None
    cpu_s: float
    max_rss: int

    @property
    def words(self) -> str:
        """`exit code 3`, `killed by SIGSEGV (signal 11)`."""
        if self.signal is None:
            return f"exit code {self.code}"
        try:
            return f"killed by {signal.Signals(self.signal).name} (signal {self.signal})"
        except ValueError:
            return f"killed by signal {self.signal}"


class CommandProcess:
    """A started command and the reading ends of its output and progress pipes."""

    def __init__(self, pid: int, output: int, progress: int) -> None:
        self.pid = pid
        self.output = output
        self.progress = progress
        self.ended: Ended | None = None
        identity = identify(pid)
        # A command that is a zombie by now cannot have passed its number on: we have not reaped it.
        self.identity = identity or ProcessIdentity(pid=pid, started=-1.0, boot="")

    def signal_group(self, number: signal.Signals) -> None:
        """To the command's own process group; its number is ours as long as the command is not reaped."""
        if self.ended is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                pass

    def reap(self) -> None:
        """Collect every ended child: the command, and orphans that came to us."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
                self.ended = Ended(
                    code=os.WEXITSTATUS(status) if by is None else None,
                    signal=by,
                    cpu_s=usage.ru_utime + usage.ru_stime,
                    max_rss=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                )


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
    """Start the run's command with its marks in the environment. Call it before any thread is started.

    `tracking` is given to it besides, and may hold a token; variables `withheld` hold somebody else's.
    """
    output, output_end = os.pipe()
    spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # so that subprocess has no descriptor of its own at 3
    progress, progress_end = os.pipe()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **spec.env}  # else a log stays empty for 8 kB of prints
    environment.pop(AGENT_MARK, None)
    for name in withheld:
        if name not in spec.env:
            environment.pop(name, None)
    environment |= tracking or {}
    environment |= {RUN_MARK: folder.run, WORKSPACE: str(folder.workspace), PROGRESS_FD: str(PROGRESS_NUMBER)}
    mortal = die_with_parent(signal.SIGKILL)

    def prepare() -> None:
        mortal()
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
        os.close(output)
        os.close(progress)
        raise StartError(_why(spec, folder, error)) from None
    finally:
        os.close(output_end)
        os.close(progress_end)
        os.close(spare)
    process.returncode = 0  # we reap it ourselves, with its usage; subprocess shall not try
    os.set_blocking(output, False)
    os.set_blocking(progress, False)
    return CommandProcess(process.pid, output, progress)


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
