"""Sweeps beside optuna: `python -m tests.bench.bench_sweep [pruning]`.

What a trial costs beside its own work, ours and a study of optuna's own on SQLite in the same run; what both find with
the same sampler and budget over several seeds; with `pruning`, how much of the training of a learner in stages on real
data a pruner saves.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna

from tests.instant import Instant, begun, found, loss, recipe, work

TRIALS = 40
SEEDS = 10
OVERHEAD_MS = 20.0
SAVED = 1 / 3


def ours(home: Path, trials: int, seed: int) -> tuple[float, float, float]:
    """(milliseconds of wall and of CPU a trial, the best loss) of our controller over the embedded store."""
    text = recipe(trials, seed=seed)
    sweep = begun(home, text)
    began, began_cpu = time.perf_counter(), time.process_time()
    work(home, sweep, text)
    spent, spent_cpu = time.perf_counter() - began, time.process_time() - began_cpu
    best = min(trial.value for trial in found(home, sweep) if trial.value is not None)
    return spent / trials * 1e3, spent_cpu / trials * 1e3, best


def theirs(storage: str | None, trials: int, seed: int) -> tuple[float, float, float]:
    """The same of optuna by itself."""

    def objective(trial: Any) -> float:
        return loss(
            {
                "a": trial.suggest_float("a", -5, 5),
                "n": trial.suggest_int("n", 1, 9),
                "kind": trial.suggest_categorical("kind", ["u", "v"]),
            }
        )

    study = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler(seed=seed))
    began, began_cpu = time.perf_counter(), time.process_time()
    study.optimize(objective, n_trials=trials)
    spent, spent_cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return spent / trials * 1e3, spent_cpu / trials * 1e3, study.best_value


def overhead(home: Path) -> None:
    """Ours has everything in it but the training: the run, its recipe, its launch, its metric and its end stored."""
    ours(home / "warm", 3, 0)
    asked = _asking(TRIALS)
    Instant.spent = 0.0
    wall, cpu, _ = ours(home / "ours", TRIALS, 1)
    tried = Instant.spent / TRIALS * 1e3
    sqlite = theirs(f"sqlite:///{home}/optuna.db", TRIALS, 1)
    memory = theirs(None, TRIALS, 1)
    print(f"{'a trial beside its training, ms':<44}{'wall':>8}{'CPU':>8}")
    controller = cpu - tried
    print(f"{'ours, run stored, launched, measured, ended':<44}{wall:>8.1f}{cpu:>8.1f}")
    print(f"{'  of which the controller':<44}{'':>8}{controller:>8.1f}   budget {OVERHEAD_MS:g}")
    print(f"{'  of which asking':<44}{'':>8}{asked:>8.1f}")
    print(f"{'optuna, SQLite':<44}{sqlite[0]:>8.1f}{sqlite[1]:>8.1f}")
    print(f"{'optuna, nothing stored':<44}{memory[0]:>8.1f}{memory[1]:>8.1f}", flush=True)


def _asking(trials: int) -> float:
    """Milliseconds of CPU for the parameters of one trial."""
    from backends.entities import RunStatus
    from console.training.sweep.asking import Adviser
    from console.training.sweep.goal import any_recipe
    from console.training.sweep.trials import Trial

    plan = any_recipe(recipe(trials)).sweep
    assert plan is not None
    adviser, tried = Adviser(plan, "loss"), []
    began = time.process_time()
    for number in range(trials):
        params = adviser.ask(tried, number)
        assert params is not None
        tried.append(
            Trial(
                number=number, run=str(number), name="", status=RunStatus.FINISHED, params=params, value=loss(params)
            )
        )  # fmt: skip
    return (time.process_time() - began) / trials * 1e3


def found_by_both(home: Path) -> None:
    mine = [ours(home / f"seed-{seed}", 30, seed)[2] for seed in range(SEEDS)]
    other = [theirs(None, 30, seed)[2] for seed in range(SEEDS)]
    print(f"best loss after 30 trials, mean of {SEEDS} seeds (standard error)")
    for name, values in (("ours", mine), ("optuna", other)):
        error = statistics.stdev(values) / len(values) ** 0.5
        print(f"  {name:<42}{statistics.mean(values):>8.3f} ({error:.3f})", flush=True)


def pruning() -> None:
    """Digits (1 797 rows, real handwriting), a linear classifier fitted by passes: validation loss after each of them.

    Time is passes over the data: each costs the same, and it does not move with the load of the machine.
    """
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import log_loss
    from sklearn.model_selection import train_test_split

    from backends.entities import RunStatus
    from console.training.sweep.asking import Adviser
    from console.training.sweep.space import Dimension, SweepPlan
    from console.training.sweep.trials import Trial

    x, y = load_digits(return_X_y=True)
    fit_x, held_x, fit_y, held_y = train_test_split(x / 16, y, random_state=0, stratify=y)
    passes, trials = 12, 24
    space = {
        "alpha": Dimension(low=1e-6, high=1e-1, log=True),
        "eta0": Dimension(low=1e-4, high=1.0, log=True),
        "penalty": Dimension(choices=("l1", "l2", "elasticnet")),
    }
    print(f"digits, {trials} trials of {passes} passes each")
    whole = 0
    for pruner in ("none", "median", "hyperband"):
        plan = SweepPlan(space=space, pruner=pruner, seed=2, trials=trials)  # type: ignore[arg-type]
        adviser, tried, spent = Adviser(plan, "log_loss"), [], 0
        courses: dict[str, list[float]] = {}
        began = time.process_time()
        for number in range(trials):
            params = adviser.ask(tried, number, courses)
            assert params is not None
            model = SGDClassifier(loss="log_loss", learning_rate="constant", random_state=0, **params)
            run = f"r{number}"
            courses[run], ended = [], False
            trial = Trial(number=number, run=run, name="", status=RunStatus.RUNNING, params=params)
            for _ in range(passes):
                order = np.random.default_rng(len(courses[run])).permutation(len(fit_y))
                model.partial_fit(fit_x[order], fit_y[order], classes=np.arange(10))
                spent += 1
                courses[run].append(float(log_loss(held_y, model.predict_proba(held_x))))
                if adviser.hopeless([*tried, trial], courses, trial):
                    ended = True
                    break
            value = None if ended else courses[run][-1]
            status = RunStatus.STOPPED if ended else RunStatus.FINISHED
            tried.append(
                Trial(number=number, run=run, name="", status=status, params=params, value=value, pruned=ended)
            )  # fmt: skip
        best = min(trial.value for trial in tried if trial.value is not None)
        whole = whole or spent
        print(
            f"  {pruner:<12}{spent:>6} passes, {1 - spent / whole:>5.0%} saved (budget {SAVED:.0%}), best log loss "
            f"{best:.4f}, {time.process_time() - began:.1f} s CPU",
            flush=True,
        )


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        overhead(Path(folder))
        found_by_both(Path(folder))
    pruning()


if __name__ == "__main__":
    if sys.argv[1:] == ["pruning"]:
        pruning()
    else:
        main()
