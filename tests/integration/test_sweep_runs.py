"""A sweep for real: its trials are runs; it is killed and resumed, paused, stopped, and told from its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from backends.local import open_local
from console.training.sweep.trials import trials_of
from tests.processes import gone

RECIPE = """
name = "tuned"
dataset = "points"
target = "y"
task = "regression"
[estimator]
class = "sklearn.ensemble.HistGradientBoostingRegressor"
params = {{ max_iter = {iterations} }}
[audit]
skip = ["latency", "slices", "leakage"]
[sweep]
trials = {trials}
parallel = 2
seed = 5
{more}
[sweep.space.learning_rate]
low = 0.01
high = 0.5
log = true
[sweep.space.max_leaf_nodes]
low = 2
high = 31
"""

JOB = """
command = "sh {script} {{lr}}"
name = "job"
[params.lr]
default = 0.1
low = 0.01
high = 1.0
[sweep]
trials = {trials}
parallel = 2
metric = "loss"
direction = "minimize"
[sweep.space.lr]
"""
"""A trial that takes no time to begin: what is tried is the sweep around it."""
SAYS = 'echo "{\\"metrics\\": {\\"loss\\": $1}}" >&$MLOPS_PROGRESS_FD'
SLOW = f"sleep 0.5; {SAYS}"


def job(home: Path, trials: int, script: str) -> str:
    (home / "job.sh").write_text(script)
    path = home / "job.toml"
    path.write_text(JOB.format(trials=trials, script=home / "job.sh"))
    return str(path)


def cli(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console.launch", "--workspace", str(home / "w"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)


def document(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def recipe(home: Path, trials: int, more: str = "", iterations: int = 20) -> str:
    path = home / "recipe.toml"
    path.write_text(RECIPE.format(trials=trials, more=more, iterations=iterations))
    return str(path)


def until(what: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sweep")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(1_500, 3)), columns=["a", "b", "c"])
    frame["y"] = frame["a"] * 2 + np.sin(3 * frame["b"]) + rng.normal(0, 0.3, 1_500)
    frame.to_csv(home / "points.csv", index=False)
    document(cli(home, "dataset", "import", str(home / "points.csv"), "points", "--json"))
    return home


def test_a_sweep_killed_in_the_middle_goes_on_and_tries_each_number_once(home: Path) -> None:
    """The first trial ends at once, the others only when the controller is dead."""
    first, on = home / "first", home / "on"
    held = f"mkdir {first} || while [ ! -e {on} ]; do sleep 0.05; done; {SAYS}"
    sweep = document(cli(home, "sweep", "start", job(home, 4, held), "--json"))["id"]
    backend = open_local(home / "w")
    runs = backend.need("runs")
    until(lambda: any(trial.complete for trial in trials_of(backend, sweep, "loss")))
    (controller,) = [
        each for each in psutil.process_iter(["cmdline", "cwd"])
        if "console.training.sweep.controller" in (each.info["cmdline"] or []) and sweep in (each.info["cwd"] or "")
    ]  # fmt: skip
    os.kill(controller.pid, signal.SIGKILL)
    until(lambda: gone(controller))
    on.touch()
    until(lambda: runs.get(sweep).status.ended)
    assert runs.get(sweep).status.value == "failed"
    state = document(cli(home, "sweep", "resume", sweep, "--wait", "--json"))
    assert state["run"]["status"] == "finished"
    assert sorted(trial["number"] for trial in state["trials"]) == [0, 1, 2, 3]
    ended = {runs.get(trial["run"]).reason or runs.get(trial["run"]).status.value for trial in state["trials"]}
    assert ended == {"finished"}
    values = [trial["value"] for trial in state["trials"]]
    assert values == sorted(values)
    assert state["best"]["value"] == values[0]
    best = runs.get(state["best"]["run"])
    assert float(best.params["lr"]) == pytest.approx(state["best"]["params"]["lr"])
    assert best.parent == state["run"]["id"]
    assert runs.get(state["run"]["id"]).metrics["loss"] == values[0]
    backend.close()
    listed = document(cli(home, "sweep", "list", "--json"))["items"]
    assert {each["id"] for each in listed} >= {sweep, state["run"]["id"]}
    human = cli(home, "sweep", "show", state["run"]["id"])
    assert "lr" in human.stdout
    done = cli(home, "sweep", "resume", state["run"]["id"])
    assert (done.returncode, "give more with --trials" in done.stderr) == (1, True)


def test_trials_of_an_estimator_train_on_the_sweep_s_data(home: Path) -> None:
    state = document(cli(home, "sweep", "start", recipe(home, 2), "--wait", "--json"))
    backend = open_local(home / "w")
    values = [trial["value"] for trial in state["trials"]]
    assert (state["run"]["status"], values) == ("finished", sorted(values))
    best = backend.need("runs").get(state["best"]["run"])
    assert best.params["learning_rate"] == str(state["best"]["params"]["learning_rate"])
    assert best.inputs == backend.need("runs").get(state["run"]["id"]).inputs
    backend.close()


def test_a_paused_sweep_begins_nothing_and_a_stopped_one_stops_its_trials(home: Path) -> None:
    sweep = document(cli(home, "sweep", "start", job(home, 500, SLOW), "--json"))["id"]
    backend = open_local(home / "w")
    until(lambda: len(trials_of(backend, sweep, "loss")) >= 2)
    document(cli(home, "sweep", "pause", sweep, "--json"))
    time.sleep(1.0)  # what was being begun as the pause came has begun by then
    until(lambda: all(trial.status.ended for trial in trials_of(backend, sweep, "loss")))
    count = len(trials_of(backend, sweep, "loss"))
    time.sleep(1.0)
    assert len(trials_of(backend, sweep, "loss")) == count
    document(cli(home, "sweep", "resume", sweep, "--json"))
    until(lambda: len(trials_of(backend, sweep, "loss")) > count)
    document(cli(home, "sweep", "stop", sweep, "--json"))
    until(lambda: backend.need("runs").get(sweep).status.ended)
    until(lambda: all(trial.status.ended for trial in trials_of(backend, sweep, "loss")))
    assert backend.need("runs").get(sweep).status.value == "stopped"
    backend.close()


def test_what_cannot_be_swept_is_told(home: Path) -> None:
    plain = home / "plain.toml"
    plain.write_text(RECIPE.format(trials=3, more="", iterations=5).split("[sweep]")[0])
    done = cli(home, "sweep", "start", str(plain))
    assert (done.returncode, "there is no [sweep]" in done.stderr) == (2, True)
    done = cli(home, "sweep", "show", "nothing")
    assert done.returncode == 2
    run = document(cli(home, "run", "list", "--json"))["items"][0]["id"]
    trial = cli(home, "sweep", "pause", run)
    assert trial.returncode in (1, 2)


def test_parameters_that_break_every_trial_end_it_with_the_reason(home: Path) -> None:
    done = cli(home, "sweep", "start", job(home, 30, "echo no such file as $1.csv >&2; exit 3"), "--wait")
    assert done.returncode == 1
    assert "the first 5 trials failed" in done.stderr or "the first 6 trials failed" in done.stderr
    assert "no such file as 0." in done.stderr
