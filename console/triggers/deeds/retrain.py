"""Retraining: fresh data, its checks, a run, its version, the gates, a challenger, and a champion where policy says so.

The gates stand as for a person: the version is judged against whoever holds the alias, before it becomes the
challenger. Promotion on top is asked for by the trigger (`promote = true`) *and* allowed by the policy of the alias
(`unattended = true`), or is put before the people whose approval the policy wants.
"""

from __future__ import annotations

from typing import Final

from backends.entities import AliasMove, FiringState, GateStatus, ModelVersion
from console.triggers.deeds.runs import start, wait
from console.triggers.deeds.step import Done, End, Step, Work
from console.triggers.definition import data_of
from console.wording import thousands

CHALLENGER: Final = "challenger"


def fresh_data(work: Work) -> Done:
    """The version that is trained on: pinned, so that what arrives meanwhile changes nothing."""
    do = work.trigger.do
    if do.rows_of:
        from console.triggers.gather import gather_offloaded

        version = gather_offloaded(work.backend, work.trigger, work.firing.id, work.mutation("data"))
    else:
        version = work.backend.need("datasets").version(data_of(do))
    return Done(said=f"{version.ref}, {thousands(version.rows)} rows", changes={"dataset": version.ref})


def check_data(work: Work) -> Done:
    """Checks that are kept for the dataset have to pass: nothing overrides them unattended."""
    from console.training.admit import admit

    version = work.backend.need("datasets").version(work.firing.dataset)
    admit(work.backend, version, work.mutation("check"))
    return Done(said=f"{version.ref} passes its checks")


def train(work: Work) -> Done:
    run = start(work.trigger.do.retrain, work, dataset=work.firing.dataset, unregistered=True)
    return Done(said=f"run {run.name} {run.id[:8]}", changes={"run": run.id})


def register(work: Work) -> Done:
    from console.promotion.register import register_run

    version = register_run(work.backend, work.firing.run, work.firing.model, work.mutation("register"))
    return Done(said=version.ref, changes={"version": version.version})


def judge(work: Work) -> Done | End:
    """Every gate of the alias that it is meant for, against the holder of today."""
    from console.promotion.promote import case_for

    model, alias = work.firing.model, work.trigger.do.alias
    case = case_for(work.backend, model, work.firing.version, alias)
    holder = f"{alias} v{case.holder.version}" if case.holder is not None else f"no {alias}"
    if case.refusal:
        return End(
            state=FiringState.REFUSED,
            reason=f"{model} v{work.firing.version} stays a version alone, judged against {holder}: {case.refusal}",
        )
    passed = sum(gate.status is GateStatus.PASS for gate in case.gates)
    warned = ", ".join(gate.gate for gate in case.gates if gate.status is GateStatus.WARN)
    said = f"{passed} gates pass against {holder}{f', warned: {warned}' if warned else ''}"
    held = work.backend.need("registry").get(model).aliases
    return Done(said=said, changes={"expected": held.get(CHALLENGER, ""), "wanted": held.get(alias, "")})


def challenge(work: Work) -> Done | End:
    """The version becomes the challenger, by its own gates too."""
    from console.promotion.promote import promote

    firing = work.firing
    if work.trigger.do.alias == CHALLENGER or firing.expected == firing.version:
        return Done(said=f"v{firing.version} is {CHALLENGER} already" if firing.expected == firing.version else "")
    moved = promote(
        work.backend, firing.model, firing.version, CHALLENGER, work.mutation(CHALLENGER),
        expected=firing.expected or None,
    )  # fmt: skip
    if isinstance(moved, AliasMove):
        was = f"v{moved.previous}" if moved.previous else "nothing"
        return Done(said=f"{CHALLENGER}: {was} → v{moved.version}")
    wanted = moved.asked.approvals
    return End(
        state=FiringState.DONE,
        reason=f"{firing.model} v{firing.version} waits for {wanted} approval(s) to become the {CHALLENGER}",
    )


def go_live(work: Work) -> Done:
    """Promoted where both say so; otherwise the challenger is what came of it."""
    from console.promotion.policy import policy_for
    from console.promotion.promote import promote

    firing, do = work.firing, work.trigger.do
    now = f"{firing.model} v{firing.version} is the {CHALLENGER}"
    if not do.promote:
        return Done(said=f"{now}; a person promotes it")
    policy = policy_for(work.backend, firing.model, do.alias)
    if not (policy.unattended or policy.approvals):
        return Done(
            said=f"{now}; the policy does not let a trigger promote to {do.alias} (unattended = true in policies.toml)"
        )
    if firing.wanted == firing.version:
        return Done(said=f"v{firing.version} is {do.alias} already")
    moved = promote(
        work.backend, firing.model, firing.version, do.alias, work.mutation("promote"), expected=firing.wanted or None
    )
    if isinstance(moved, AliasMove):
        was = f"v{moved.previous}" if moved.previous else "nothing"
        return Done(said=f"{firing.model} {do.alias}: {was} → v{moved.version}")
    return Done(said=f"{now}; its promotion to {do.alias} waits for {moved.asked.approvals} approval(s)")


RETRAIN: tuple[tuple[str, Step], ...] = (
    ("data", fresh_data),
    ("check", check_data),
    ("train", train),
    ("wait", wait),
    ("register", register),
    ("judge", judge),
    ("challenger", challenge),
    ("promote", go_live),
)


def plan(work: Work) -> str:
    """What it would do, from what is there now."""
    from console.promotion.policy import policy_for
    from console.triggers.gather import check_keeps_rows

    backend, do, model = work.backend, work.trigger.do, work.firing.model
    if do.rows_of:
        monitor = backend.need("monitors").get(do.rows_of)
        check_keeps_rows(monitor)
        data = f"a new version of {data_of(do)} from the labelled rows of {monitor.name}"
    else:
        version = backend.need("datasets").version(data_of(do))
        data = f"{version.ref} ({thousands(version.rows)} rows)"
    held = _holder(work)
    against = f"{do.alias} v{held.version}" if held is not None else f"no {do.alias} yet"
    policy = policy_for(backend, model, do.alias)
    end = "a person promotes it"
    if do.promote and policy.approvals:
        end = f"its promotion to {do.alias} asks for {policy.approvals} approval(s)"
    elif do.promote and policy.unattended:
        end = f"it is promoted to {do.alias}"
    elif do.promote:
        end = f"the policy keeps a trigger from promoting it to {do.alias}"
    return (
        f"train on {data}, register as the next version of {model}, judge it against {against}, make it "
        f"{CHALLENGER} if every gate passes; {end}"
    )


def _holder(work: Work) -> ModelVersion | None:
    from backends.contract import NotFound
    from console.promotion.gates import holder_of

    try:
        return holder_of(work.backend, work.firing.model, work.trigger.do.alias)
    except NotFound:
        return None
