"""What is kept of services that a metrics store measures: which windows are wanting, how they are asked for.

They are kept beside those of the console's own servers, and not read anew for each look: alerts judge them while nobody
looks, a monitor is drawn without a network, and what the store forgets after its fifteen days stays. A range query
brings any time that was missed, so that it may be asked seldom, and nothing is lost while it, or the agent, is away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, BackendError, MetricSource, MonitorStore, Unauthorized, Unreachable
from backends.entities import Millis, Monitor, Record, ServiceWindow
from console.services.source import Known

MINUTE: Final[Millis] = 60_000
BACK_MS: Final[Millis] = 24 * 60 * MINUTE
"""So far back what is missing is asked for."""
LATE_MS: Final[Millis] = 10_000
"""A sample may come so much later than it was taken."""
UNSEEN_MS: Final[Millis] = 3 * MINUTE
"""Older than this, what the agent did not hear from its own server it will not hear any more."""
SOON_S: Final = 60.0
SELDOM_S: Final = 300.0
LOOKED_S: Final = 300.0
"""For so long after a look somebody is taken to be there."""
LOOKED: Final = "metrics.looked"
STATE: Final = "metrics.json"
_GAPS: Final = 6
"""Stretches that are asked for one by one; of more the whole from first to last."""


class Wanted(Record, frozen=True, kw_only=True):
    """What is to be asked of one service."""

    known: Known
    newest: ServiceWindow | None = None
    """The last that is kept."""
    gaps: tuple[tuple[Millis, Millis], ...] = ()
    """Of an own deployment: what nobody saw."""


class Fetched(Record, frozen=True, kw_only=True):
    """What came of it."""

    known: Known
    windows: tuple[ServiceWindow, ...] = ()
    trouble: str = ""


class Followed(Record, frozen=True, kw_only=True):
    """What the agent says of its reading, in a file of the workspace."""

    where: str
    at: Millis
    trouble: str = ""
    """Why the store could not be asked, in words."""
    services: dict[str, str] = {}  # noqa: RUF012
    """Service → why its figures could not be read; empty where they could."""


def wanted(backend: Backend, known: Known, now: Millis) -> Wanted | None:
    """None where nothing is."""
    store: MonitorStore = backend.need("monitors")
    if not known.sources:
        return None
    if known.own:
        gaps = _gaps(store.services(known.sources[0], since=now - BACK_MS, limit=1_500), now)
        return Wanted(known=known, gaps=gaps) if gaps else None
    newest = store.services(known.sources[0], limit=1)
    return Wanted(known=known, newest=newest[-1] if newest else None)


def fetch(source: MetricSource, want: Wanted, now: Millis) -> Fetched:
    """Ask for it. Raises Unreachable and Unauthorized; what is wrong with this service alone is its `trouble`."""
    known = want.known
    try:
        length = source.length(known.service)
        found: list[ServiceWindow] = []
        for since, until in want.gaps if known.own else (_since(want.newest, length, now),):
            found += source.windows(known.service, since=since, until=until - until % length, length=length)
    except (Unreachable, Unauthorized):
        raise
    except BackendError as error:
        return Fetched(known=known, trouble=str(error))
    if known.own:  # between the gaps its own server was heard
        found = [each for each in found if any(since <= each.start and each.end <= until for since, until in want.gaps)]
    return Fetched(known=known, windows=tuple(found))


def keep(backend: Backend, fetched: Fetched) -> int:
    """Keep what is new, under each of its sources; how many windows."""
    store: MonitorStore = backend.need("monitors")
    kept = 0
    for source in fetched.known.sources:
        for window in fetched.windows:
            named = msgspec.structs.replace(window, source=source)
            if store.services(source, since=window.start, until=window.start + 1) != (named,):
                store.add_service(named)
                kept += 1
    return kept


def pause_of(known: Known, monitors: Sequence[Monitor], *, looked: bool) -> float:
    """Seconds between two questions: often where a rule judges its service or somebody looks, else seldom. An own
    deployment is only asked about for what is missing."""
    if known.own:
        return SELDOM_S
    judged = any("service." in (monitor.rules or "") for monitor in monitors if monitor.name in known.monitors)
    return SOON_S if judged or looked else SELDOM_S


def note_look(workspace: Path, now: Millis | None = None) -> None:
    """Note that somebody looks at services; written once a minute at most."""
    now = time.time_ns() // 1_000_000 if now is None else now
    path = workspace / LOOKED
    try:
        if now / 1000 - path.stat().st_mtime < LOOKED_S / 5:
            return
    except OSError:
        pass
    try:
        path.touch(mode=0o600)
        os.utime(path, (now / 1000, now / 1000))
    except OSError:
        pass  # a workspace that may only be read is read as often as others look


def looked(workspace: Path, now: Millis) -> bool:
    try:
        return now / 1000 - (workspace / LOOKED).stat().st_mtime < LOOKED_S
    except OSError:
        return False


def followed(workspace: Path) -> Followed | None:
    """What the agent said last, or None where it reads nothing."""
    try:
        return msgspec.json.decode((workspace / STATE).read_bytes(), type=Followed)
    except (OSError, msgspec.DecodeError):
        return None


def _since(newest: ServiceWindow | None, length: Millis, now: Millis) -> tuple[Millis, Millis]:
    """From where to where, in whole windows. The last one is asked for again: a sample of it may have come late."""
    until = now - LATE_MS
    back = now - BACK_MS
    if newest is None or newest.end <= back:
        since = back
    elif newest.end - newest.start == length:
        since = newest.start
    else:
        since = newest.end  # of another length: what is kept is not cut
    return -(-since // length) * length, until - until % length


def _gaps(seen: Sequence[ServiceWindow], now: Millis) -> tuple[tuple[Millis, Millis], ...]:
    """Whole minutes of the last day that no window covers, oldest first. What was before the first window of all is
    no gap: it may not have been there."""
    if not seen:
        return ()
    until = now - UNSEEN_MS
    until -= until % MINUTE
    found: list[tuple[Millis, Millis]] = []
    at = seen[0].end
    for each in (*seen[1:], None):
        start = until if each is None else each.start
        begin, end = -(-at // MINUTE) * MINUTE, min(start, until) // MINUTE * MINUTE
        if end > begin:
            found.append((begin, end))
        at = max(at, at if each is None else each.end)
    return tuple(found[-_GAPS:])
