"""What a sweep asks next: within its space, the same after a break, as well as optuna by itself; what ends it."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from backends.contract import Invalid
from backends.entities import RunStatus
from console.training.recipe import parse_recipe
from console.training.sweep.asking import Adviser, _pruner, _sampler, ask, hopeless, importance
from console.training.sweep.space import Dimension, SweepPlan, grid_of, points_of
from console.training.sweep.trials import Trial, best_of, since_best

BASE = 'dataset = "d"\ntarget = "y"\ntask = "regression"\n[estimator]\nclass = "sklearn.linear_model.X"\n[sweep]\n'
SPACE = {
    "a": Dimension(low=-5.0, high=5.0),
    "n": Dimension(low=1, high=9),
    "kind": Dimension(choices=("u", "v")),
    "extra": Dimension(low=0.001, high=1.0, log=True, when="kind = 'v' and n > 3"),
}


def loss(params: dict[str, Any]) -> float:
    """The least at a = 2, n = 4, kind = v, extra small."""
    return float((params["a"] - 2) ** 2 + abs(params["n"] - 4) + (params.get("kind") == "u") + params.get("extra", 1.0))


def done(number: int, params: dict[str, Any], value: float | None, **more: Any) -> Trial:
    status = RunStatus.FINISHED if value is not None else more.pop("status", RunStatus.FAILED)
    return Trial(number=number, run=f"r{number}", name="", status=status, params=params, value=value, **more)


def swept(plan: SweepPlan, count: int, start: list[Trial] | None = None) -> list[Trial]:
    trials, adviser = list(start or []), Adviser(plan, "rmse")
    for number in range(len(trials), count):
        params = adviser.ask(trials, number)
        assert params is not None
        trials.append(done(number, params, loss(params)))
    return trials


def test_every_trial_is_within_the_space_and_conditions_hold() -> None:
    for sampler in ("tpe", "random"):
        for trial in swept(SweepPlan(space=SPACE, sampler=sampler), 40):
            assert -5 <= trial.params["a"] <= 5
            assert trial.params["n"] in range(1, 10)
            assert ("extra" in trial.params) == (trial.params["kind"] == "v" and trial.params["n"] > 3)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_sweep_broken_off_anywhere_goes_on_as_if_unbroken(sampler: Any) -> None:
    plan = SweepPlan(space={"a": SPACE["a"], "n": SPACE["n"]}, sampler=sampler, seed=3)
    whole = swept(plan, 25)
    for cut in (1, 10, 24):
        assert swept(plan, 25, whole[:cut]) == whole


def test_tpe_does_as_well_as_optuna_by_itself_and_better_than_chance() -> None:
    ours, theirs, chance = [], [], []
    for seed in range(6):
        ours.append(min(t.value for t in swept(SweepPlan(space=SPACE, seed=seed), 30) if t.value is not None))
        chance.append(min(t.value for t in swept(SweepPlan(space=SPACE, seed=seed, sampler="random"), 30) if t.value))
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))

        def objective(trial: Any) -> float:
            params = {
                "a": trial.suggest_float("a", -5, 5), "n": trial.suggest_int("n", 1, 9),
                "kind": trial.suggest_categorical("kind", ["u", "v"]),
            }  # fmt: skip
            if params["kind"] == "v" and params["n"] > 3:
                params["extra"] = trial.suggest_float("extra", 0.001, 1.0, log=True)
            return loss(params)

        study.optimize(objective, n_trials=30)
        theirs.append(study.best_value)
    spread = np.std(theirs, ddof=1) / np.sqrt(len(theirs)) + np.std(ours, ddof=1) / np.sqrt(len(ours))
    assert np.mean(ours) < np.mean(theirs) + 2 * spread
    assert np.mean(ours) < np.mean(chance)


@pytest.mark.parametrize("pruner", ["none", "median", "hyperband"])
def test_one_trial_after_another_is_what_a_study_of_optuna_s_own_tries_and_prunes(pruner: Any) -> None:
    """Nothing is lost on the way through the store: the same sampler, seeded alike, in one living study."""
    plan = SweepPlan(space={"a": SPACE["a"], "n": SPACE["n"]}, seed=5, pruner=pruner)
    study = optuna.create_study(study_name="sweep", direction="minimize", pruner=_pruner(plan))
    theirs: list[tuple[Any, int]] = []
    for number in range(25):
        study.sampler = _sampler(plan, number)
        trial = study.ask()
        params = {"a": trial.suggest_float("a", -5, 5), "n": trial.suggest_int("n", 1, 9)}
        course = [loss(params) + 8 / stage for stage in range(1, 10)]
        stages = 0
        for stage, value in enumerate(course, 1):
            trial.report(value, stage)
            stages = stage
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, loss(params))
        theirs.append((params, stages))
    ours: list[tuple[Any, int]] = []
    trials: list[Trial] = []
    courses: dict[str, list[float]] = {}
    adviser = Adviser(plan, "rmse")
    for number in range(25):
        if number % 5 == 0:
            adviser = Adviser(plan, "rmse")  # another controller
        asked = adviser.ask(trials, number, courses)
        assert asked is not None
        running = Trial(number=number, run=f"r{number}", name="", status=RunStatus.RUNNING, params=asked)
        course = [loss(asked) + 8 / stage for stage in range(1, 10)]
        for stage in range(1, 10):
            courses[running.run] = course[:stage]
            if adviser.hopeless([*trials, running], courses, running):
                trials.append(done(number, asked, None, status=RunStatus.STOPPED, pruned=True))
                break
        else:
            trials.append(done(number, asked, loss(asked)))
        ours.append((asked, len(courses[running.run])))
    assert ours == theirs
    assert (min(stages for _, stages in ours) < 9) == (pruner != "none")


def test_a_grid_is_every_combination_once() -> None:
    plan = SweepPlan(
        space={
            "a": Dimension(low=0.0, high=1.0, points=3), "kind": SPACE["kind"],
            "extra": Dimension(choices=(1, 2), when="kind = 'v'"),
        },
        sampler="grid",
    )  # fmt: skip
    found = list(grid_of(plan))
    assert len(found) == 3 * (1 + 2) == len({repr(each) for each in found})
    assert [ask(plan, "rmse", [], at) for at in range(9)] == found
    assert ask(plan, "rmse", [], 9) is None


@pytest.mark.parametrize(
    ("dimension", "wanted"),
    [
        (Dimension(low=1, high=4), [1, 2, 3, 4]),
        (Dimension(low=1, high=10, step=3), [1, 4, 7, 10]),
        (Dimension(low=0.0, high=1.0, step=0.25), [0.0, 0.25, 0.5, 0.75, 1.0]),
        (Dimension(low=0.01, high=1.0, log=True, points=3), [0.01, pytest.approx(0.1), 1.0]),
        (Dimension(low=1, high=1000, log=True, points=4), [1, 10, 100, 1000]),
        (Dimension(low=1, high=100), [1, 26, 50, 75, 100]),
        (Dimension(low=2.0, high=2.0), [2.0]),
    ],
)
def test_a_range_has_points(dimension: Dimension, wanted: list[Any]) -> None:
    assert points_of(dimension) == wanted


def test_a_trial_behind_the_others_is_hopeless_and_one_ahead_is_not() -> None:
    plan = SweepPlan(space={"a": SPACE["a"]}, pruner="median")
    trials = [done(at, {"a": 0.0}, 1.0) for at in range(6)]
    courses: dict[str, list[float]] = {trial.run: [3.0, 2.0, 1.0] for trial in trials}
    running = done(6, {"a": 1.0}, None, status=RunStatus.RUNNING)
    assert hopeless(plan, "rmse", trials, courses | {"r6": [9.0, 8.0]}, running)
    assert not hopeless(plan, "rmse", trials, courses | {"r6": [2.0, 1.5]}, running)
    assert not hopeless(plan, "rmse", trials, courses | {"r6": []}, running)
    assert hopeless(plan, "auc", trials, courses | {"r6": [0.1, 0.1]}, running), "of auc more is better"


def test_what_mattered_is_told() -> None:
    trials = swept(SweepPlan(space={"a": SPACE["a"], "n": SPACE["n"]}, sampler="random"), 40)
    found = importance(SweepPlan(space={"a": SPACE["a"], "n": SPACE["n"]}), "rmse", trials)
    assert found["a"] > 0.7 > found["n"]
    assert sum(found.values()) == pytest.approx(1.0)
    assert {type(share) for share in found.values()} == {float}, "it is told as JSON"
    assert importance(SweepPlan(space=SPACE), "rmse", trials[:5]) == {}


def test_the_best_and_how_long_nothing_was_better() -> None:
    trials = [done(0, {}, 3.0), done(1, {}, 1.0), done(2, {}, 1.0), done(3, {}, None), done(4, {}, 2.0)]
    best = best_of(trials, "rmse")
    assert best is not None
    assert (best.number, since_best(trials, "rmse")) == (1, 3)
    most = best_of(trials, "auc")
    assert most is not None
    assert most.number == 0
    assert best_of([], "rmse") is None


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("trials = 3", "is empty; name at least one"),
        ("trials = 0\n[sweep.space.a]\nlow = 1\nhigh = 2", "wanted 1 to"),
        ("[sweep.space.a]\nlow = 1", "wanted choices, or low and high"),
        ("[sweep.space.a]\nlow = 3\nhigh = 2", "goes from 3 to 2"),
        ("[sweep.space.a]\nlow = 0\nhigh = 2\nlog = true", "low above 0"),
        ("[sweep.space.a]\nlow = 1\nhigh = 2\nchoices = [1]", "not both"),
        ("[sweep.space.a]\nchoices = [1, 1]", "a choice twice"),
        ("[sweep.space.a]\nlow = 1\nhigh = 2\nwhen = \"b > 1\"", "there is no column b"),
        ("[sweep.space.a]\nlow = 1\nhigh = 2\nwhen = \"1 > 2\"", "no condition .* ever holds"),
        (
            "[sweep.space.a]\nlow = 1\nhigh = 2\nwhen = \"b > 1\"\n"
            "[sweep.space.b]\nlow = 1\nhigh = 2\nwhen = \"a > 1\"",
            "there is no column b.*it may read the parameters before it",
        ),
        ("[sweep.space.a]\nlow = 1\nhigh = 2\ntype = \"whole\"", "'whole' is not known"),
        ("[sweep.space.a]\nlow = 1\nhihg = 2", "hihg"),
        ("sampler = \"tpa\"\n[sweep.space.a]\nlow = 1\nhigh = 2", "did you mean 'tpe'"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_told(lines: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        parse_recipe(BASE + lines, "r.toml")
