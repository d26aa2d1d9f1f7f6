"""`model bias`: a trained model's held-out predictions by groups, beside fairlearn on the same rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fair

from backends.local import open_local

RECIPE = """
dataset = "people"
target = "hired"
task = "classification"
positive = "yes"
exclude = ["sex"]
register = "hiring"
[estimator]
class = "sklearn.linear_model.LogisticRegression"
"""


def cli(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console.launch", "--workspace", str(home / "w"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("hiring")
    rng = np.random.default_rng(3)
    n = 3_000
    sex = rng.choice(["f", "m"], n)
    skill, years = rng.normal(0, 1, n), rng.normal(5, 2, n) + 1.5 * (sex == "m")
    hired = np.where(rng.random(n) < 1 / (1 + np.exp(-(skill + years - 6))), "yes", "no")
    pd.DataFrame({"sex": sex, "skill": skill, "years": years, "hired": hired}).to_csv(home / "people.csv", index=False)
    (home / "recipe.toml").write_text(RECIPE)
    assert cli(home, "dataset", "import", str(home / "people.csv"), "people").returncode == 0
    done = cli(home, "run", "start", str(home / "recipe.toml"), "--wait")
    assert done.returncode == 0, done.stderr
    return home


def test_a_models_groups_are_compared_on_its_held_out_rows(home: Path) -> None:
    done = cli(home, "model", "bias", "hiring", "1", "--by", "sex", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["subject"] == "hiring@1"
    backend = open_local(home / "w")
    run = backend.need("registry").version("hiring", "1").run
    held = pd.read_parquet(backend.need("artifacts").open(run, "held_out.parquet"))
    assert backend.need("reports").latest("bias", "hiring@1") is not None
    backend.close()
    sex = pd.read_csv(home / "people.csv")["sex"].to_numpy()[held["row"]]
    kwargs = {
        "y_true": (held["target"] == "yes").astype(int),
        "y_pred": (held["score"] >= 0.5).astype(int),
        "sensitive_features": sex,
    }
    found = {each["name"]: each["value"] for each in report["figures"]["bias"]["measures"]}
    assert found["demographic parity difference"] == pytest.approx(fair.demographic_parity_difference(**kwargs))
    assert found["equalized odds difference"] == pytest.approx(fair.equalized_odds_difference(**kwargs))
    assert found["equal opportunity ratio"] == pytest.approx(fair.equal_opportunity_ratio(**kwargs))
    assert report["figures"]["bias"]["rows"] == len(held)
    assert report["figures"]["on"] == "people@1"


def test_other_groups_and_what_cannot_be_compared(home: Path) -> None:
    done = cli(home, "model", "bias", "hiring", "1", "--by", "skill > 0", "--by", "sex")
    assert "true × f" in done.stdout
    wrong = cli(home, "model", "bias", "hiring", "1", "--by", "gender")
    assert (wrong.returncode, "there is no column gender" in wrong.stderr) == (2, True)
    nobody = cli(home, "model", "bias", "hiring", "--by", "sex")
    assert (nobody.returncode, "champion" in nobody.stderr) == (2, True)
    assert "Traceback" not in wrong.stderr + nobody.stderr


def test_the_case_compares_two_versions_row_by_row(home: Path) -> None:
    """The holder sees nothing but noise beside skill; the candidate has both columns that decide."""
    from sklearn.metrics import roc_auc_score

    (home / "weaker.toml").write_text(RECIPE.replace('exclude = ["sex"]', 'exclude = ["sex", "skill"]'))
    done = cli(home, "run", "start", str(home / "weaker.toml"), "--wait")
    assert done.returncode == 0, done.stderr
    done = cli(home, "model", "promote", "hiring", "2", "--override", "-m", "first", "--json")
    assert done.returncode == 0, done.stderr
    policy = '[[promotion]]\ngates = { paired = "fail", bias = "warn", data = "require" }\n'
    (home / "w" / "policies.toml").write_text(policy)
    done = cli(home, "model", "case", "hiring", "1", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["not_paired"]) == (1, ""), done.stderr
    found = said["paired"][0]
    assert (found["metric"], found["better"], found["method"]) == ("auc", True, "DeLong")
    assert found["low"] > 0
    gates = {gate["gate"]: gate for gate in said["case"]["gates"]}
    assert (gates["paired"]["status"], gates["data"]["status"]) == ("pass", "fail"), "nobody checked the data"

    backend = open_local(home / "w")
    areas, recorded = [], []
    for version in ("1", "2"):
        kept = backend.need("registry").version("hiring", version)
        run = kept.run
        recorded.append(kept.metrics)
        held = pd.read_parquet(backend.need("artifacts").open(run, "held_out.parquet"))
        areas.append(roc_auc_score(held["target"] == "yes", held["score"]))
    backend.close()
    assert found["difference"] == pytest.approx(areas[0] - areas[1])
    assert {each["metric"] for each in said["paired"]} == {"auc", "accuracy", "f1", "log_loss", "brier"}
    for each in said["paired"]:  # as scikit-learn measured them in training
        assert [each["candidate"], each["holder"]] == pytest.approx([metrics[each["metric"]] for metrics in recorded])
    assert "better" in cli(home, "model", "case", "hiring", "1").stdout
    (home / "w" / "policies.toml").unlink()
