"""Plots of a sweep as lines: within their room, where the numbers say, and readable as text; the form's texts."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from backends.entities import Progress, Run, RunStatus
from console.safe import cell_length
from console.training.sweep.begin import SweepState
from console.training.sweep.plots import HISTORY, IMPORTANCE, PARALLEL, kinds, plot
from console.training.sweep.space import Dimension, SweepPlan
from console.training.sweep.telling import (
    best_text,
    budget_text,
    counts_text,
    dimension_text,
    read_dimension,
    state_text,
)
from console.training.sweep.trials import PAUSED, Trial, best_of
from tests.hostile import HOSTILE

SPACE = {
    "lr": Dimension(low=0.01, high=1.0, log=True),
    "leaves": Dimension(low=2, high=31),
    "kind": Dimension(choices=("gini", "entropy", "log_loss")),
}


def state(values: list[float | None], *, lower: bool = True, **plan: Any) -> SweepState:
    chance = random.Random(1)
    trials = [
        Trial(
            number=at, run=f"r{at}", name="", value=value, pruned=value is None,
            status=RunStatus.STOPPED if value is None else RunStatus.FINISHED,
            params={
                "lr": 10 ** chance.uniform(-2, 0), "leaves": chance.randint(2, 31),
                "kind": chance.choice(SPACE["kind"].choices),
            },
        )
        for at, value in enumerate(values)
    ]  # fmt: skip
    made = SweepPlan(space=SPACE, **plan)
    run = Run(id="ab" * 16, name="s", status=RunStatus.RUNNING, experiment="default", created_at=1, created_by="me")
    primary = "rmse" if lower else "auc"
    return SweepState(
        run=run, plan=made, primary=primary, lower_is_better=lower, trials=tuple(trials),
        best=best_of(trials, primary, made),
    )  # fmt: skip


def text(found: SweepState, kind: str, width: int, height: int, **more: Any) -> list[str]:
    return ["".join(part for part, _ in spans) for spans in plot(found, kind, width, height, **more)]


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize(("width", "height"), [(24, 5), (50, 9), (80, 12), (118, 34), (200, 50)])
def test_every_plot_stays_in_its_room_and_is_the_same_twice(width: int, height: int, rich: bool) -> None:
    found = state([1 + 1 / (at + 1) if at % 7 else None for at in range(60)])
    for kind in kinds(found):
        lines = text(found, kind, width, height, shares={"lr": 0.7, "kind": 0.2, "leaves": 0.1}, rich=rich)
        assert len(lines) <= height, kind
        assert max(map(cell_length, lines)) <= width, kind
        assert lines == text(found, kind, width, height, shares={"lr": 0.7, "kind": 0.2, "leaves": 0.1}, rich=rich)
        if not rich:
            body = "".join(lines).replace("━", "").replace("…", "")
            assert set(body) - set("┤│└─█") <= {chr(code) for code in range(32, 127)}, kind


def test_history_has_each_trial_at_its_place_and_the_best_on_the_line() -> None:
    lines = text(state([5.0, 4.0, 6.0, 1.0, 2.0]), HISTORY, 64, 13)
    rows = [line.partition("┤")[2] or line.partition("│")[2] for line in lines[1:-2]]
    width = len(rows[0])
    spots = {(at, row) for row, line in enumerate(rows) for at, sign in enumerate(line) if sign in "•◆"}
    assert len(spots) == 5
    (star,) = [(at, row) for row, line in enumerate(rows) for at, sign in enumerate(line) if sign == "◆"]
    assert abs(star[0] - 3 / 4 * (width - 1)) <= 1, "the best is trial 3 of 0 to 4"
    assert star[1] == len(rows) - 1, "and the lowest"
    assert min(row for _, row in spots) == 0
    assert lines[-1].split() == ["0", "4"]


def test_more_is_better_puts_the_best_on_top() -> None:
    lines = text(state([0.5, 0.9, 0.7], lower=False), HISTORY, 64, 13)
    assert "◆" in lines[1]


def test_a_few_that_went_astray_do_not_press_the_others_together() -> None:
    values: list[float | None] = [1 + at % 10 / 10 for at in range(30)]
    values[4] = 1e6
    lines = text(state(values), HISTORY, 80, 12)
    assert "1 beyond the edge" in lines[0]
    assert len({row for row, line in enumerate(lines[1:-2]) if "•" in line}) > 5


def test_a_slice_has_a_parameter_across_by_its_logarithm_and_choices_side_by_side() -> None:
    found = state([1.0, 2.0, 3.0])
    trials = tuple(
        Trial(
            number=at, run=f"r{at}", name="", status=RunStatus.FINISHED,
            params={"lr": lr, "kind": kind}, value=float(at),
        )
        for at, (lr, kind) in enumerate([(0.01, "gini"), (0.1, "entropy"), (1.0, "log_loss")])
    )  # fmt: skip
    found = SweepState(
        run=found.run, plan=found.plan, primary="rmse", lower_is_better=True, trials=trials, best=trials[0]
    )
    lines = text(found, "slice lr", 60, 12)
    places = sorted(line.index(sign) for line in lines[1:] for sign in "•◆" if sign in line)
    assert abs(places[1] - (places[0] + places[2]) / 2) <= 1, "0.1 is halfway from 0.01 to 1"
    lines = text(found, "slice kind", 60, 12)
    for sign_line, label in zip([lines[-3], lines[-8], lines[1]], ["gini", "entropy", "log_loss"], strict=True):
        at = max(sign_line.find("•"), sign_line.find("◆"))
        if at >= 0:
            assert abs(at - (lines[-1].index(label) + len(label) / 2)) < 10
    assert text(found, "slice leaves", 60, 12)[1] == "no trial with it has a result yet"


def test_parallel_coordinates_name_each_axis_and_its_ends() -> None:
    found = state([float(at) for at in range(20)])
    lines = text(found, PARALLEL, 80, 14)
    assert lines[-1].split() == ["lr", "leaves", "kind", "rmse"]
    assert lines[1].split()[:3] == ["1", "31", "log_loss"]
    assert lines[-2].split()[:3] == ["0.01", "2", "gini"]
    assert "best fifth: 4 of 20" in lines[0]
    best = [part for spans in plot(found, PARALLEL, 80, 14)[2:-2] for part, tone in spans if tone == "accent"]
    assert best, "the best one is drawn in its own tone"


def test_bars_of_importance_are_as_long_as_their_shares() -> None:
    lines = text(state([1.0]), IMPORTANCE, 80, 10, shares={"leaves": 0.25, "lr": 0.75})
    assert lines[1].startswith("lr ")
    assert lines[1].count("█") == pytest.approx(3 * lines[2].count("█"), abs=2)
    assert lines[1].endswith("75%")
    assert "working it out" in text(state([1.0]), IMPORTANCE, 80, 10)[1]
    assert "ten finished trials" in text(state([1.0]), IMPORTANCE, 80, 10, shares={})[1]


def test_nothing_yet_is_said_and_a_small_room_too() -> None:
    assert "no trial has a rmse yet" in text(state([None, None]), HISTORY, 80, 12)[1]
    assert text(state([1.0]), HISTORY, 20, 12) == ["too small for a plot"]
    for kind in kinds(state([1.0])):
        assert text(state([2.0]), kind, 80, 12, shares={})
        assert text(state([2.0, 2.0, 2.0]), kind, 80, 12, shares={})


def test_hostile_names_stay_in_their_place() -> None:
    for name in HOSTILE:
        space = {name: Dimension(low=1, high=3), "kind": Dimension(choices=(name, "b"))}
        trial = Trial(
            number=0, run="r", name=name, status=RunStatus.FINISHED, params={name: 2, "kind": name}, value=1.0
        )
        run = Run(id="ab" * 16, name=name, status=RunStatus.RUNNING, experiment=name, created_at=1, created_by="me")
        found = SweepState(
            run=run, plan=SweepPlan(space=space), primary=name, lower_is_better=True, trials=(trial,), best=trial
        )
        for kind in kinds(found):
            for line in text(found, kind, 80, 12, shares={name: 1.0}):
                assert line.isprintable()
                assert cell_length(line) <= 80


def test_state_budget_and_best_are_said_in_words() -> None:
    found = state([3.0, 2.0, None, 4.0], trials=10, patience=5, max_minutes=30.0)
    assert state_text(found) == "running 4 of 10"
    assert counts_text(found) == "1 pruned"
    assert best_text(found).startswith("best rmse 2 in trial 1: lr ")
    assert budget_text(found) == "6 trials left, 3 more without anything better"
    import msgspec

    begun = msgspec.structs.replace(found.run, started_at=1_000)
    found = msgspec.structs.replace(found, run=begun)
    assert budget_text(found, 1_000 + 10 * 60_000) == "6 trials left, 20 of 30 min, 3 more without anything better"
    paused = msgspec.structs.replace(found.run, tags={PAUSED: "1"})
    assert state_text(msgspec.structs.replace(found, run=paused)) == "paused 4 of 10"
    ended = msgspec.structs.replace(
        found.run, status=RunStatus.FINISHED, progress=Progress(at=1, fraction=1.0, stage="10 trials were tried")
    )
    assert state_text(msgspec.structs.replace(found, run=ended)) == "finished: 10 trials were tried"


@pytest.mark.parametrize(
    ("each", "said"),
    [
        (Dimension(low=0.01, high=0.5, log=True), "0.01 to 0.5, log"),
        (Dimension(low=2, high=31), "2 to 31"),
        (Dimension(low=0.0, high=1.0), "0.0 to 1.0"),
        (Dimension(low=1, high=9, step=2), "1 to 9 by 2"),
        (Dimension(choices=("gini", "entropy")), "gini | entropy"),
        (Dimension(choices=(True, False)), "true | false"),
        (Dimension(choices=(1, 2.5, "a")), "1 | 2.5 | a"),
        (Dimension(low=1e-6, high=1e-2, log=True), "1e-06 to 0.01, log"),
    ],
)
def test_a_dimension_is_written_and_read_back(each: Dimension, said: str) -> None:
    assert dimension_text(each) == said
    assert read_dimension(said, each) == {}


def test_a_dimension_is_changed_by_what_is_written_and_nonsense_is_told() -> None:
    each = Dimension(low=0.01, high=0.5, log=True)
    assert read_dimension("0.02 to 0.5", each) == {"low": 0.02, "log": False}
    assert read_dimension("a | c", Dimension(choices=("a", "b"))) == {"choices": ["a", "c"]}
    for wrong in ("0.1", "a to b", "1 to 2, logarithmic", "to 3"):
        with pytest.raises(ValueError, match=r"wanted LOW to HIGH|is no number|only log is known"):
            read_dimension(wrong, each)
    assert math.isclose(read_dimension("0.1 to 1", each)["high"], 1)  # type: ignore[arg-type]
