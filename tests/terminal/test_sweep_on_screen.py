"""A sweep on the screen: entered, its trials and plots, paused, gone on with, begun from a form."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Backend
from backends.entities import MetricPoint, Run, RunStatus
from console.training.command import keep_texts
from console.training.job import RECIPE
from console.training.measured import PRIMARY_TAG
from console.training.sweep.trials import NUMBER, PARAMS, PAUSED, PRUNED, SWEEP
from console.tui.actions import BY_ID
from console.tui.panes.sweeping import SweepingRunsPane
from tests.terminal.stage import by, on_stage, press, screen, session, until

TEXT = """
command = "true {lr} {depth} {kind}"
name = "tuned"
[params.lr]
default = 0.1
[params.depth]
default = 3
[params.kind]
default = "gini"
[sweep]
trials = 50
metric = "loss"
direction = "minimize"
[sweep.space.lr]
low = 0.01
high = 0.5
log = true
[sweep.space.depth]
low = 2
high = 12
[sweep.space.kind]
choices = ["gini", "entropy"]
"""


@pytest.fixture(autouse=True)
def quick_importance(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is tried elsewhere; a forest takes seconds where many tests run."""
    shares = {"lr": 0.7, "kind": 0.2, "depth": 0.1}
    monkeypatch.setattr("console.training.sweep.importance.importance_offloaded", lambda *_: shares)


def params_of(number: int) -> dict[str, Any]:
    lr = 0.01 * 50 ** ((number * 0.618034) % 1)
    return {"lr": lr, "depth": 2 + number * 7 % 11, "kind": ("gini", "entropy")[number % 2]}


def loss(number: int) -> float:
    params = params_of(number)
    return abs(math.log(params["lr"] / 0.1)) + 0.02 * params["depth"] + (params["kind"] == "entropy") * 0.1


def add_trial(backend: Backend, sweep: Run, number: int, status: RunStatus = RunStatus.FINISHED, **tags: str) -> Run:
    runs, params = backend.need("runs"), params_of(number)
    run: Run = runs.create(
        name=f"tuned {number}", mutation=by(), parent=sweep.id, params={k: str(v) for k, v in params.items()},
        tags={NUMBER: str(number), PARAMS: json.dumps(params), PRIMARY_TAG: "loss", **tags},
    )  # fmt: skip
    runs.start(run.id)
    if status is RunStatus.FINISHED:
        runs.log_points(run.id, [MetricPoint(key="loss", value=loss(number), step=1)])
    return runs.end(run.id, status) if status.ended else runs.get(run.id)


def add_sweep(backend: Backend, trials: int = 12) -> Run:
    runs = backend.need("runs")
    sweep: Run = runs.create(name="tuned sweep", mutation=by(), tags={SWEEP: "1", PRIMARY_TAG: "loss"})
    keep_texts(backend, sweep.id, {RECIPE: TEXT})
    runs.start(sweep.id)
    for number in range(trials):
        if number == 3:
            add_trial(backend, sweep, number, RunStatus.STOPPED, **{PRUNED: "1"})
        else:
            add_trial(backend, sweep, number)
    return runs.get(sweep.id)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_sweep_is_entered_and_its_plots_turn(tmp_path: Path, size: tuple[int, int]) -> None:
    here = session(tmp_path)
    add_sweep(here.backend)
    async with on_stage(here, size, pane="runs") as (app, pilot):
        await until(app, pilot, "▸ tuned sweep")
        pane = app.pane
        assert isinstance(pane, SweepingRunsPane)
        assert "tuned 4" not in screen(app), "trials stand under their sweep"
        await press(app, pilot, "enter")
        shown = await until(app, pilot, "best so far")
        best = min((n for n in range(12) if n != 3), key=loss)
        assert "running 12 of 50" in shown
        assert f"best loss {loss(best):.5g} in trial {best}: lr" in shown
        assert "1 pruned" in shown
        assert "trial" in shown
        assert "took" in shown
        await press(app, pilot, "end")
        await until(app, pilot, "○ pruned")
        seen = [shown]
        for _ in range(5):
            await press(app, pilot, "p")
            await app.idle()
            seen.append(screen(app))
        assert "70%" in "".join(seen)
        assert "best fifth: 2 of 11" in "".join(seen)
        assert "loss by lr" in "".join(seen)
        assert "loss by kind" in seen[-1]
        await press(app, pilot, "z")
        await until(app, pilot, "entropy")
        assert "○ pruned" not in screen(app)
        await press(app, pilot, "escape")
        await until(app, pilot, "○ pruned")
        await press(app, pilot, "escape")
        await until(app, pilot, "▸ tuned sweep")
        await app.idle()
        assert pane.selected().tags[SWEEP] == "1"  # type: ignore[union-attr]
        assert "is not in this list" not in screen(app)


