"""A sweep's controller, killed anywhere and begun again, tries what an unbroken one would have tried."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from backends.contract import BackendError, Mutation
from backends.entities import Run, RunStatus
from backends.local import open_local
from console.training.sweep.trials import NUMBER
from tests.instant import ME, begun, found, killed_after, loss, process, recipe, work

TRIALS = 12


def tried(home: Path, sweep: Run) -> list[tuple[int, dict[str, object], float | None]]:
    return [(trial.number, dict(trial.params), trial.value) for trial in found(home, sweep)]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, dict[str, object], float | None]]:
    home = tmp_path_factory.mktemp("unbroken")
    sweep = begun(home, recipe(TRIALS))
    assert work(home, sweep, recipe(TRIALS)) == f"{TRIALS} trials were tried"
    whole = tried(home, sweep)
    assert [number for number, _, _ in whole] == list(range(TRIALS))
    assert all(value == loss(params) for _, params, value in whole)
    return whole


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_and_begun_again_it_tries_the_same(
    seed: int, tmp_path: Path, unbroken: list[tuple[int, dict[str, object], float | None]]
) -> None:
    chance = random.Random(seed)
    sweep, text, kills = begun(tmp_path, recipe(TRIALS)), recipe(TRIALS), 0
    root = sweep
    while True:
        # Two kills come by what was done, not by the clock: a fast machine tries all in a quarter of a second.
        longest = 0.02 if kills < 2 else 0.25
        seconds = chance.uniform(0.0, longest) if kills < 12 else 60.0
        if killed_after(seconds, tmp_path, sweep, text, root.id, of_trial=kills < 2):
            break
        kills += 1
        assert kills < 16, "the last ones had a minute each"
        if kills % 2:
            sweep = begun(tmp_path, text, resumes=sweep)
    assert kills > 1
    assert tried(tmp_path, sweep) == unbroken


@pytest.mark.parametrize("moment", ["submitted", "started", "ended"])
def test_killed_between_making_a_trial_and_submitting_it_the_trial_is_still_tried(
    moment: str, tmp_path: Path, unbroken: list[tuple[int, dict[str, object], float | None]]
) -> None:
    text = recipe(TRIALS)
    sweep = begun(tmp_path, text)
    child = process(tmp_path, sweep, text, dies=moment, at=4)
    child.join(120)
    assert child.exitcode == -9
    if moment == "started":  # its supervisor lives on and ends it
        backend = open_local(tmp_path)
        (left,) = (trial for trial in found(tmp_path, sweep) if not trial.status.ended)
        backend.need("runs").end(left.run, RunStatus.LOST, reason="its machine went down")
        backend.close()
    resumed = begun(tmp_path, text, resumes=sweep)
    work(tmp_path, resumed, text, root=sweep.id)
    assert tried(tmp_path, resumed) == unbroken


def test_a_trial_that_its_machine_lost_is_tried_again_by_the_same_controller(
    tmp_path: Path, unbroken: list[tuple[int, dict[str, object], float | None]]
) -> None:
    text, lost = recipe(TRIALS), list[str]()
    sweep = begun(tmp_path, text)

    def loses(run: Run) -> bool:
        number = run.tags[NUMBER]
        if number in ("3", "7", "11") and lost.count(number) < 2:
            lost.append(number)
            return True
        return False

    assert work(tmp_path, sweep, text, loses=loses) == f"{TRIALS} trials were tried"
    assert tried(tmp_path, sweep) == unbroken
    assert lost == ["3", "3", "7", "7", "11", "11"]
    assert [trial.losses for trial in found(tmp_path, sweep)] == [2 if n in (3, 7, 11) else 0 for n in range(TRIALS)]


def test_a_trial_that_every_machine_loses_is_given_up_until_somebody_goes_on_with_the_sweep(tmp_path: Path) -> None:
    text, begins = recipe(4, sampler="random"), list[str]()
    sweep = begun(tmp_path, text)

    def loses(run: Run) -> bool:
        begins.append(run.tags[NUMBER])
        return run.tags[NUMBER] == "1"

    assert work(tmp_path, sweep, text, loses=loses) == "4 trials were tried"
    assert begins == ["0", "1", "1", "1", "1", "2", "3"]
    given_up = found(tmp_path, sweep)[1]
    assert (given_up.status, given_up.losses) == (RunStatus.LOST, 3)
    work(tmp_path, sweep, text)
    assert [trial.status for trial in found(tmp_path, sweep)] == [RunStatus.FINISHED] * 4
    always = begun(tmp_path, recipe(9))
    with pytest.raises(BackendError, match=r"first 5 trials failed.*went down"):
        work(tmp_path, always, recipe(9), loses=lambda _: True)


def test_a_deleted_trial_is_tried_again_and_the_sweep_ends(
    tmp_path: Path, unbroken: list[tuple[int, dict[str, object], float | None]]
) -> None:
    first, whole = recipe(6), recipe(TRIALS)
    sweep = begun(tmp_path, first)
    work(tmp_path, sweep, first)
    backend = open_local(tmp_path)
    for trial in found(tmp_path, sweep)[2:4]:
        backend.need("runs").delete(trial.run, Mutation(actor=ME.actor, reason="by mistake"))
    backend.close()
    work(tmp_path, sweep, whole)
    again = tried(tmp_path, sweep)
    assert [number for number, _, _ in again] == list(range(TRIALS))
    assert again[:2] == unbroken[:2]
    assert all(value == loss(params) for _, params, value in again)


def test_trials_that_another_sweep_took_over_are_not_waited_for(tmp_path: Path) -> None:
    text = recipe(5, sampler="random")
    sweep = begun(tmp_path, text)
    work(tmp_path, sweep, text)
    taker = begun(tmp_path, text, resumes=sweep)
    assert found(tmp_path, sweep) == []
    twin = begun(tmp_path, text, resumes=sweep)
    work(tmp_path, twin, text, root=sweep.id)
    assert tried(tmp_path, twin) == tried(tmp_path, taker)
    assert {t.run for t in found(tmp_path, twin)}.isdisjoint({t.run for t in found(tmp_path, taker)})
