"""The second thread of a supervisor: the one that may wait for the store."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable

from backends.contract import Backend
from backends.entities import RunStatus
from backends.local.progress_intake import BATCH, ProgressIntake, passes_by_itself
from backends.local.progress_spool import SpoolWriter
from backends.local.run_folder import RunFolder
from backends.local.settle import settle

FIRST_S = 0.1
"""When what a run says at once is looked for."""
TICK_S = 0.5
"""Progress and stop wishes pass at most this often."""
HEARD_MS = 5_000
"""How often the store is told that the log grew: it has no other way to know that a run without metrics goes on."""
LONGEST_PAUSE_S = 15.0
PATIENCE_S = 300.0
"""How long a supervisor tries to tell the store of the end before it leaves that to the agent."""


class StoreThread(threading.Thread):
    """Brings progress in, and learns that the run shall stop even where the signal got lost."""

    def __init__(
        self,
        folder: RunFolder,
        backend: Backend,
        note: Callable[[str], None],
        spool: SpoolWriter,
        wake: Callable[[], None],
        written_at: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__(name="store", daemon=True)
        self._folder = folder
        self._backend = backend
        self._note = note
        self._spool = spool
        self._wake = wake
        self._written_at = written_at
        self._heard_at = 0
        self._last = threading.Event()
        self._intake: ProgressIntake | None = None
        self._seen: object = None
        self._complained = ""
        self.stop_wanted = False

    def run(self) -> None:
        pause = FIRST_S
        while not self._last.wait(pause):
            try:
                self._round()
            except Exception as error:  # the run goes on whatever the store says
                self._complain(error)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                self._complained = ""
                pause = TICK_S

    def _round(self) -> None:
        if not self.stop_wanted and self._folder.stop() is not None:
            self._want_stop()
        intake = self._intake = self._intake or self._new_intake()
        while intake.step() and intake.backlog > BATCH:
            pass
        written = self._written_at()
        if written - self._heard_at >= HEARD_MS:
            self._backend.need("runs").hear(self._folder.run, written)
            self._heard_at = written
        seen = self._backend.changed()
        if seen != self._seen and not self.stop_wanted:
            if self._backend.need("runs").get(self._folder.run).status is RunStatus.STOPPING:
                self._want_stop()
            self._seen = seen

    def _new_intake(self) -> ProgressIntake:
        return ProgressIntake(self._folder, self._backend, self._note, self._spool)

    def _want_stop(self) -> None:
        self.stop_wanted = True
        self._wake()

    def _complain(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {error}"
        if said != self._complained:
            self._note(f"the store does not take this run's progress; it is kept and tried again: {said}")
            self._complained = said

    def finish(self) -> bool:
        """After exit.json is written: bring everything into the store; False where that is left to the agent."""
        self._last.set()
        if self.ident is not None:
            self.join()
        pause = TICK_S
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                if not self._spool.flush():
                    raise OSError(errno.ENOSPC, "progress waits for room", str(self._folder.spool))
                self._intake = self._intake or self._new_intake()
                settle(self._folder, self._backend, self._note, self._intake)
            except Exception as error:
                self._complain(error)
                patient = self._spool.pending > 0 or time.monotonic() < until  # what is in memory only goes with us
                if not passes_by_itself(error) or not patient:
                    return False
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                return True
