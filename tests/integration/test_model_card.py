"""`model card`: a trained version's card from its own run, data, held-out predictions and journal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from console.promotion.card import Card

RECIPE = """
dataset = "loans"
target = "late"
task = "classification"
register = "lender"
time = "asked"
seed = 5
[split]
by = "time"
column = "asked"
[estimator]
class = "sklearn.linear_model.LogisticRegression"
"""


def cli(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console.launch", "--workspace", str(home / "w"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=home)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lending")
    rng = np.random.default_rng(3)
    n = 2_400
    region = rng.choice(["north", "south"], n)
    income, debt = rng.normal(3, 1, n), rng.normal(1, 1, n)
    # in the south the answer has little to do with what the model sees: a slice that is surely worse
    pull = np.where(region == "south", 0.1, 2.5)
    late = (rng.random(n) < 1 / (1 + np.exp(-pull * (debt - income + 2)))).astype(int)
    asked = pd.date_range("2026-01-01", periods=n, freq="h")
    frame = pd.DataFrame({"asked": asked, "region": region, "income": income, "debt": debt, "late": late})
    frame.to_parquet(home / "loans.parquet")
    (home / "recipe.toml").write_text(RECIPE)
    assert cli(home, "dataset", "import", str(home / "loans.parquet"), "loans").returncode == 0
    done = cli(home, "run", "start", str(home / "recipe.toml"), "--wait")
    assert done.returncode == 0, done.stderr
    done = cli(home, "model", "promote", "lender", "1", "--reason", "first of its kind")
    assert done.returncode == 0, done.stderr
    return home


def test_the_card_holds_data_training_intervals_slices_and_history(home: Path) -> None:
    done = cli(home, "model", "card", "lender", "--json")
    assert done.returncode == 0, done.stderr
    card = msgspec.json.decode(done.stdout, type=Card)
    assert (card.model, card.version, card.aliases) == ("lender", "1", ("champion",))
    assert {(each.dataset, each.role, each.rows) for each in card.data} == {
        ("loans", "training", 2_400), ("loans", "test", 2_400),
    }  # fmt: skip
    split = card.split
    assert split is not None
    assert (split.by, split.train_rows, split.test_rows) == ("time", 1_800, 600)
    assert split.periods["training"] == ("2026-01-01T00:00:00", "2026-03-16T23:00:00")
    assert split.periods["test"] == ("2026-03-17T00:00:00", "2026-04-10T23:00:00")
    assert card.training.seed == 5
    assert card.training.estimator.endswith("LogisticRegression")
    assert card.training.recipe == RECIPE
    assert card.training.libraries["scikit-learn"]
    assert (card.training.packages or 0) > 20
    (speed,) = card.speed
    assert (speed.version, speed.how, speed.batch_rows) == ("1", "in training", 1_000)
    assert 0 < (speed.one_p50 or 0) <= (speed.one_p95 or 0)
    metrics = {each.name: each for each in card.metrics}
    assert {"auc", "log_loss", "accuracy", "brier", "f1"} == set(metrics)
    for each in metrics.values():
        assert each.low is not None
        assert each.low < each.value < (each.high or 0)
        assert each.baseline is not None
        assert each.training is not None
    assert card.sliced
    assert "south" in card.slices[0].where
    assert card.slices[0].ratio > 1.2
    assert card.audit
    assert card.gates
    assert card.history[0].move.reason == "first of its kind"
    assert not any("damaged" in each or "cannot" in each for each in card.unknown)


def test_what_was_measured_is_kept_and_the_bias_joins_the_card(home: Path) -> None:
    assert cli(home, "model", "card", "lender", "1").returncode == 0
    assert cli(home, "model", "bias", "lender", "1", "--by", "region").returncode in (0, 1)
    page = home / "card.html"
    done = cli(home, "model", "card", "lender", "1", "--quick", "--output", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "equalized odds difference" in text
    assert "percentile bootstrap" in text
    again = cli(home, "model", "card", "lender", "1", "--output", str(page))
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    reports = json.loads(cli(home, "model", "card", "lender", "1", "--format", "json").stdout)
    assert reports["fairness"]["by"] == "region"


def test_the_version_is_explained_once_and_the_explanation_kept(home: Path) -> None:
    done = cli(home, "model", "explain", "lender", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    found = report["figures"]
    assert {each["column"] for each in found["importance"][:2]} == {"income", "debt"}
    assert found["importance"][0]["spread"] > 0
    curves = {each["column"]: each["means"] for each in found["curves"]}
    assert curves["debt"][0] < curves["debt"][-1]
    assert curves["income"][0] > curves["income"][-1]
    assert found["score"] == "probability of late = 1"
    assert "south" in found["slices"][0]["where"]
    chosen = json.loads(cli(home, "model", "explain", "lender", "1", "--curve", "debt", "--json").stdout)
    assert [each["column"] for each in chosen["figures"]["curves"]] == ["debt"]
    again = json.loads(cli(home, "model", "explain", "lender", "1", "--json").stdout)
    assert again["id"] == report["id"]  # curves of chosen columns take no other explanation's place


def test_one_prediction_is_explained_from_the_data(home: Path) -> None:
    done = cli(home, "model", "explain", "lender", "1", "--row", "2399", "--json")
    assert done.returncode == 0, done.stderr
    one = json.loads(done.stdout)["figures"]
    assert one["base"] + sum(each["by"] for each in one["moved"]) == pytest.approx(one["score"])
    assert one["truth"] in ("0", "1")
    wrong = cli(home, "model", "explain", "lender", "--row", "2400")
    assert (wrong.returncode, "has rows 0 to 2399" in wrong.stderr) == (2, True)


def test_a_served_prediction_is_explained_from_its_log(home: Path) -> None:
    row = {"prediction.id": "abc-7", "region": "north", "income": -2.0, "debt": 4.0}
    (home / "served.jsonl").write_text(json.dumps(row | {"prediction.id": "x"}) + "\n" + json.dumps(row) + "\n")
    done = cli(home, "model", "explain", "lender", "--file", "served.jsonl", "--prediction", "abc-7", "--json")
    assert done.returncode == 0, done.stderr
    other = json.loads(done.stdout)["figures"]
    assert other["score"] > 0.9
    assert other["moved"][0]["by"] > 0
    assert other["row"] == "prediction abc-7 in served.jsonl"
    gone = cli(home, "model", "explain", "lender", "--prediction", "nobody")
    assert (gone.returncode, "nobody is in none" in gone.stderr) == (2, True)
