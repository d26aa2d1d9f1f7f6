"""`run reproduce`: the same again from what was pinned, compared metric by metric; what is not there is said first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backends.contract import Mutation
from backends.entities import GateStatus
from backends.local import open_local
from backends.system_metrics import own
from console.training.reproduce import _metrics, plan

ANN = Mutation("ann@box")
RECIPE = """
dataset = "people"
target = "hired"
task = "classification"
seed = 11
[estimator]
class = "sklearn.ensemble.RandomForestClassifier"
params = { n_estimators = 20 }
"""
SCRIPT = """
import json, os, urllib.request
rate = float(open("rate.txt").read())
body = {"run_id": os.environ["MLFLOW_RUN_ID"], "key": "score", "value": rate * 2, "timestamp": 1, "step": 0}
ask = urllib.request.Request(
    os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-metric", json.dumps(body).encode(),
    {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]},
)
urllib.request.urlopen(ask).read()
"""


def cli(home: Path, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console.launch", "--workspace", str(home / "w"), *args]
    path = os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH", ""))))
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=cwd, env=env)


def document(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("again")
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=800), "y": rng.normal(size=800)})
    frame["hired"] = np.where(frame["x"] + rng.normal(size=800) > 0, "yes", "no")
    frame.to_csv(home / "people.csv", index=False)
    (home / "recipe.toml").write_text(RECIPE)
    document(cli(home, "dataset", "import", str(home / "people.csv"), "people", "--json"))
    return home


def test_a_recipes_run_comes_out_the_same_also_after_its_data_grew(home: Path) -> None:
    run = document(cli(home, "run", "start", str(home / "recipe.toml"), "--wait", "--json"))
    more = pd.read_csv(home / "people.csv")
    pd.concat([more, more.head(100)]).to_csv(home / "people.csv", index=False)
    document(cli(home, "dataset", "import", str(home / "people.csv"), "people", "--json"))
    report = document(cli(home, "run", "reproduce", run["id"], "--json"))
    assert report["status"] == "pass", report["results"]
    judged = {each["check"]: each["detail"] for each in report["results"]}
    assert judged["auc"] == "equal"
    assert judged["train.auc"] == "equal"
    again = document(cli(home, "run", "show", report["subject"], "--json"))
    assert again["tags"]["console.reproduces"] == run["id"]
    assert again["inputs"] == run["inputs"]
    assert document(cli(home, "run", "reproduce", again["id"], "--compare", "--json"))["status"] == "pass"
    human = cli(home, "run", "reproduce", run["id"], "--plan")
    assert [line.split()[0] for line in human.stdout.splitlines()[1:]] == [
        "data", "code", "parameters", "seed", "libraries",
    ]  # fmt: skip


def test_a_commands_run_gets_its_commit_and_its_diff_back(home: Path, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()

    def git(*args: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *args], cwd=repo, check=True, capture_output=True
        )

    git("init", "-q")
    (repo / "train.py").write_text(SCRIPT)
    (repo / "rate.txt").write_text("1.0\n")
    git("add", ".")
    git("commit", "-qm", "first")
    (repo / "rate.txt").write_text("1.5\n")  # not committed: the diff has it
    run = document(cli(home, "run", "start", "--wait", "--json", "--", sys.executable, "train.py", cwd=repo))
    assert own(run["metrics"]) == {"score": 3.0}
    (repo / "rate.txt").write_text("9.0\n")
    git("commit", "-qam", "second")
    report = document(cli(home, "run", "reproduce", run["id"], "--json", cwd=tmp_path))
    assert {each["check"]: each["status"] for each in report["results"]}["score"] == "pass"
    again = document(cli(home, "run", "show", report["subject"], "--json"))
    assert own(again["metrics"]) == {"score": 3.0}
    # Without its commit there is nothing to run.
    (repo / ".git").rename(tmp_path / "gone")
    refused = cli(home, "run", "reproduce", run["id"], cwd=tmp_path)
    assert (refused.returncode, "is not in" in refused.stderr) == (1, True)
    assert cli(home, "run", "reproduce", run["id"], "--plan").returncode == 1


def test_data_that_is_gone_is_said_before_anything_starts(home: Path) -> None:
    backend = open_local(home / "w")
    runs = backend.need("runs")
    run = next(each for each in runs.page(limit=50).items if each.inputs)
    backend.need("datasets").delete("people", ANN)
    before = runs.count().value
    found = {part.check: part for part in plan(backend, run).parts}
    assert found["data"].status is GateStatus.FAIL
    assert "is gone" in found["data"].value
    assert runs.count().value == before
    backend.close()
    assert cli(home, "run", "reproduce", run.id).returncode == 1


def test_metrics_are_equal_near_or_different() -> None:
    then = {"a": 1.0, "b": 1.0, "c": 1.0, "d": float("nan"), "fit_time": 3.0, "gone": 1.0, "r": 0.1 + 0.2}
    now = {"a": 1.0, "b": 1.001, "c": 1.2, "d": float("nan"), "fit_time": 9.0, "new": 1.0, "r": 0.3}
    found = {each.check: (each.status.value, each.detail.split(":")[0]) for each in _metrics(then, now, 0.01)}
    assert found["a"] == found["d"] == ("pass", "equal")
    assert found["b"] == ("pass", "within the tolerance")
    assert found["c"][0] == "fail"
    assert found["fit_time"] == ("pass", "a time")
    assert found["r"] == ("pass", "equal but for rounding")
    assert found["gone"][0] == found["new"][0] == "warn"


def test_a_run_that_reproduces_nothing_cannot_be_compared(home: Path) -> None:
    run = document(cli(home, "run", "list", "--limit", "100", "--json"))["items"][-1]["id"]
    done = cli(home, "run", "reproduce", run, "--compare")
    assert (done.returncode, "reproduces no other" in done.stderr) == (2, True)
