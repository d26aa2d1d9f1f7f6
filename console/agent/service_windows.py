"""What a server says of itself, as one service window a minute.

Its counters only grow; a window is the difference of two looks. A stretch in which it was not asked, or did not answer,
is no part of any window: a gap, not a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backends.contract import Backend
from backends.entities import Millis, Record, ServiceWindow, merge_services
from console.monitoring.alarms.service_review import review_service
from console.serving.state import State

MINUTE: Millis = 60_000


class Look(Record, frozen=True):
    """The counters at one time, since the server's start."""

    at: Millis
    server: tuple[int, Millis]
    """Its process and when it started: another server counts from nothing."""
    requests: dict[str, int]
    """By version."""
    errors: int
    times: tuple[int, ...]
    cpu: dict[int, float]
    """Processor seconds by worker."""
    memory: int


class ServiceRecorder:
    """Of one deployment, for the life of an agent."""

    def __init__(self, backend: Backend, source: str, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._source = source
        self._say = say
        self._last: Look | None = None
        self._memory = 0

    def hear(self, state: State) -> None:
        """Called at every look, of which there are many a minute; the first one of a minute ends the minute before."""
        look = look_of(state)
        self._memory = max(self._memory, look.memory)
        last = self._last
        if last is None or last.server != look.server or look.at < last.at:
            # Of a server that has only started all is new; of one that ran before, nobody knows since when.
            fresh = look.at - state.started_at < MINUTE and state.started_at // MINUTE == look.at // MINUTE
            self._last = _nothing(look, state.started_at) if fresh else look
            return
        if look.at // MINUTE == last.at // MINUTE:
            return
        self._keep(difference(last, look, self._source, self._memory))
        self._last, self._memory = look, look.memory

    def _keep(self, window: ServiceWindow) -> None:
        store = self._backend.monitors
        if store is None:
            return
        before = store.services(self._source, since=window.start, until=window.start + 1)
        whole = merge_services((*before, window), start=window.start, end=window.end)
        if whole is not None:
            store.add_service(whole)
            for monitor in review_service(self._backend, self._source):
                self._say(f"monitor {monitor}: what {self._source} does changed its alerts")


def look_of(state: State) -> Look:
    """What a server's state says, added up over versions and workers."""
    counted = [version for version in state.versions if version.times]
    return Look(
        at=state.at,
        server=(state.pid, state.started_at),
        requests={version.version: version.requests for version in state.versions},
        errors=sum(sum(version.errors.values()) for version in state.versions),
        times=tuple(map(sum, zip(*(version.times for version in counted), strict=True))),
        cpu={worker.pid: worker.cpu_seconds for worker in state.workers},
        memory=sum(worker.rss for worker in state.workers),
    )


def difference(first: Look, second: Look, source: str, memory: int) -> ServiceWindow:
    """What happened between two looks at one server, in the minutes that the first one began.

    A worker that was replaced takes its counters along; what is left of them is then all that can be told.
    """
    start = first.at - first.at % MINUTE
    seconds = (second.at - first.at) / 1000
    versions = _grown(first.requests, second.requests)
    times = second.times
    if first.times and len(first.times) == len(second.times):
        grown = tuple(now - before for now, before in zip(second.times, first.times, strict=True))
        times = grown if min(grown) >= 0 else second.times
    errors = second.errors - first.errors
    cpu = sum(max(0.0, used - first.cpu.get(pid, 0.0)) for pid, used in second.cpu.items())
    return ServiceWindow(
        source=source,
        start=start,
        end=second.at - second.at % MINUTE,
        observed=seconds,
        requests=sum(versions.values()),
        errors=errors if errors >= 0 else second.errors,
        times=times,
        cpu=cpu / seconds if seconds > 0 else None,
        memory_bytes=memory,
        versions={version: count for version, count in sorted(versions.items()) if count},
    )


def _grown(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {
        version: count - before.get(version, 0) if count >= before.get(version, 0) else count
        for version, count in now.items()
    }


def _nothing(look: Look, started_at: Millis) -> Look:
    return Look(at=started_at, server=look.server, requests={}, errors=0, times=(), cpu={}, memory=look.memory)