async def test_trials_come_in_while_one_looks_and_are_sorted_marked_and_compared(tmp_path: Path) -> None:
    here = session(tmp_path)
    sweep = add_sweep(here.backend, 5)
    async with on_stage(here, (120, 40), pane="runs") as (app, pilot):
        pane = app.pane
        assert isinstance(pane, SweepingRunsPane)
        pane.enter(sweep)
        await until(app, pilot, "running 5 of 50")
        add_trial(here.backend, sweep, 5)
        await until(app, pilot, "running 6 of 50")
        await app.idle()
        pane.sort(column="loss")
        await press(app, pilot, "S")
        await app.idle()
        values = [row.metrics["loss"] for row in pane.table.rows if "loss" in row.metrics]
        assert values == sorted(values)
        assert app.apply_filter(pane, "params.kind = gini") == ""
        await app.idle()
        assert {row.params["kind"] for row in pane.table.rows} == {"gini"}
        await press(app, pilot, "home", "space", "space", "c")
        await until(app, pilot, "Compare 2 runs")
        await press(app, pilot, "escape", "escape")
        await app.idle()
        assert pane.within is not None
        await press(app, pilot, "enter")
        await until(app, pilot, "params")
        assert "Runs › tuned sweep › tuned" in screen(app)


async def test_it_is_paused_and_goes_on_by_one_key(tmp_path: Path) -> None:
    here = session(tmp_path)
    sweep = add_sweep(here.backend, 4)
    runs = here.backend.need("runs")
    async with on_stage(here, (100, 30), pane="runs") as (app, pilot):
        app.perform(BY_ID["go.sweeps"])
        await until(app, pilot, "tags.console.sweep")
        await app.idle()
        assert "tuned 2" not in screen(app)
        await press(app, pilot, "P")
        await until(app, pilot, "Pause tuned sweep")
        await press(app, pilot, "y")
        await until(app, pilot, "○ paused")
        assert PAUSED in runs.get(sweep.id).tags


async def test_a_recipe_with_a_space_offers_a_sweep_whose_form_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tuned.toml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    begun: list[dict[str, Any]] = []

    def start(backend: Backend, text: str, mutation: Any, **more: Any) -> Run:
        begun.append({"text": text, **more})
        return add_sweep(backend, 0)

    monkeypatch.setattr("console.training.sweep.begin.start_sweep", start)
    monkeypatch.setattr("console.tui.verbs.sweeps.ready", lambda _: None)
    here = session(tmp_path / "w")
    async with on_stage(here, (100, 40), pane="runs") as (app, pilot):
        await press(app, pilot, "t")
        await until(app, pilot, "search its parameters: a sweep")
        await press(app, pilot, "down", "enter")
        shown = await until(app, pilot, "0.01 to 0.5, log")
        assert "gini | entropy" in shown
        assert "tpe" in shown
        assert "judged by" in shown
        form: Any = app.screen
        lines = {field.name: form._line(at) for at, field in enumerate(form.fields)}
        lines["space.lr"].value = "0.5 to 0.1, log"
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "wanted low at most high")
        lines["space.lr"].value = "0.02 to 0.4, log"
        lines["trials"].value = "7"
        lines["sampler"].value = "random"
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "▸ tuned sweep")
        changed = begun[0]["overrides"]
        assert changed["sweep.space"]["lr"] == {"low": 0.02, "high": 0.4, "log": True}
        assert (changed["sweep.trials"], changed["sweep.sampler"]) == ("7", "random")
        await app.idle()
        await press(app, pilot, "home", "t")
        await until(app, pilot, "the sweep tuned sweep")
