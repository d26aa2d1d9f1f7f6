"""The life of a model from a script: every command a process of its own, JSON out, exit codes that mean something."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

RECIPE = """\
name = "churn-{name}"
dataset = "churn"
task = "classification"
target = "churned"
positive = "yes"
exclude = ["customer"]
seed = 7

[split]
by = "random"
test = 0.3

[estimator]
class = "{estimator}"
params = {{ {params} }}
"""


@dataclass
class Shell:
    """One person's shell in one workspace."""

    workspace: Path
    env: dict[str, str]

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "console.launch", *args],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=600,
            env=self.env,
            check=False,
        )

    def json(self, *args: str, code: int = 0) -> Any:
        done = self.run(*args, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def error(self, *args: str, code: int) -> dict[str, Any]:
        done = self.run(*args, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stderr)["error"]
        assert found["exit"] == code
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    env = {
        **os.environ,
        "MLOPS_CONSOLE_WORKSPACE": str(tmp_path / "workspace"),
        "MLOPS_CONSOLE_CONFIG": str(tmp_path / "config.toml"),
        "TERM": "dumb",
    }
    one = Shell(tmp_path / "workspace", env)
    yield one
    one.run("agent", "stop")


def write_churn(path: Path, rows: int = 1200) -> None:
    """Customers who leave the more often the more they call and the less long they stayed."""
    chance = random.Random(5)
    lines = ["customer,months,calls,plan,churned"]
    for number in range(rows):
        months, calls = chance.randrange(1, 60), chance.randrange(0, 9)
        plan = chance.choice(["basic", "family", "pro"])
        odds = 0.75 * (calls / 8) + 0.35 * (1 - months / 60) - (0.2 if plan == "pro" else 0.0)
        lines.append(f"c{number},{months},{calls},{plan},{'yes' if chance.random() < odds else 'no'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_recipes(folder: Path) -> tuple[Path, Path]:
    plain, boosted = folder / "plain.toml", folder / "boosted.toml"
    plain.write_text(
        RECIPE.format(name="stump", estimator="sklearn.tree.DecisionTreeClassifier", params="max_depth = 1"),
        encoding="utf-8",
    )
    boosted.write_text(
        RECIPE.format(name="lr", estimator="sklearn.linear_model.LogisticRegression", params="C = 1.0"),
        encoding="utf-8",
    )
    return plain, boosted


def test_a_script_goes_from_a_file_to_production_and_back(shell: Shell, tmp_path: Path) -> None:
    write_churn(tmp_path / "churn.csv")
    plain, better = write_recipes(tmp_path)

    imported = shell.json("dataset", "import", str(tmp_path / "churn.csv"), "churn")
    assert (imported["version"]["rows"], imported["new"]) == (1200, True)
    assert shell.json("dataset", "import", str(tmp_path / "churn.csv"), "churn")["new"] is False

    first = shell.json("run", "start", str(plain), "--wait", "--reason", "a first try")
    second = shell.json("run", "start", str(better), "--wait")
    assert (first["status"], second["status"]) == ("finished", "finished")
    assert second["metrics"]["auc"] > first["metrics"]["auc"] > 0.5
    best = shell.json("run", "list", "status = finished", "--sort", "metrics.auc desc", "--limit", "1")
    assert best["items"][0]["id"] == second["id"]
    assert best["next"]

    compared = shell.json("run", "compare", first["id"], second["id"])
    assert next(row for row in compared["metrics"] if row["key"] == "auc")["best"] == [1]

    for run in (first, second):
        shell.json("model", "register", run["id"], "--model", "churn")
    assert [item["version"] for item in shell.json("model", "versions", "churn")["items"]] == ["2", "1"]

    shell.json("model", "promote", "churn", "1", "--reason", "better than nothing")
    gates = shell.json("model", "gates", "churn", "2")
    assert gates["items"]
    promoted = shell.json("model", "promote", "churn", "2", "--reason", "better")
    assert (promoted["previous"], promoted["version"]) == ("1", "2")
    rolled = shell.json("model", "rollback", "churn", "--reason", "accuracy fell")
    assert (rolled["previous"], rolled["version"]) == ("2", "1")
    undone = shell.json("model", "undo", "--reason", "it was the feed, not the model")
    assert (undone["previous"], undone["version"]) == ("1", "2")
    assert shell.json("model", "show", "churn")["aliases"] == {"champion": "2"}
    assert [move["version"] for move in shell.json("model", "history", "churn")["items"]] == ["2", "1", "2", "1"]
    assert shell.json("model", "at", "churn", str(rolled["at"]))["version"] == "1"

    journal = shell.json("journal", "list", "--limit", "200")["items"]
    actions = [entry["action"] for entry in reversed(journal) if entry["action"].startswith("model.")]
    assert actions[-4:-1] == ["model.promote", "model.promote", "model.rollback"]
    rollback = next(entry for entry in journal if entry["action"] == "model.rollback")
    assert rollback["reason"] == "accuracy fell"
    assert rollback["undone_by"]
    verified = shell.json("journal", "verify")
    newest = f"{journal[0]['seq']}:{journal[0]['hash']}"
    assert verified == {"entries": len(journal), "holds": True, "fault": "", "anchor": newest}

    exported = shell.json("run", "export", second["id"], str(tmp_path / "out"))
    assert {"run.json", "out.log", "artifacts/model/model.skops"} <= set(exported["files"])
    assert json.loads((tmp_path / "out" / "run.json").read_text())["id"] == second["id"]


def test_a_worse_candidate_is_refused_with_its_gate_and_exit_1(shell: Shell, tmp_path: Path) -> None:
    write_churn(tmp_path / "churn.csv")
    plain, better = write_recipes(tmp_path)
    shell.json("dataset", "import", str(tmp_path / "churn.csv"), "churn")
    good = shell.json("run", "start", str(better), "--wait")
    bad = shell.json("run", "start", str(plain), "--wait")
    for run in (good, bad):
        shell.json("model", "register", run["id"], "--model", "churn")
    shell.json("model", "promote", "churn", "1")

    refused = shell.error("model", "promote", "churn", "2", code=1)
    assert refused["kind"] == "Refused"
    assert any(gate["status"] == "fail" for gate in refused["gates"])
    assert shell.json("model", "show", "churn")["aliases"] == {"champion": "1"}
    failed = shell.json("model", "gates", "churn", "2", code=1)
    assert any(gate["status"] == "fail" for gate in failed["items"])

    stale = shell.error("model", "promote", "churn", "2", "--override", "--reason", "try", "--expected", "none", code=1)
    assert stale["kind"] == "Conflict"
    assert shell.json("model", "show", "churn")["aliases"] == {"champion": "1"}


def test_production_wants_the_name_typed(shell: Shell, tmp_path: Path) -> None:
    write_churn(tmp_path / "churn.csv", rows=400)
    plain, _ = write_recipes(tmp_path)
    (tmp_path / "config.toml").write_text(
        f'[contexts.prod]\nworkspace = "{shell.workspace}"\nproduction = true\n', encoding="utf-8"
    )
    prod = ("--context", "prod")
    shell.json(*prod, "dataset", "import", str(tmp_path / "churn.csv"), "churn")
    run = shell.json(*prod, "run", "start", str(plain), "--wait")
    shell.json(*prod, "model", "register", run["id"], "--model", "churn")

    unconfirmed = shell.error(*prod, "model", "promote", "churn", "1", code=2)
    assert "--confirm churn" in unconfirmed["message"]
    shell.error(*prod, "model", "promote", "churn", "1", "--confirm", "chrun", code=2)
    assert shell.json(*prod, "model", "show", "churn")["aliases"] == {}
    shell.json(*prod, "model", "promote", "churn", "1", "--confirm", "churn")
    assert shell.json(*prod, "model", "show", "churn")["aliases"] == {"champion": "1"}


def test_a_run_is_watched_stopped_deleted_and_restored(shell: Shell, tmp_path: Path) -> None:
    write_churn(tmp_path / "churn.csv", rows=4000)
    recipe = tmp_path / "slow.toml"
    recipe.write_text(
        RECIPE.format(
            name="slow", estimator="sklearn.ensemble.GradientBoostingClassifier", params="n_estimators = 20000"
        ),
        encoding="utf-8",
    )
    shell.json("dataset", "import", str(tmp_path / "churn.csv"), "churn")
    started = shell.json("run", "start", str(recipe))
    assert started["status"] in ("queued", "running")
    watcher = subprocess.Popen(
        [sys.executable, "-m", "console.launch", "run", "show", started["id"], "--watch", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=shell.env,
    )
    assert watcher.stdout is not None
    seen = [json.loads(watcher.stdout.readline())["status"]]
    deadline = time.monotonic() + 180
    while shell.json("run", "show", started["id"])["status"] == "queued":
        assert time.monotonic() < deadline
    shell.json("run", "stop", started["id"], "--reason", "too slow")
    out, _ = watcher.communicate(timeout=180)
    seen += [json.loads(line)["status"] for line in out.splitlines()]
    assert seen[-1] == "stopped"
    assert len(seen) > 1

    shell.json("run", "note", started["id"], "never again")
    shell.json("run", "delete", started["id"])
    assert shell.json("run", "list")["items"] == []
    assert shell.json("run", "list", "--deleted")["items"][0]["note"] == "never again"
    shell.json("run", "restore", started["id"])
    assert len(shell.json("run", "list")["items"]) == 1


def test_wrong_input_is_exit_2_and_names_what_is_wrong(shell: Shell, tmp_path: Path) -> None:
    assert "nowhere.csv" in shell.error("dataset", "import", str(tmp_path / "nowhere.csv"), code=2)["message"]
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv" in shell.error("dataset", "import", str(tmp_path / "empty.csv"), code=2)["message"]
    write_churn(tmp_path / "churn.csv", rows=50)
    shell.json("dataset", "import", str(tmp_path / "churn.csv"), "churn")
    plain, _ = write_recipes(tmp_path)
    plain.write_text(plain.read_text().replace("target =", "tarjet ="))
    assert "target" in shell.error("run", "start", str(plain), code=2)["message"]
    assert "status" in shell.error("run", "list", "statsu = failed", code=2)["message"]
    assert shell.error("run", "show", "ffff", code=2)["kind"] == "NotFound"
    assert shell.error("model", "promote", "nothing", "1", code=2)["kind"] == "NotFound"
    assert shell.json("run", "list")["items"] == []


def test_read_only_refuses_every_change_with_exit_1(shell: Shell, tmp_path: Path) -> None:
    write_churn(tmp_path / "churn.csv", rows=50)
    shell.json("dataset", "import", str(tmp_path / "churn.csv"), "churn")
    before = shell.json("journal", "verify")["entries"]
    refused = shell.error("--read-only", "dataset", "import", str(tmp_path / "churn.csv"), "again", code=1)
    assert refused["kind"] == "Refused"
    assert shell.json("journal", "verify")["entries"] == before


def test_a_failed_run_says_why_and_leaves_with_1(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("x,churned\n" + "".join(f"{number},yes\n" for number in range(60)))
    shell.json("dataset", "import", str(tmp_path / "one.csv"), "churn")
    recipe = tmp_path / "one.toml"
    text = RECIPE.format(name="one", estimator="sklearn.linear_model.LogisticRegression", params="")
    recipe.write_text(text.replace('exclude = ["customer"]\n', ""), encoding="utf-8")
    done = shell.run("run", "start", str(recipe), "--wait", "--json")
    assert done.returncode == 1
    assert "class" in json.loads(done.stderr.strip().splitlines()[-1])["error"]["message"]


def test_a_pipe_gets_whole_lines_and_no_colour(shell: Shell, tmp_path: Path) -> None:
    write_churn(tmp_path / "churn.csv", rows=50)
    shell.json("dataset", "import", str(tmp_path / "churn.csv"), "churn", "--note", "\x1b[31mred\u202e")
    done = shell.run("dataset", "list")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == ["name", "latest", "rows", "age", "versions", "by", "note"]
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u202e" not in done.stdout


def test_no_terminal_is_refused_politely(shell: Shell) -> None:
    done = shell.run()
    assert done.returncode == 2
    assert "mlops-console run list" in done.stderr
