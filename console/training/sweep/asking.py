"""The next parameters, and whether a trial is worth going on with: optuna's samplers and pruners, asked afresh each
time from what the store holds.

A sampler's randomness is seeded by the sweep's seed and the trial's number. What is asked next therefore depends on the
trials alone, and a controller that begins in the middle asks what an unbroken one would have asked.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from console.training.sweep.goal import lower_is_better
from console.training.sweep.space import Dimension, SweepPlan, Value, applies, grid_of
from console.training.sweep.trials import Trial

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Adviser:
    """A study that grows with its sweep: what a trial said is told to optuna once, in the order of the numbers.

    Made anew from the same trials it gives the same advice.
    """

    def __init__(self, plan: SweepPlan, primary: str) -> None:
        self._plan = plan
        self._direction = "minimize" if lower_is_better(plan, primary) else "maximize"
        self._pruner = _pruner(plan)
        self._begin()

    def _begin(self) -> None:
        # Hyperband takes a trial's bracket from the study's name and the trial's number.
        self.study = optuna.create_study(study_name="sweep", direction=self._direction, pruner=self._pruner)
        self._told: list[_Told] = []

    def ask(
        self, trials: Sequence[Trial], number: int, courses: Mapping[str, Sequence[float]] | None = None
    ) -> dict[str, Value] | None:
        """The parameters of trial `number`; None where a grid has no more."""
        plan = self._plan
        if plan.sampler == "grid":
            return next(itertools.islice(grid_of(plan), number, None), None)
        self._catch_up(trials, courses or {})
        sampler, kept = _sampler(plan, number), getattr(self.study.sampler, "_search_space", None)
        if kept is not None and hasattr(sampler, "_search_space"):
            sampler._search_space = kept  # else every trial is gone through again for what they have in common
        self.study.sampler = sampler
        trial = self.study.ask()
        params: dict[str, Value] = {}
        for name, each in plan.space.items():
            if applies(plan, name, params):
                params[name] = _suggest(trial, name, each)
        self._told.append(_Told(trial._trial_id, params))
        return params

    def hopeless(self, trials: Sequence[Trial], courses: Mapping[str, Sequence[float]], running: Trial) -> bool:
        """Whether the pruner would end a running trial. courses: run → the primary metric after each stage so far."""
        if self._plan.pruner == "none":
            return False
        self._catch_up(trials, courses)
        at = next((at for at, trial in enumerate(trials) if trial.run == running.run), None)
        return at is not None and self._told[at].hopeless

    def _catch_up(self, trials: Sequence[Trial], courses: Mapping[str, Sequence[float]]) -> None:
        known = zip(self._told, trials, strict=False)
        if len(self._told) > len(trials) or any(t.run not in ("", e.run) or t.params != e.params for t, e in known):
            self._begin()  # something was deleted, or could not be begun
        for at, trial in enumerate(trials):
            if at == len(self._told):
                self._add(trial)
            told = self._told[at]
            told.run = trial.run
            if not told.ended:
                self._report(told, courses.get(trial.run, ()))
            if trial.status.ended and not told.ended:
                self._end(told, trial)

    def _add(self, trial: Trial) -> None:
        at = len(self._told)
        self.study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=trial.params,
                distributions=_distributions(self._plan, trial.params),
            )
        )
        self._told.append(_Told(self.study.get_trials(deepcopy=False)[at]._trial_id, trial.params, trial.run))

    def _report(self, told: _Told, course: Sequence[float]) -> None:
        """Each stage by itself: successive halving compares trials at the same stage."""
        storage = self.study._storage
        while told.stages < len(course):
            told.stages += 1
            told.last = course[told.stages - 1]
            storage.set_trial_intermediate_value(told.id, told.stages, told.last)
            if self._plan.pruner != "none":
                told.hopeless = bool(self._pruner.prune(self.study, storage.get_trial(told.id)))

    def _end(self, told: _Told, trial: Trial) -> None:
        states, told.ended = optuna.trial.TrialState, True
        if trial.complete:
            state, values = states.COMPLETE, [trial.value]
        elif trial.pruned and told.stages:
            state, values = states.PRUNED, [told.last]
        else:
            state, values = states.FAIL, None
        self.study._storage.set_trial_state_values(told.id, state, values)


@dataclass
class _Told:
    """What the study knows of a trial."""

    id: int
    params: Mapping[str, Value]
    run: str = ""
    """Empty until it is begun."""
    stages: int = 0
    last: float = 0.0
    """The metric after the latest stage."""
    hopeless: bool = False
    ended: bool = False


def ask(plan: SweepPlan, primary: str, trials: Sequence[Trial], number: int) -> dict[str, Value] | None:
    """As `Adviser.ask`, of one who knows nothing yet."""
    return Adviser(plan, primary).ask(trials, number)


def hopeless(
    plan: SweepPlan, primary: str, trials: Sequence[Trial], courses: Mapping[str, Sequence[float]], running: Trial
) -> bool:
    """As `Adviser.hopeless`, of one who knows nothing yet."""
    others = [trial for trial in trials if trial.run != running.run]
    return Adviser(plan, primary).hopeless([*others, running], courses, running)


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
    adviser = Adviser(plan, primary)
    adviser._catch_up(done, {})
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    shares = optuna.importance.get_param_importances(adviser.study, params=shared, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}  # numpy's own float is no JSON
