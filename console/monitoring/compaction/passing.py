"""One pass over a monitor: what it would do, and doing it. Screen, command line and agent all call this."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from backends.contract import Backend, Mutation
from backends.entities import Millis, Monitor, Record
from console.monitoring.compaction.letting_go import LetGo, let_go, would_go
from console.monitoring.compaction.merging import DAY, HOUR, Merged, merge, would_merge
from console.monitoring.folder import monitor_folder
from console.retention.monitors import Keep, read_keep
from console.wording import plural, size, thousands

STATE = "kept.json"
"""In the monitor's folder: what the last pass did."""


class Pass(Record, frozen=True, kw_only=True):
    """What a pass does to one monitor."""

    monitor: str
    at: Millis = 0
    keep: str = ""
    """How long what is kept, in words."""
    merged: Merged = Merged()
    gone: LetGo = LetGo()
    services: int = 0
    """Stretches of the service that were merged."""

    @property
    def any(self) -> bool:
        return bool(self.merged.windows or self.gone.any or self.services)

    def words(self) -> str:
        """`2 880 windows into 48; 3 days, 12 files of scored rows (1.2 MB) gone`"""
        said = []
        if self.merged.windows:
            said.append(f"{plural(self.merged.windows, 'window')} into {self.merged.into}")
        if self.services:
            said.append(f"the service's into {thousands(self.services)}")
        named = (
            (self.gone.days, "window"), (self.gone.scored, "file of scored rows"),
            (self.gone.samples, "file of sampled rows"), (self.gone.ids, "id"),
        )  # fmt: skip
        lost = [_counted(count, noun) for count, noun in named if count]
        if lost:
            given = f" ({size(self.gone.bytes)})" if self.gone.bytes else ""
            said.append(f"{', '.join(lost)} let go{given}")
        return "; ".join(said) or "nothing is old enough"


def _counted(count: int, noun: str) -> str:
    first, _, behind = noun.partition(" ")
    return f"{plural(count, first)} {behind}".rstrip()


def keep_of(monitor: Monitor, store: Mapping[str, str] | None = None) -> Keep:
    """How long what is kept of a monitor. store: what the context says for those that do not say it."""
    return read_keep(store or {}, monitor.keep)


def preview(backend: Backend, monitor: Monitor, keep: Keep) -> Pass:
    """What a pass would do now. Reads only."""
    return Pass(
        monitor=monitor.name,
        at=_now(),
        keep=keep.words(),
        merged=would_merge(backend, monitor, keep),
        gone=would_go(backend, monitor, keep),
    )


def carry_out(
    backend: Backend,
    monitor: Monitor,
    keep: Keep,
    mutation: Mutation,
    *,
    rest: Callable[[], object] = lambda: None,
    forget: bool = True,
) -> Pass:
    """Merge what has come of age, then let go of what is older than is kept (only with `forget`). `rest` is called
    between small steps and may take its time; it may raise to end the pass, and the next one goes on from there."""
    merged = merge(backend, monitor, keep, rest=rest)
    services = compact_services(backend, monitor.service_source, keep, rest=rest)
    gone = let_go(backend, monitor, keep, mutation, rest=rest) if forget else LetGo()
    done = Pass(monitor=monitor.name, at=_now(), keep=keep.words(), merged=merged, gone=gone, services=services)
    before = last_pass(backend, monitor.name)
    if done.any or before is None:
        fresh = monitor_folder(backend, monitor.name) / f"{STATE}.tmp"
        fresh.write_bytes(msgspec.json.encode(done))
        fresh.replace(fresh.with_name(STATE))
    return done


def compact_services(backend: Backend, source: str, keep: Keep, *, rest: Callable[[], object] = lambda: None) -> int:
    """Merge the windows of a service by the same rule, and let go of those that are older than days are kept."""
    store = backend.need("monitors")
    newest = dict(store.service_sources()).get(source)
    if newest is None:
        return 0
    clock, merged = min(_now(), newest), 0
    for length, limit in ((HOUR, keep.minutes), (DAY, keep.hours)):
        while limit is not None and (
            done := store.compact_services(source, length=length, until=clock - limit, limit=24)
        ):
            merged += done
            rest()
    if keep.days is not None:
        store.forget_services(source, until=clock - keep.days)
    return merged


def last_pass(backend: Backend, monitor: str) -> Pass | None:
    """The last one that did anything, where there was one."""
    try:
        return msgspec.json.decode((monitor_folder(backend, monitor) / STATE).read_bytes(), type=Pass)
    except (FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def _now() -> Millis:
    return int(time.time() * 1000)
