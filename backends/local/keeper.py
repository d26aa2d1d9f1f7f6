"""The process whose child a command is. It collects how the command ended, and holds its pipes meanwhile.

It is forked off the supervisor and does nearly nothing, so that a supervisor may be killed without the command: what
the command says waits in the pipes, how it ended is set down in ended.json, and the next supervisor goes on with both.
Where nobody sends one, the keeper does.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from backends.local.process_identity import ProcessIdentity, identify, own_identity
from backends.local.run_folder import Ended, Keeping, RunFolder
from backends.local.spawn import spawn_supervisor

LOOK_S = 5.0
"""How often it looks whether anybody supervises the run."""


class StartError(Exception):
    """The command could not be started; the message says why, in one line."""


def fork_keeper(folder: RunFolder, start: Callable[[], int], held: tuple[int, ...], adopt: Callable[[], None]) -> int:
    """The process id of a keeper, which starts the command by `start` and keeps the descriptors `held` open.

    Call it before any thread is started. `adopt` makes a process the parent of its descendants' orphans.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _Keeper(folder, held).keep(start, parent, adopt)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


class _Keeper:
    def __init__(self, folder: RunFolder, held: tuple[int, ...]) -> None:
        signal.set_wakeup_fd(-1)
        os.setsid()
        # The folder's lock and the store's files among them: they are the supervisor's.
        begin = 3
        for each in (*sorted(held), 1 << 20):
            os.closerange(begin, each)
            begin = each + 1
        self.folder = folder
        self.wake_reader, self.wake_writer = os.pipe()
        os.set_blocking(self.wake_reader, False)
        os.set_blocking(self.wake_writer, False)
        signal.set_wakeup_fd(self.wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, lambda *_: None)  # ignored ones would be ignored by the command as well
        self.bell = os.open(folder.bell, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.pid = 0
        self.ended = False
        self.unattended = 0

    def keep(self, start: Callable[[], int], parent: int, adopt: Callable[[], None]) -> None:
        """Start the command, and stay until it ended and its end was taken over."""
        adopt()
        me = own_identity()
        self.folder.write_keeping(Keeping(keeper=me))
        if os.getppid() != parent:  # killed before anybody could know of this process: nothing is begun
            return
        try:
            self.pid = start()
        except StartError as wrong:
            self._set_down(Ended(error=str(wrong)))
        else:
            # A command that is a zombie by now cannot have passed its number on: it is not reaped yet.
            child = identify(self.pid) or ProcessIdentity(pid=self.pid, started=-1.0, boot="")
            self.folder.write_keeping(Keeping(keeper=me, child=child))
            self._ring()
        while not self._may_go():
            self._reap()
            if select.select([self.wake_reader], [], [], LOOK_S)[0]:
                os.read(self.wake_reader, 4096)
            else:
                self._look()
        self.folder.remove_pipes()

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid and not self.ended:
                self._set_down(Ended.of(status, usage))

    def _set_down(self, ended: Ended) -> None:
        """Durably, before anyone is told."""
        while not self.ended:
            try:
                self.folder.write_ended(ended)
            except OSError:  # the room is reserved; where even that fails, it is tried until somebody mends it
                if not self.folder.path.exists():
                    break
                select.select([], [], [], 1.0)
            else:
                break
        self.ended = True
        self._ring()

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it rings already
            os.write(self.bell, b"\0")

    def _may_go(self) -> bool:
        return self.ended and (self.folder.exit() is not None or not self.folder.path.exists())

    def _look(self) -> None:
        """Send a supervisor where none came for a while; the agent, where there is one, is faster."""
        if not self.folder.path.exists():
            return
        with self.folder.lock() as free:
            self.unattended = self.unattended + 1 if free else 0
        # 2, 4, 8, … looks: a supervisor that cannot live here is not started without end.
        if self.unattended >= 2 and self.unattended & (self.unattended - 1) == 0:
            spawn_supervisor(self.folder)
