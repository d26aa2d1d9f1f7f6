"""Runs: started once, watched against the limits, stopped past them, followed through their retries."""

from __future__ import annotations

import msgspec

from backends.contract import Conflict
from backends.entities import FiringState, Run, RunStatus
from console.triggers.deeds.step import Done, End, Step, Wait, Work
from console.triggers.limits import overspent

TAG = "console.trigger"
"""On a run: the trigger that started it."""
FIRING_TAG = "console.firing"


def start(recipe: str, work: Work, *, dataset: str = "", unregistered: bool = False) -> Run:
    """The run of this recipe, the same one however often it is asked for. `unregistered`: whatever the recipe says,
    the firing registers it itself, for its own cause."""
    from console.training.start import REGISTER_TAG, start_run

    do = work.trigger.do
    tags = {TAG: work.trigger.name, FIRING_TAG: work.firing.id}
    return start_run(
        work.backend,
        recipe,
        work.mutation("run"),
        overrides={"dataset": dataset} if dataset else {},
        origin=do.workdir,
        source=f"recipe of trigger {work.trigger.name}",
        tags={**tags, REGISTER_TAG: ""} if unregistered else tags,
    )


def start_recipe(work: Work) -> Done:
    run = start(work.trigger.do.run, work)
    return Done(said=f"run {run.name} {run.id[:8]}", changes={"run": run.id})


def start_command(work: Work) -> Done:
    from console.training.toml_text import to_toml

    do = work.trigger.do
    recipe = to_toml(
        {"name": work.trigger.name, "command": do.command.replace("{", "{{").replace("}", "}}"),
         "experiment": do.experiment, "workdir": do.workdir}
    )  # fmt: skip
    run = start(recipe, work)
    return Done(said=f"run {run.name} {run.id[:8]}", changes={"run": run.id})


def wait(work: Work) -> Done | End | Wait:
    """Until the run has ended; past a limit it is stopped first."""
    runs = work.backend.need("runs")
    run: Run = runs.get(work.firing.run)
    over = overspent(work.trigger, run)
    if over and run.status is not RunStatus.STOPPING:
        from console.training.start import stop_run

        try:
            stop_run(work.backend, run.id, msgspec.structs.replace(work.mutation(f"stop:{run.id}"), reason=over))
        except Conflict:  # it ended by itself meanwhile
            return Wait()
        return Wait(changes={"reason": f"stopped: {over}"})
    if not run.status.ended:
        return Wait()
    if run.status is RunStatus.FINISHED:
        return Done(said=f"run {run.name} {run.id[:8]} finished")
    if run.status is RunStatus.FAILED:
        from console.training.command_run import attempt_again

        again = attempt_again(work.backend, run)
        if again is not None:
            return Done(said=f"run {run.id[:8]} failed, tried again", changes={"run": again.id, "step": "wait"})
    why = work.firing.reason if work.firing.reason.startswith("stopped: ") else run.reason
    return End(state=FiringState.FAILED, reason=f"run {run.name} {run.id[:8]} is {run.status}: {why or 'no reason'}")


RUN: tuple[tuple[str, Step], ...] = (("start", start_recipe), ("wait", wait))
COMMAND: tuple[tuple[str, Step], ...] = (("start", start_command), ("wait", wait))
