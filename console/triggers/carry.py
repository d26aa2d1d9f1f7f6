"""A firing's course: from waiting to its end, step after step, each written down before the next.

Whoever carries it may be killed between any two lines: the next one finds the firing at the step that was under way and
does that step again, under the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from backends.contract import Backend, BackendError, Mutation, Refused, Unreachable
from backends.entities import Firing, FiringState, FiringStep, Trigger, TriggerState
from console.triggers.clock import Clock, real_now
from console.triggers.deeds import remedies, retrain, runs
from console.triggers.deeds.step import Done, End, Step, Work
from console.triggers.limits import in_the_way, in_vain, refusal
from console.triggers.stopped import fall_silent, speak_up
from console.wording import plural

STEPS: Final[dict[str, tuple[tuple[str, Step], ...]]] = {
    "retrain": retrain.RETRAIN,
    "rollback": remedies.ROLLBACK,
    "scale": remedies.SCALE,
    "command": runs.COMMAND,
    "run": runs.RUN,
    "check": remedies.CHECK,
}
_PLANS: Final[dict[str, Callable[[Work], str]]] = {
    "retrain": retrain.plan,
    "rollback": remedies.plan_rollback,
    "scale": remedies.plan_scale,
    "check": remedies.plan_check,
    "command": lambda work: f"run in {work.trigger.do.workdir}: {work.trigger.do.command}",
    "run": lambda work: f"start a run of its recipe: {work.trigger.do.run.splitlines()[0][:80]} …",
}


def begin(backend: Backend, trigger: Trigger, firing: Firing, running: Sequence[Firing], clock: Clock) -> Firing:
    """What becomes of a waiting firing: refused by a limit, told as a dry run, still waiting, or under way."""
    store = backend.need("triggers")
    if trigger.status.state is not TriggerState.ACTIVE and not firing.by:
        return end(backend, trigger, firing, FiringState.REFUSED, f"the trigger is {trigger.status.state}")
    if firing.dry_run:
        return _told(backend, trigger, firing)
    waits = in_the_way(firing, running)
    if waits:
        if firing.reason != waits:
            firing = msgspec.structs.replace(firing, reason=waits)
            store.put_firing(firing)
        return firing
    why = refusal(trigger, firing, store.firings(trigger.name), clock())
    if why:
        return end(backend, trigger, firing, FiringState.REFUSED, why)
    work = Work(backend, trigger, firing)
    backend.need("journal").record(
        "trigger.fire",
        trigger.name,
        msgspec.structs.replace(work.mutation("begin"), reason=firing.cause),
        after={"firing": firing.id, "do": trigger.do.what, **({"by": firing.by} if firing.by else {})},
    )
    firing = msgspec.structs.replace(
        firing, state=FiringState.RUNNING, started_at=clock(), step=STEPS[trigger.do.what][0][0], reason=""
    )
    store.put_firing(firing)
    return firing


def carry_on(
    backend: Backend, trigger: Trigger, firing: Firing, *, between: Callable[[Firing], object] = lambda _: None
) -> Firing:
    """The firing as far as it goes now: ended, or at a step that waits. `between` hears of every step behind it.

    Raises Unreachable where a server is away: the same call later goes on.
    """
    store = backend.need("triggers")
    names = [name for name, _ in STEPS[trigger.do.what]]
    while firing.state is FiringState.RUNNING:
        number = names.index(firing.step)
        step = STEPS[trigger.do.what][number][1]
        try:
            outcome = step(Work(backend, trigger, firing))
        except Unreachable:
            raise
        except Refused as error:
            return end(backend, trigger, firing, FiringState.REFUSED, f"{firing.step}: {error}")
        except BackendError as error:
            return end(backend, trigger, firing, FiringState.FAILED, f"{firing.step}: {error}")
        if isinstance(outcome, End):
            return end(backend, trigger, firing, outcome.state, outcome.reason)
        if not isinstance(outcome, Done):
            if outcome.changes:
                firing = msgspec.structs.replace(firing, **outcome.changes)
                store.put_firing(firing)
            return firing
        last = number == len(names) - 1
        steps = (*firing.steps, FiringStep(step=firing.step, at=real_now(), said=outcome.said))
        onward = firing.step if last else names[number + 1]
        firing = msgspec.structs.replace(firing, **{"step": onward, **outcome.changes}, steps=steps)
        if last and firing.step == onward:
            return end(backend, trigger, firing, FiringState.DONE, outcome.said)
        store.put_firing(firing)
        between(firing)
    return firing


def end(backend: Backend, trigger: Trigger, firing: Firing, state: FiringState, reason: str) -> Firing:
    """Write the end into the journal, then into the firing; then whether the trigger has failed too often."""
    ended = msgspec.structs.replace(firing, state=state, reason=reason[:2000], ended_at=real_now())
    found = {"run": firing.run, "dataset": firing.dataset, "version": firing.version}
    backend.need("journal").record(
        "trigger.end",
        trigger.name,
        msgspec.structs.replace(Work(backend, trigger, firing).mutation("end"), reason=firing.cause),
        after={"firing": firing.id, "state": state.value, **{key: value for key, value in found.items() if value}},
        outcome="done" if state in (FiringState.DONE, FiringState.DRY_RUN) else "failed",
        detail=ended.reason,
    )
    backend.need("triggers").put_firing(ended)
    settle(backend, trigger.name)
    return ended


def settle(backend: Backend, name: str) -> None:
    """Stop a trigger that has failed too often in a row, and raise an alert. May be repeated."""
    store = backend.need("triggers")
    trigger: Trigger = store.get(name)
    failures = in_vain(backend, trigger)
    if failures != trigger.status.failures:
        store.observe(name, msgspec.structs.replace(trigger.status, failures=failures))
    most = trigger.limits.failures
    if not most or failures < most or trigger.status.state is not TriggerState.ACTIVE:
        fall_silent(backend, name)  # who resumed it may have been killed before this
        return
    newest = next(each for each in store.firings(name) if each.state in (FiringState.FAILED, FiringState.REFUSED))
    reason = f"it failed {plural(failures, 'time')} in a row, the last one: {newest.reason}"[:1000]
    speak_up(backend, trigger, newest.id, reason)  # first: of a stop that nobody hears of, nobody would look again
    store.turn(name, TriggerState.STOPPED, Mutation(trigger.actor, reason, f"trigger:{newest.id}:stop"))


def plan(backend: Backend, trigger: Trigger, firing: Firing) -> str:
    """What it would do, from what is there now. Raises what would refuse it."""
    return _PLANS[trigger.do.what](Work(backend, trigger, firing))


def _told(backend: Backend, trigger: Trigger, firing: Firing) -> Firing:
    try:
        said = f"would {plan(backend, trigger, firing)}"
    except Unreachable:
        raise
    except BackendError as error:
        said = f"would fail: {error}"
    return end(backend, trigger, firing, FiringState.DRY_RUN, said)
