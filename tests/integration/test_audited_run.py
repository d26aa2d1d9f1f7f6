"""The audit of a real training: stored on the run, shown by the command line, read by the gates."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

RECIPE = """
dataset = "people"
target = "hired"
task = "classification"
positive = "yes"
exclude = ["sex", {exclude}]
register = "hiring"
{more}
[estimator]
class = "sklearn.ensemble.HistGradientBoostingClassifier"
params = {{ max_iter = 30 }}
[split]
folds = 3
[audit]
seeds = 1
protected = ["sex", "age < 30"]
slice_rows = 50
"""


def cli(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console.launch", "--workspace", str(home / "w"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("audit")
    rng = np.random.default_rng(3)
    n = 3_000
    sex, age = rng.choice(["f", "m"], n), rng.integers(20, 60, n)
    skill, years = rng.normal(0, 1, n), rng.normal(5, 2, n) + 1.5 * (sex == "m")
    hired = rng.random(n) < 1 / (1 + np.exp(-(2 * skill + years - 6)))
    frame = pd.DataFrame(
        {
            "sex": sex, "age": age, "skill": skill, "years": years, "salary": np.where(hired, 1.0, 0.0) * 100,
            "hired": np.where(hired, "yes", "no"),
        }
    )  # fmt: skip
    frame.to_csv(home / "people.csv", index=False)
    assert cli(home, "dataset", "import", str(home / "people.csv"), "people").returncode == 0
    return home


def train(home: Path, exclude: str, more: str = "") -> tuple[str, dict[str, Any]]:
    (home / "recipe.toml").write_text(RECIPE.format(exclude=exclude, more=more))
    done = cli(home, "run", "start", str(home / "recipe.toml"), "--wait", "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)["id"]
    shown = cli(home, "run", "audit", run, "--json")
    return run, {each["check"]: each for each in json.loads(shown.stdout)["results"]} | {"code": shown.returncode}


def test_a_sound_training_passes_and_a_leak_fails(home: Path) -> None:
    run, found = train(home, '"salary"')
    assert found["code"] == 0
    for name in ("baseline", "leakage", "overfit", "seeds", "spread", "calibration", "slices", "latency", "size"):
        assert found[name]["value"], name
    assert found["leakage"]["status"] == "pass"
    assert "2 seeds" in found["seeds"]["value"]
    assert found["fairness: demographic parity ratio"]["status"] == "warn"
    gates = json.loads(cli(home, "model", "gates", "hiring", "1", "--json").stdout)["items"]
    audit = next(gate for gate in gates if gate["gate"] == "audit")
    assert audit["status"] == "warn"
    assert "fairness" in audit["detail"]

    leaky, told = train(home, '"years"')
    assert told["code"] == 1
    assert (told["leakage"]["status"], told["leakage"]["columns"]) == ("fail", ["salary"])
    assert "is it known before the answer is? salary" in told["leakage"]["detail"]
    human = cli(home, "run", "audit", leaky)
    assert "salary alone reaches" in human.stdout
    gates = json.loads(cli(home, "model", "gates", "hiring", "2", "--json").stdout)["items"]
    assert next(gate for gate in gates if gate["gate"] == "audit")["status"] == "fail"
    refused = cli(home, "model", "promote", "hiring", "2")
    assert (refused.returncode, "audit" in refused.stderr) == (1, True)
    assert run != leaky


def test_a_run_without_an_audit_says_so(home: Path) -> None:
    done = cli(home, "run", "start", "--wait", "--json", "--", sys.executable, "-c", "print(1)")
    run = json.loads(done.stdout)["id"]
    shown = cli(home, "run", "audit", run)
    assert (shown.returncode, "was not audited" in shown.stderr) == (2, True)
