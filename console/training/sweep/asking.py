"""The next parameters, and whether a trial is worth going on with: optuna's samplers and pruners, asked afresh each
time from what the store holds.

A sampler's randomness is seeded by the sweep's seed and the trial's number. What is asked next therefore depends on the
trials alone, and a controller that begins in the middle asks what an unbroken one would have asked.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from console.training.sweep.goal import lower_is_better
from console.training.sweep.space import Dimension, SweepPlan, Value, applies, grid_of
from console.training.sweep.trials import Trial

optuna.logging.set_verbosity(optuna.logging.WARNING)


def ask(plan: SweepPlan, primary: str, trials: Sequence[Trial], number: int) -> dict[str, Value] | None:
    """The parameters of trial `number`; None where a grid has no more."""
    if plan.sampler == "grid":
        return next(itertools.islice(grid_of(plan), number, None), None)
    study = _study(plan, primary, trials, number)
    trial = study.ask()
    params: dict[str, Value] = {}
    for name, each in plan.space.items():
        if applies(plan, name, params):
            params[name] = _suggest(trial, name, each)
    return params


def hopeless(
    plan: SweepPlan, primary: str, trials: Sequence[Trial], courses: Mapping[str, Sequence[float]], running: Trial
) -> bool:
    """Whether the pruner would end a running trial. courses: run → the primary metric after each stage so far."""
    course = list(courses.get(running.run, ()))
    if plan.pruner == "none" or not course:
        return False
    study = _study(plan, primary, [t for t in trials if t.run != running.run], running.number, courses)
    frozen = optuna.trial.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        params=running.params,
        distributions=_distributions(plan, running.params),
        intermediate_values=dict(enumerate(course, 1)),
    )
    frozen.number = running.number
    frozen._trial_id = running.number
    return bool(_pruner(plan).prune(study, frozen))


def _study(
    plan: SweepPlan,
    primary: str,
    trials: Sequence[Trial],
    number: int,
    courses: Mapping[str, Sequence[float]] | None = None,
) -> Any:
    direction = "minimize" if lower_is_better(plan, primary) else "maximize"
    study = optuna.create_study(direction=direction, sampler=_sampler(plan, number), pruner=_pruner(plan))
    states = optuna.trial.TrialState
    for trial in trials:
        course = dict(enumerate((courses or {}).get(trial.run, ()), 1))
        value: float | None = trial.value
        if trial.complete:
            state = states.COMPLETE
        elif trial.pruned and course:
            state, value = states.PRUNED, list(course.values())[-1]
        elif trial.status.ended:
            state = states.FAIL
        else:
            state = states.RUNNING
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=value,
                params=trial.params,
                distributions=_distributions(plan, trial.params),
                intermediate_values=course,
            )
        )
    return study


def _sampler(plan: SweepPlan, number: int) -> Any:
    seed = int.from_bytes(hashlib.sha256(f"{plan.seed} {number}".encode()).digest()[:4], "little")
    if plan.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def _pruner(plan: SweepPlan) -> Any:
    if plan.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    if plan.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=10, reduction_factor=3)
    return optuna.pruners.NopPruner()


def _suggest(trial: Any, name: str, each: Dimension) -> Value:
    found: Value = trial._suggest(name, _distribution(each))
    return found


def _distributions(plan: SweepPlan, params: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _distribution(plan.space[name]) for name in params if name in plan.space}


def _distribution(each: Dimension) -> Any:
    if each.choices:
        return optuna.distributions.CategoricalDistribution(each.choices)
    low, high = each.low or 0, each.high or 0
    if each.whole:
        return optuna.distributions.IntDistribution(int(low), int(high), log=each.log, step=int(each.step or 1))
    return optuna.distributions.FloatDistribution(float(low), float(high), log=each.log, step=each.step)


def importance(plan: SweepPlan, primary: str, trials: Sequence[Trial], seed: int = 0) -> dict[str, float]:
    """parameter → share of the metric's variance that it explains, the largest first; empty below ten trials.

    Source: Hutter, Hoos & Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014.
    """
    done = [trial for trial in trials if trial.complete]
    shared = [name for name in plan.space if all(name in trial.params for trial in done)]
    if len(done) < 10 or not shared or len({trial.value for trial in done}) < 2:
        return {}
    study = _study(plan, primary, done, 0)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    return dict(optuna.importance.get_param_importances(study, params=shared, evaluator=evaluator))
