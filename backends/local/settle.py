"""How a local run comes to its end in the store, by whoever is there to do it: supervisor or agent."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from backends.contract import Backend, Conflict
from backends.entities import Run, RunStatus
from backends.local.handed import handed
from backends.local.process_identity import current_boot, is_alive
from backends.local.process_tree import kill_run_processes
from backends.local.progress_intake import ProgressIntake
from backends.local.run_folder import RunExit, RunFolder, RunMeta

STORE_AWAY = 3
"""Exit code of a supervisor that could not begin, the store being away: it is started again, however often."""


class Standing(StrEnum):
    """What a run's folder says about its processes."""

    UNSTARTED = "unstarted"
    """Laid out, and nobody has begun."""
    SUPERVISED = "supervised"
    """Its supervisor is at work."""
    ENDED = "ended"
    """exit.json stands."""
    ORPHANED = "orphaned"
    """Begun, not ended, its supervisor is gone; but its command lives, or how it ended is known: to be gone on with."""
    ABANDONED = "abandoned"
    """Begun, not ended, and nobody is left who could tell how it ends."""


AT_REST = (Standing.UNSTARTED, Standing.ENDED, Standing.ABANDONED)
"""Nobody writes to the folder."""


def now() -> int:
    return time.time_ns() // 1_000_000


def standing(folder: RunFolder) -> Standing:
    """What is true of the run's processes at this moment."""
    meta = folder.meta()
    if meta is not None and is_alive(meta.supervisor):
        return Standing.SUPERVISED
    if folder.exit() is not None:
        return Standing.ENDED
    if meta is None and handed(folder) is not None:  # a cluster has it, or is about to
        return Standing.SUPERVISED
    if meta is None:
        return Standing.UNSTARTED
    return Standing.ORPHANED if _goes_on(folder) else Standing.ABANDONED


def _goes_on(folder: RunFolder) -> bool:
    """Whether the command, or the keeper that knows its end, lives; or the end is set down."""
    if folder.ended() is not None:
        return True
    keeping = folder.keeping()
    return keeping is not None and (is_alive(keeping.keeper) or (keeping.child is not None and is_alive(keeping.child)))


def settle(
    folder: RunFolder, backend: Backend, note: Callable[[str], None], intake: ProgressIntake | None = None
) -> Run:
    """Bring a run whose exit.json stands to its end in the store: progress, artifacts, final state. May be repeated."""
    ended = folder.exit()
    assert ended is not None, "settled before its end was set down"  # noqa: S101
    runs = backend.need("runs")
    run: Run = runs.get(folder.run)
    if run.status.ended:
        return run
    intake = intake or ProgressIntake(folder, backend, note)
    intake.drain()
    intake.keep_artifacts()
    try:
        run = runs.end(folder.run, ended.status, exit_code=ended.exit_code, reason=ended.reason, at=ended.ended_at)
    except Conflict as other:
        note(f"the run has another end already: {other}")
        run = runs.get(folder.run)
    return run


def settle_abandoned(folder: RunFolder, backend: Backend, note: Callable[[str], None]) -> Run:
    """End what an abandoned run left: its processes, then its state. The caller holds the folder's lock."""
    meta = folder.meta()
    assert meta is not None, "a run that nobody began is not abandoned"  # noqa: S101
    stop = folder.stop()
    status = RunStatus.LOST
    if meta.supervisor.boot != current_boot():
        reason = (
            f"lost at boot: the machine went down while it ran; again with: mlops-console run retry {folder.run[:8]}"
        )
    else:
        reason = _end_processes(folder, meta)
        if stop is not None:
            status, reason = RunStatus.STOPPED, f"stopped by {stop.actor}; {reason}"
    folder.write_exit(RunExit(run=folder.run, status=status, ended_at=now(), reason=reason))
    return settle(folder, backend, note)


def _end_processes(folder: RunFolder, meta: RunMeta) -> str:
    keeping = folder.keeping()
    child = meta.child if keeping is None or keeping.child is None else keeping.child
    keeper = () if keeping is None else (keeping.keeper,)
    killed, left = kill_run_processes(folder.run, (*keeper, *(() if child is None else (child,))))
    reason = "its supervisor vanished"
    if child is None:
        reason += " before the command was started"
    elif killed:
        reason += (
            f"; {killed} process{'es' if killed > 1 else ''} it left behind {'were' if killed > 1 else 'was'} ended"
        )
    return reason + (f", {left} could not be ended" if left else "")
