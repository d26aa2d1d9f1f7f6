"""A feature set from its definition to a reproduced run: joined as of each label's time, trained, audited, again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
SET = """
dataset = "visits"
key = ["shop"]
time = "seen"
[[feature]]
name = "per_head"
as = "sales / heads"
type = "float"
[[feature]]
name = "busy"
as = "heads > 50"
type = "bool"
"""
RECIPE = """
dataset = "goals-shop_day"
features = "shop_day"
target = "met"
task = "classification"
positive = "yes"
seed = 4
register = "goal"
[estimator]
class = "sklearn.ensemble.HistGradientBoostingClassifier"
params = { max_iter = 20 }
[audit]
seeds = 1
"""


def cli(home: Path, *args: str, code: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "console.launch", "--workspace", str(home / "w"), *args, "--json"],
        capture_output=True, text=True, timeout=240, check=False, cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == code, (args, done.stderr, done.stdout)
    return json.loads(done.stdout)


def make(home: Path) -> pd.DataFrame:
    """Visits each day and goals some hours later. What comes after a goal's time tells the goal: a leak, if joined."""
    rng = np.random.default_rng(5)
    shops, days = 40, 30
    visits = pd.DataFrame(
        {
            "shop": np.repeat(np.arange(shops), days),
            "seen": np.tile(pd.date_range("2024-01-01 06:00", periods=days), shops),
            "heads": rng.integers(10, 100, shops * days),
        }
    )
    rate = rng.normal(5, 2, shops * days)
    visits["sales"] = (rate * visits["heads"]).round(3)
    goals = visits[["shop"]].assign(due=visits["seen"] + pd.Timedelta(hours=6))
    goals["met"] = np.where(rate + rng.normal(0, 1, len(rate)) > 5, "yes", "no")
    visits.to_csv(home / "visits.csv", index=False)
    goals.to_csv(home / "goals.csv", index=False)
    return visits.assign(per_head=visits["sales"] / visits["heads"])


def test_a_run_learns_from_features_as_they_were_known_and_comes_out_the_same_again(tmp_path: Path) -> None:
    visits = make(tmp_path)
    (tmp_path / "shop_day.toml").write_text(SET)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    for name in ("visits", "goals"):
        cli(tmp_path, "dataset", "import", f"{name}.csv")
    cli(tmp_path, "dataset", "features", "define", "shop_day.toml")
    made = cli(tmp_path, "dataset", "features", "apply", "shop_day@1", "--labels", "goals", "--at", "due")
    assert made["version"]["made_by"] == "features:shop_day@1"
    # As pandas joins them: the newest visit not after the goal's time.
    cli(tmp_path, "dataset", "export", "goals-shop_day@1", "joined.csv")
    found = pd.read_csv(tmp_path / "joined.csv", parse_dates=["due"]).sort_values(["due", "shop"])
    wanted = pd.merge_asof(
        found[["shop", "due"]], visits.sort_values("seen"), left_on="due", right_on="seen", by="shop"
    )
    assert np.allclose(found["per_head"], wanted["per_head"])

    run = cli(tmp_path, "run", "start", "recipe.toml", "--wait")
    assert (run["status"], run["params"]["features"], run["params"]["columns"]) == (
        "finished", "shop_day@1", "per_head, busy",
    )  # fmt: skip
    assert 0.8 < run["metrics"]["auc"] < 0.99
    assert [each["dataset"] for each in run["inputs"]] == ["goals-shop_day"]
    audit = {each["check"]: each for each in cli(tmp_path, "run", "audit", run["id"])["results"]}
    assert audit, "nothing was audited"
    assert not [check for check, each in audit.items() if "leak" in check and each["status"] == "fail"]

    # The set and its data go on; the run stays with what it pinned.
    (tmp_path / "shop_day.toml").write_text(SET.replace("heads > 50", "heads > 60"))
    cli(tmp_path, "dataset", "features", "define", "shop_day.toml")
    cli(tmp_path, "dataset", "features", "apply", "shop_day@2", "--labels", "goals", "--at", "due")
    report = cli(tmp_path, "run", "reproduce", run["id"])
    assert report["status"] == "pass", report["results"]
    again = cli(tmp_path, "run", "show", report["subject"])
    assert again["inputs"] == run["inputs"]
    assert (again["params"], again["metrics"]["auc"]) == (run["params"], run["metrics"]["auc"])
