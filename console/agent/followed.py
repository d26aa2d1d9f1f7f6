"""One run at a cluster: what is known of it, and how it ended where the job and the cluster each have their word."""

from __future__ import annotations

import msgspec

from backends.entities import JobState, RunStatus
from backends.local.handed import Handed, write_handed
from backends.local.job_log import JobLog
from backends.local.run_folder import RunFolder
from console.agent.retry import Backoff


class Followed:
    """One run that was claimed and has not come to its end."""

    def __init__(self, folder: RunFolder, request: str, log: JobLog) -> None:
        self.folder = folder
        self.request = request
        self.log = log
        self.unknown = 0
        self.state: JobState | None = None
        """How it ended, as the cluster says; then only the rest of its log is waited for."""
        self.ended_at = 0.0
        self.last_byte = 0.0
        self.backoff = Backoff()

    @property
    def told(self) -> Handed:
        return self.log.told

    def tell(self, **changes: object) -> None:
        """Keep what changed of how it stands."""
        fresh = msgspec.structs.replace(self.log.told, **changes)
        if fresh != self.log.told:
            self.log.told = fresh
            write_handed(self.folder, fresh)


def verdict(each: Followed, state: JobState, place: str) -> tuple[RunStatus, str, int | None]:
    """(final status, why in one line, exit code): the job's own word counts for more than `place`'s."""
    own = each.log.ended
    code = state.exit_code if own is None else int(own["end"])
    stopped = each.folder.stop() is not None
    heard = stopped and own is not None and bool(own.get("stopped"))  # and maybe ended well for that
    if own is not None and code == 0 and not heard:
        return RunStatus.FINISHED, "", 0
    if heard or (stopped and state.status is not RunStatus.FINISHED):
        return RunStatus.STOPPED, stopped_by(each.folder), code
    if own is None:
        return state.status, state.reason if state.status is not RunStatus.FINISHED else "", code
    if own.get("why"):
        return RunStatus.FAILED, str(own["why"]), code
    if own.get("stopped") and state.status in (RunStatus.FAILED, RunStatus.LOST):
        return state.status, state.reason, code  # ended from there for what it says: its time, its machine
    if own.get("stopped"):
        return RunStatus.STOPPED, f"stopped at {place}: {state.reason}".rstrip(": "), code
    last = each.log.log.last_line()
    words = f"exit code {code}"
    return RunStatus.FAILED, each.log.fail or (f"{words}: {last}" if last else words), code


def stopped_by(folder: RunFolder) -> str:
    """In words, by whom and why."""
    stop = folder.stop()
    if stop is None:
        return "stopped"
    return f"stopped by {stop.actor}" + (f": {stop.reason}" if stop.reason else "")
