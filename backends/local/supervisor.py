"""The process that runs one command of one run, and outlives whoever asked for it.

`python -m backends.local.supervisor RUNDIR` (or `--spare`, see `spawn`): keeps the log bounded, brings what the command
says into the store, stops the whole process tree when asked, and sets down how it ended. The main thread serves the
pipes and never waits for the store; a second thread serves the store. exit.json is written before the store hears of
the end, so that nobody who kills this process, at whatever moment, can make a run that ended look unended for good.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from backends.contract import Backend, Conflict
from backends.entities import LaunchSpec, RunStatus
from backends.local.command_process import CommandProcess, adopt_command, adopt_orphans, start_command
from backends.local.keeper import StartError
from backends.local.process_identity import own_identity
from backends.local.progress_intake import passes_by_itself
from backends.local.progress_spool import SpoolWriter
from backends.local.run_folder import Ended, RunExit, RunFolder, RunMeta
from backends.local.run_limits import LimitWatch
from backends.local.run_log import LogWriter
from backends.local.said import Said, last_fail
from backends.local.settle import STORE_AWAY, Standing, now, settle, settle_abandoned, standing
from backends.local.spawn import SPARE, await_run
from backends.local.store_thread import StoreThread
from backends.local.tracking import tracking, withheld
from backends.local.usage_thread import UsageThread

LINGER_S = 2.0
"""How long processes that outlive the command may finish writing before they are ended."""
PIPE_HOLDS = 1 << 20
"""Bytes at most, unless root lets it hold more."""
PENDING_LIMIT = 8 * 1024 * 1024
"""Bytes of progress that may wait in memory for a full disk; then the command has to wait."""


class Supervision:
    """One run from its start to its exit.json."""

    def __init__(self, folder: RunFolder, spec: LaunchSpec, backend: Backend) -> None:
        self.folder = folder
        self.spec = spec
        self.backend = backend
        self.log = LogWriter(folder.log)
        self.spool = SpoolWriter(folder.spool)
        self.said = Said(self.spool, self.log.note)
        self.limits = LimitWatch(spec)
        self.written_at = 0
        """When the command last wrote to its log, in milliseconds; 0 for not yet."""
        self.stopping_since: float | None = None
        self.told_by_signal = ""
        self.killed = False
        self.open: set[int] = set()
        """Pipes that have not come to their end."""
        self.held: int | None = None
        self.selector = selectors.DefaultSelector()
        self.wake_reader, self.wake_writer = os.pipe()
        os.set_blocking(self.wake_reader, False)
        os.set_blocking(self.wake_writer, False)

    def run(self) -> None:
        """Start the command, serve it, write exit.json, tell the store."""
        self._hear()
        self.folder.reserve_end()
        store = self._store_thread()
        if self._may_start():
            # From here on the run has begun: without this file it would be started again.
            self.folder.write_meta(RunMeta(run=self.folder.run, supervisor=own_identity()))
            self._execute(store, self._start)
        else:
            self._write_exit(RunStatus.STOPPED, reason=self._stop_reason())
        store.finish()
        self.log.close()

    def _start(self) -> CommandProcess:
        given = tracking(self.folder, self.spec, self.backend, self.log.note)
        return start_command(self.folder, self.spec, given, withheld(self.folder))

    def take_over(self) -> None:
        """Go on with a command whose supervisor is gone."""
        self._hear()
        self.log.note("the supervisor of this run was killed; another goes on with it")
        self.said.fail = last_fail(self.folder.spool)
        meta = self.folder.meta()
        assert meta is not None, "only a run that has begun is taken over"  # noqa: S101
        self.folder.write_meta(msgspec.structs.replace(meta, supervisor=own_identity()))
        store = self._store_thread()
        self._execute(store, lambda: adopt_command(self.folder))
        store.finish()
        self.log.close()

    def _store_thread(self) -> StoreThread:
        return StoreThread(self.folder, self.backend, self.log.note, self.spool, self._wake, lambda: self.written_at)

    def _execute(self, store: StoreThread, begin: Callable[[], CommandProcess]) -> None:
        try:
            command = begin()
        except StartError as failed:
            self.log.note(str(failed))
            self._write_exit(RunStatus.FAILED, reason=str(failed))
            return
        try:
            meta = self._write_meta(command)
            ago = time.time() - (meta.create_time or time.time())
            self.limits.begin(command, ago)
            self._listen(command)
            usage = UsageThread(command, self.folder, self.spec, self.spool, self.log.note, ago)
            store.start()
            usage.start()
            self._serve(command, store)
            assert command.ended is not None  # noqa: S101
            usage.finish(command.ended)
            self._write_exit(*self._verdict(command.ended), command.ended)
        except BaseException as error:
            command.kill()
            self._write_exit(RunStatus.FAILED, f"its supervisor failed: {type(error).__name__}: {error}")
            raise
        finally:
            command.release()

    def _may_start(self) -> bool:
        """queued → running in the store, unless it was stopped meanwhile."""
        if self.folder.stop() is not None:
            return False
        runs = self.backend.need("runs")
        try:
            runs.start(self.folder.run)
        except Conflict:
            status = runs.get(self.folder.run).status
            return bool(status is RunStatus.RUNNING)
        return True

    def _write_meta(self, command: CommandProcess) -> RunMeta:
        import psutil

        before = self.folder.meta()
        meta = RunMeta(
            run=self.folder.run,
            supervisor=own_identity(),
            child=command.child,
            pgid=None if command.child is None else command.child.pid,
            create_time=time.time() if before is None or before.create_time is None else before.create_time,
            boot_time=psutil.boot_time(),
        )
        try:
            self.folder.write_meta(meta)
        except OSError as full:  # its keeper has told who they are as well
            self.log.note(f"meta.json not written: {full}")
        return meta

    # ------------------------------------------------------------ what wakes us

    def _hear(self) -> None:
        signal.set_wakeup_fd(self.wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)  # the wake-up descriptor carries the number

    def _listen(self, command: CommandProcess) -> None:
        self.open = {command.output, command.progress}
        self.selector.register(self.wake_reader, selectors.EVENT_READ, self._on_wake)
        self.selector.register(command.bell, selectors.EVENT_READ, lambda: self._on_bell(command.bell))
        self.selector.register(command.output, selectors.EVENT_READ, lambda: self._on_output(command.output))
        self.selector.register(command.progress, selectors.EVENT_READ, lambda: self._on_progress(command.progress))

    def _wake(self) -> None:
        try:
            os.write(self.wake_writer, b"\0")
        except BlockingIOError:  # it is being woken already
            pass

    def _on_wake(self) -> None:
        for number in os.read(self.wake_reader, 4096):
            if number in (signal.SIGTERM, signal.SIGINT):
                self.told_by_signal = signal.Signals(number).name

    def _on_bell(self, bell: int) -> None:
        if not os.read(bell, 4096):  # the keeper is gone, and it would ring for good
            self.selector.unregister(bell)

    def _on_output(self, pipe: int) -> None:
        data = self._read(pipe)
        if data:
            self.log.write(data)
            self.written_at = now()

    def _on_progress(self, pipe: int) -> None:
        data = self._read(pipe)
        if data:
            self.said.take(data)

    def _read(self, pipe: int) -> bytes:
        try:
            data = os.read(pipe, 65_536)
        except BlockingIOError:
            return b""
        if not data:
            self.selector.unregister(pipe)
            self.open.discard(pipe)
            os.close(pipe)
        return data

    # ------------------------------------------------------------ the course of it

    def _serve(self, command: CommandProcess, store: StoreThread) -> None:
        """Until the command and all its processes are gone and the pipes are empty."""
        until = None if command.ended is None else self._linger_until()  # what ended before us rings no more
        while True:
            waiting = self.spool.pending > 0 and not self.spool.flush()
            self._hold_back(command.progress, self.spool.pending > PENDING_LIMIT)
            for key, _ in self.selector.select(self._patience(until, waiting, command.kept)):
                key.data()
            command.look()
            if command.ended is not None:
                until = until or self._linger_until()
                self._look_for_end(command)
                if not self.open or time.monotonic() > until:
                    break
            elif self.stopping_since is None and (store.stop_wanted or self.told_by_signal or self.limits.exceeded()):
                self._begin_stop(command)
            elif self.stopping_since is not None and not self.killed:
                self._kill_when_due(command)
        self._end_leftovers(command)
        self._empty(command)

    def _look_for_end(self, command: CommandProcess) -> None:
        """Of a pipe whose last writer went before we opened it, no sign comes."""
        for pipe, take in ((command.output, self._on_output), (command.progress, self._on_progress)):
            if pipe in self.open and pipe != self.held:
                take(pipe)

    def _linger_until(self) -> float:
        """When what the command left behind has to be gone: a stop gives it the same grace as the command."""
        until = time.monotonic() + LINGER_S
        return until if self.stopping_since is None else max(until, self.stopping_since + self.spec.grace_s)

    def _patience(self, until: float | None, waiting: bool, kept: bool) -> float | None:
        """How long nothing may happen before we look again; None for as long as it takes."""
        if until is not None:
            return min(max(until - time.monotonic(), 0.0) + 0.01, 0.1)
        if self.stopping_since is not None:
            return 1.0 if self.killed else max(self.stopping_since + self.spec.grace_s - time.monotonic(), 0.0) + 0.01
        look = 1.0 if waiting or not kept else None  # without a keeper nobody rings at the end
        return min((each for each in (look, self.limits.patience) if each is not None), default=None)

    def _hold_back(self, pipe: int, hold: bool) -> None:
        """Let the command wait at its progress pipe while a full disk lets nothing be kept."""
        if hold and self.held is None and pipe in self.open:
            self.selector.unregister(pipe)
            self.held = pipe
        elif not hold and self.held is not None:
            self.selector.register(pipe, selectors.EVENT_READ, lambda: self._on_progress(pipe))
            self.held = None

    def _begin_stop(self, command: CommandProcess) -> None:
        self.stopping_since = time.monotonic()
        self.log.note(f"{self._stop_reason()}; SIGTERM sent, SIGKILL in {self.spec.grace_s:g} s")
        command.signal(signal.SIGTERM, signal.SIGCONT)  # a command that was paused shall hear it too

    def _kill_when_due(self, command: CommandProcess) -> None:
        assert self.stopping_since is not None  # noqa: S101
        if time.monotonic() - self.stopping_since >= self.spec.grace_s:
            self.killed = True
            self.log.note(f"still there after {self.spec.grace_s:g} s: SIGKILL sent to all its processes")
            command.kill()

    def _end_leftovers(self, command: CommandProcess) -> None:
        """What the command left running, in whatever session, ends with it."""
        killed = command.kill()
        if killed and not self.killed:
            self.log.note(f"{killed} process{'es' if killed != 1 else ''} left running by the command ended with it")

    def _empty(self, command: CommandProcess) -> None:
        """Read what is still in the pipes, however late we come to it; nobody of ours holds their other ends any
        more, and of a stranger that writes on and on no more is read than a pipe holds."""
        for pipe, take in ((command.output, self.log.write), (command.progress, self.said.take)):
            left = PIPE_HOLDS
            while pipe in self.open and left > 0:
                try:
                    data = os.read(pipe, 65_536)
                except BlockingIOError:
                    break
                if not data:
                    break
                left -= len(data)
                take(data)
        self.said.end()

    # ------------------------------------------------------------ the end of it

    def _verdict(self, ended: Ended) -> tuple[RunStatus, str]:
        """(final status, why in one line)."""
        if self.limits.over:
            return RunStatus.FAILED, self.limits.over
        if self.stopping_since is not None:
            return RunStatus.STOPPED, self._stop_reason()
        if not ended.seen:
            return RunStatus.LOST, self.said.fail or (
                "it ended unseen: all that could have known its exit code was killed before it; "
                f"see its log, or again with: mlops-console run retry {self.folder.run[:8]}"
            )
        if ended.code == 0:
            return RunStatus.FINISHED, ""
        if self.said.fail:
            return RunStatus.FAILED, self.said.fail
        last = self.log.last_line()
        return RunStatus.FAILED, f"{ended.words}: {last}" if last else ended.words

    def _stop_reason(self) -> str:
        if self.limits.over:
            return self.limits.over
        stop = self.folder.stop()
        if stop is not None:
            return f"stopped by {stop.actor}" + (f": {stop.reason}" if stop.reason else "")
        if self.told_by_signal:
            return f"stopped: its supervisor was sent {self.told_by_signal}"
        return "stopped on request"

    def _write_exit(self, status: RunStatus, reason: str, ended: Ended | None = None) -> None:
        code = None
        if ended is not None:
            code = ended.code if ended.signal is None else 128 + ended.signal
        result = RunExit(
            run=self.folder.run,
            status=status,
            ended_at=ended.at if ended is not None and ended.at else now(),
            exit_code=code,
            reason=reason[:500].encode("utf-8", "replace").decode(),  # JSON can spell what no store takes
            cpu_s=0.0 if ended is None else ended.cpu_s,
            max_rss=0 if ended is None else ended.max_rss,
            bad_lines=self.said.bad_lines,
            log_lost=self.log.lost,
        )
        while True:
            try:
                self.folder.write_exit(result)
            except OSError:  # the room is reserved; where even that fails, the end must not get lost with us
                if not self.folder.path.exists():  # the run was taken away: nobody will ask how it ended
                    return
                time.sleep(1.0)
            else:
                return


def supervise(folder: RunFolder) -> int:
    """Bring one run to its end, from wherever it stands: 0, or 3 when the store is away and it did not begin."""
    with _held(folder) as ours:
        spec = folder.spec()
        if not ours or spec is None:
            return 0
        try:
            backend = _open_store(folder)
            match standing(folder):
                case Standing.UNSTARTED:
                    Supervision(folder, spec, backend).run()
                case Standing.ORPHANED:
                    Supervision(folder, spec, backend).take_over()
                case Standing.ABANDONED:
                    settle_abandoned(folder, backend, print)
                case Standing.ENDED:
                    settle(folder, backend, print)
        except Exception as error:
            if passes_by_itself(error):
                print(f"the store is away, run {folder.run} waits: {error}", file=sys.stderr)
                return STORE_AWAY
            raise
    return 0


@contextmanager
def _held(folder: RunFolder) -> Iterator[bool]:
    """The folder's lock, waiting a little for one who only looks after an older end."""
    until = time.monotonic() + 2.0
    while True:
        with folder.lock() as ours:
            if ours or time.monotonic() > until:
                yield ours
                return
        time.sleep(0.05)


def _open_store(folder: RunFolder) -> Backend:
    from backends.connect import open_workspace

    return open_workspace(folder.workspace)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(f"usage: python -m backends.local.supervisor RUNDIR | {SPARE}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    adopt_orphans()
    if arguments[0] != SPARE:
        return supervise(RunFolder(Path(arguments[0]).resolve()))
    _warm()
    folder = await_run()
    return 0 if folder is None else supervise(folder)


def _warm() -> None:
    """Have done once what every run needs, before there is one: what is imported late as well."""
    import psutil  # noqa: F401

    from backends.connect import open_workspace

    open_workspace(Path.cwd()).close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
