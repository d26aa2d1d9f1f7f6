"""Preview and carry out: what screen, command line and agent all call."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable

from backends.contract import Backend, BackendError, Mutation, Refused
from backends.entities.holdings import Freed, Part
from console.retention.keeping import kept_runs
from console.retention.policy import Limits
from console.retention.rule import Plan, plan, purge_plan


def preview(backend: Backend, limits: Limits, *, left_out: Collection[str] = ()) -> Plan:
    """What would go. Reads only. `left_out` are things that a person takes out of it, each as `part:target`."""
    holdings = backend.need("retention").holdings()
    runs_too = any(
        each is not None for each in (limits.deleted_ms, limits.artifacts_ms, limits.logs_ms, limits.max_bytes)
    )
    kept = kept_runs(backend, limits) if holdings.runs and runs_too else {}
    return plan(holdings, limits, time.time_ns() // 1_000_000, kept=kept, left_out=left_out)


def preview_purge(backend: Backend, runs: Iterable[str]) -> Plan:
    """What the going of these deleted runs would give back. Refused where one of them cannot go."""
    wanted = list(runs)
    holdings = backend.need("retention").holdings()
    if holdings.note:
        raise Refused(f"nothing was removed: {holdings.note}.")
    known = {held.run: held for held in holdings.runs}
    for run in wanted:
        held = known.get(run)
        if held is None:
            raise Refused(f"run {run[:8]} has not ended and cannot be purged; nothing was removed. Stop it first.")
        if held.deleted_at is None:
            raise Refused(f"run {held.name} ({run[:8]}) is not deleted; nothing was removed. Delete it first.")
        if held.needed:
            raise Refused(f"run {held.name} ({run[:8]}) cannot go: {held.needed}; nothing was removed.")
    return purge_plan(holdings, wanted)


def carry_out(
    backend: Backend, found: Plan, mutation: Mutation, *, told: Callable[[int], object] | None = None
) -> Freed:
    """Remove what the plan names. What somebody needs by now stays, and is told. May be repeated."""
    store = backend.need("retention")
    digests = {}
    if any(each.part is Part.DATA for each in found.going) and backend.datasets is not None:
        wanted = {each.target for each in found.going if each.part is Part.DATA}
        digests = {ref: backend.datasets.version(ref).digest for ref in wanted}
    freed: Freed = store.remove(found.going, mutation, told=told)
    _forget(backend, digests)
    return freed


def _forget(backend: Backend, digests: dict[str, str]) -> None:
    """Profiles of contents that are gone."""
    if not digests or backend.home is None or backend.datasets is None:
        return
    from console.data.kept import forget_profile

    for digest in digests.values():
        try:
            backend.datasets.version(digest)
        except BackendError:
            forget_profile(backend.home, digest)
