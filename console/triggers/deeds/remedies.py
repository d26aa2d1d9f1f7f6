"""Remedies of one step: roll back, scale, check."""

from __future__ import annotations

from backends.contract import Conflict
from backends.entities import FiringState
from console.triggers.deeds.step import Done, End, Step, Work


def aim_back(work: Work) -> Done:
    """Who holds the alias, set down before it is moved: a repeated step goes no further back."""
    from console.promotion.rollback import rollback_target

    do = work.trigger.do
    held = work.backend.need("registry").get(do.rollback).aliases.get(do.alias, "")
    target = rollback_target(work.backend, do.rollback, do.alias)
    return Done(said=_moves(held, target.version), changes={"expected": held, "wanted": target.version})


def roll_back(work: Work) -> Done:
    from console.promotion.rollback import rollback

    do, firing = work.trigger.do, work.firing
    moved = rollback(
        work.backend, do.rollback, do.alias, work.mutation("rollback"), to=firing.wanted,
        expected=firing.expected or None,
    )  # fmt: skip
    return Done(
        said=f"{do.rollback} {do.alias}: {_moves(moved.previous or '', moved.version or '')}",
        changes={"version": moved.version or ""},
    )


def aim_workers(work: Work) -> Done | End:
    do = work.trigger.do
    held = work.backend.need("deployments").get(do.scale).workers
    wanted = _workers(work, held)
    if wanted == held:
        return End(state=FiringState.REFUSED, reason=f"{do.scale} has {held} worker(s) already, and most is {do.most}")
    return Done(said=f"{held} → {wanted} worker(s)", changes={"expected": str(held), "wanted": str(wanted)})


def scale(work: Work) -> Done:
    from console.serving.deployment import change

    do = work.trigger.do
    made = change.scale(work.backend, do.scale, int(work.firing.wanted), work.mutation("scale"))
    return Done(said=f"{made.name}: {work.firing.expected} → {work.firing.wanted} worker(s)")


def _workers(work: Work, held: int) -> int:
    do = work.trigger.do
    if do.workers[0] in "+-":
        changed = max(1, held + int(do.workers))
        return min(changed, max(do.most, held)) if changed > held else changed
    return int(do.workers)


def check(work: Work) -> Done | End:
    """Every check of the newest version, run anew."""
    from console.data.offloaded import check_offloaded

    version = work.backend.need("datasets").version(work.firing.dataset or work.trigger.do.check)
    report = check_offloaded(work.backend, version.ref, work.mutation("check"))
    failed = [each for each in report.results if each.status.value == "fail"]
    if failed:
        named = ", ".join(each.check for each in failed[:5]) + (" …" if len(failed) > 5 else "")
        return End(
            state=FiringState.FAILED,
            reason=f"{version.ref}: {len(failed)} of {len(report.results)} checks fail: {named}",
        )
    return Done(said=f"{version.ref}: {len(report.results)} checks pass", changes={"dataset": version.ref})


ROLLBACK: tuple[tuple[str, Step], ...] = (("aim", aim_back), ("move", roll_back))
SCALE: tuple[tuple[str, Step], ...] = (("aim", aim_workers), ("scale", scale))
CHECK: tuple[tuple[str, Step], ...] = (("check", check),)


def plan_rollback(work: Work) -> str:
    found = aim_back(work)
    return f"move {work.trigger.do.alias} of {work.trigger.do.rollback} from {found.said}"


def plan_scale(work: Work) -> str:
    found = aim_workers(work)
    if isinstance(found, End):
        raise Conflict(f"{found.reason}.")
    return f"scale {work.trigger.do.scale}: {found.said}"


def plan_check(work: Work) -> str:
    return f"check {work.backend.need('datasets').version(work.trigger.do.check).ref}"


def _moves(was: str, will: str) -> str:
    return f"{f'v{was}' if was else 'nothing'} → v{will}"
