"""Start, pause, resume and sum up sweeps. Light: the controller imports what samples."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from backends.connect import place_of
from backends.contract import Backend, BackendError, Conflict, Invalid, Mutation
from backends.entities import DatasetInput, LaunchSpec, Record, Run, RunStatus
from console.training.admit import admit
from console.training.command import inherited, keep_texts
from console.training.command_recipe import CommandRecipe, is_command
from console.training.command_run import program_of, settled
from console.training.feature_set import pin_features
from console.training.flags import stalled_tag
from console.training.job import RECIPE
from console.training.measured import PRIMARY_TAG
from console.training.needs import check_fits
from console.training.recipe import check_columns, flat_params
from console.training.start import recipe_of, worker_environment
from console.training.sweep.controller import SweepJob
from console.training.sweep.goal import any_recipe, lower_is_better, override_any
from console.training.sweep.space import SweepPlan
from console.training.sweep.trials import PAUSED, SWEEP, Trial, best_of, trials_of
from console.training.toml_text import param_text

RESUMES = "console.resumes"


class SweepState(Record, frozen=True, kw_only=True):
    """A sweep with what it found so far."""

    run: Run
    plan: SweepPlan
    primary: str
    lower_is_better: bool
    trials: tuple[Trial, ...]
    """The best first, then those without a result, by number."""
    best: Trial | None = None
    paused: bool = False


def start_sweep(
    backend: Backend,
    recipe_text: str,
    mutation: Mutation,
    *,
    overrides: Mapping[str, Any] | None = None,
    source: str = "recipe",
    name: str = "",
    origin: str = "",
    resumes: Run | None = None,
) -> Run:
    """A sweep over the space in the recipe's `[sweep]` table, under a run of its own. `origin` is the recipe's file."""
    runs, launcher = backend.need("runs"), backend.need("launcher")
    text = override_any(recipe_text, overrides or {}, source)
    if not is_command(text):
        text = pin_features(backend, text, source)
    recipe = any_recipe(text, source)
    if recipe.sweep is None:
        raise Invalid(f"{source}: there is no [sweep] in it; say what is searched under [sweep.space.NAME].", "sweep")
    check_fits(backend, recipe.needs.needs)
    for key in recipe.sweep.space:
        _first_value(text, recipe.sweep, key, source)
    version = backend.need("datasets").version(recipe.dataset) if recipe.dataset else None
    if version is not None:
        if not isinstance(recipe, CommandRecipe):
            check_columns(recipe, version.columns, version.ref)
        admit(backend, version, mutation)
        # Every trial trains on the very version that was there when the sweep began.
        text = override_any(text, {"dataset": version.ref}, source)
    text = override_any(text, {"register": ""}, source)
    if isinstance(recipe, CommandRecipe):
        text = settled(text, origin, source)
        program_of(text, source)
        params = {key: param_text(each.default) for key, each in recipe.params.items() if each.default is not None}
    else:
        params = flat_params(recipe)
    run: Run = runs.create(
        name=name or f"{recipe.name or (version.dataset if version else 'command')} sweep",
        experiment=recipe.experiment,
        params={key: value for key, value in params.items() if key not in recipe.sweep.space},
        tags={
            SWEEP: "1",
            PRIMARY_TAG: recipe.primary(),
            **stalled_tag(0.0),
            **({RESUMES: resumes.id} if resumes else {}),
        },
        inputs=[]
        if version is None
        else [DatasetInput(dataset=version.dataset, version=version.version, digest=version.digest)],
        mutation=mutation,
    )
    if run.status is not RunStatus.QUEUED:
        return run  # the same key came again
    if resumes is not None:
        for trial in trials_of(backend, resumes.id, recipe.primary()):
            runs.set_parent(trial.run, run.id)
    try:
        keep_texts(backend, run.id, {RECIPE: text})
        job = SweepJob(
            place=place_of(backend), sweep=run.id, actor=mutation.actor, root=_first_of(backend, run),
            environ=inherited(os.environ), launcher=backend.launches_on,
        )  # fmt: skip
        launcher.submit(
            LaunchSpec(
                run=run.id,
                argv=(sys.executable, "-m", "console.training.sweep.controller"),
                env=worker_environment(1, recipe.sweep.seed),
                files={RECIPE: text, "sweep.json": msgspec.json.encode(job).decode()},
                control=True,
                grace_s=20.0,
            ),
            mutation,
        )
    except BackendError as error:
        runs.end(run.id, RunStatus.FAILED, reason=f"it could not be launched: {error}")
        raise
    found: Run = runs.get(run.id)
    return found


def _first_of(backend: Backend, sweep: Run) -> str:
    """Id of the sweep that this one goes on with, back to the first."""
    while sweep.tags.get(RESUMES):
        sweep = backend.need("runs").get(sweep.tags[RESUMES])
    return sweep.id


def _first_value(text: str, plan: SweepPlan, key: str, source: str) -> None:
    """Invalid where a parameter of the space cannot be set in the recipe."""
    each = plan.space[key]
    value = each.choices[0] if each.choices else each.low
    override_any(text, {key: msgspec.json.encode(value).decode()}, f"{source}: sweep.space.{key}")


def resume_sweep(backend: Backend, sweep: Run, mutation: Mutation, *, trials: int | None = None) -> Run:
    """Go on with a sweep that is paused, or that has ended too early; then as a new run that takes its trials over."""
    _is_sweep(sweep)
    runs = backend.need("runs")
    if not sweep.status.ended:
        if PAUSED not in sweep.tags:
            raise Conflict(f"sweep {sweep.name} ({sweep.id[:4]}) is {sweep.status.value}; there is nothing to resume.")
        runs.set_tags(sweep.id, {PAUSED: None}, mutation)
        found: Run = runs.get(sweep.id)
        return found
    overrides = {"sweep.trials": str(trials)} if trials is not None else {}
    state = sweep_state(backend, sweep)
    if trials is None and len(state.trials) >= state.plan.trials:
        raise Conflict(
            f"sweep {sweep.name} ({sweep.id[:4]}) has tried its {state.plan.trials} trials; give more with --trials."
        )
    return start_sweep(
        backend, recipe_of(backend, sweep), mutation, overrides=overrides, name=sweep.name, resumes=sweep,
        source=f"recipe of sweep {sweep.id[:4]}",
    )  # fmt: skip


def pause_sweep(backend: Backend, sweep: Run, mutation: Mutation) -> Run:
    """No further trial is begun; those that run go on."""
    _is_sweep(sweep)
    if sweep.status.ended:
        raise Conflict(f"sweep {sweep.name} ({sweep.id[:4]}) is {sweep.status.value}; there is nothing to pause.")
    backend.need("runs").set_tags(sweep.id, {PAUSED: "1"}, mutation)
    found: Run = backend.need("runs").get(sweep.id)
    return found


def sweep_state(backend: Backend, sweep: Run) -> SweepState:
    """What it tried, the best first."""
    _is_sweep(sweep)
    recipe = any_recipe(recipe_of(backend, sweep), f"recipe of sweep {sweep.id[:4]}")
    plan = recipe.sweep or SweepPlan()
    primary = recipe.primary()
    trials = trials_of(backend, sweep.id, primary)
    lower = lower_is_better(plan, primary)
    ordered = sorted(
        trials, key=lambda t: (t.value is None, (t.value or 0.0) if lower else -(t.value or 0.0), t.number)
    )
    return SweepState(
        run=sweep, plan=plan, primary=primary, lower_is_better=lower, trials=tuple(ordered),
        best=best_of(trials, primary, plan), paused=PAUSED in sweep.tags,
    )  # fmt: skip


def _is_sweep(run: Run) -> None:
    if SWEEP not in run.tags:
        raise Invalid(f"run {run.name} ({run.id[:4]}) is no sweep; `sweep list` names them.", "sweep")
