"""`run compare` on real runs of real commands: every format, the baseline, the files that differ."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.contract import Mutation
from backends.entities import MetricPoint, RunStatus, Source
from backends.local import open_local

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    home = tmp_path_factory.mktemp("compared")
    backend = open_local(home / "w")
    runs, files = backend.need("runs"), backend.need("artifacts")
    ids = []
    for at, rate in enumerate(("1", "2", "2")):
        run = runs.create(
            name=f"r|{at}", mutation=Mutation("ann@box"), params={"lr": f"0.{at}", "same": "x"},
            source=Source(commit="c" * 40, dirty=True, diff="diff.patch"),
        )  # fmt: skip
        runs.start(run.id)
        runs.log_points(run.id, [MetricPoint(key="auc", value=0.5 + at / 4, step=1)])
        runs.end(run.id, RunStatus.FINISHED)
        patch = home / "diff.patch"
        patch.write_text(
            f"diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n"
            f"-rate = 0\n+rate = {rate}\n"
            "diff --git a/alike.py b/alike.py\n--- a/alike.py\n+++ b/alike.py\n@@ -1 +1 @@\n-a\n+b\n"
        )
        files.put(run.id, "diff.patch", patch)
        ids.append(run.id)
    backend.close()
    return home, ids


def compare(home: tuple[Path, list[str]], *args: str) -> subprocess.CompletedProcess[str]:
    folder, ids = home
    return subprocess.run(
        [sys.executable, "-m", "console.launch", "--workspace", str(folder / "w"), "run", "compare", *ids, *args],
        capture_output=True, text=True, timeout=300, check=False, cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_csv_has_a_row_for_everything_and_a_column_for_each_run(home: tuple[Path, list[str]]) -> None:
    done = compare(home, "--format", "csv", "--baseline", home[1][1])
    assert (done.returncode, done.stderr) == (0, "")
    rows = {(row[0], row[1]): row[2:] for row in csv.reader(io.StringIO(done.stdout))}
    assert rows["kind", "key"][2:] == [f"r|{at} {each[:4]}" for at, each in enumerate(home[1])] or rows["kind", "key"]
    assert rows["metric", "auc"] == ["yes", home[1][2], "0.5", "0.75", "1.0"]
    assert rows["difference", "auc"][2:] == ["-0.25", "0.0", "0.25"]
    assert rows["parameter", "same"] == ["no", "", "x", "x", "x"]
    assert rows["fact", "changed train.py"][0] == "yes"
    assert rows["fact", "changed alike.py"][0] == "no"


def test_json_is_one_document(home: tuple[Path, list[str]]) -> None:
    done = compare(home, "--format", "json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["runs"]) == (0, home[1])
    assert found["metrics"][0]["differences"] == [0.0, 0.25, 0.5]
    differing = [row["key"] for row in found["facts"] if row["differs"]]
    assert "changed train.py" in differing
    assert "changed alike.py" not in differing
    assert json.loads(compare(home, "--json").stdout)["params"] == found["params"]


@pytest.mark.parametrize("form", ["md", "markdown"])
def test_markdown_is_tables_that_no_name_breaks(home: tuple[Path, list[str]], form: str) -> None:
    done = compare(home, "--format", form)
    assert done.returncode == 0
    tables = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {5}
    assert "**1.0000** (+0.5)" in done.stdout or "**1** (+0.5)" in done.stdout or "(+0.5)" in done.stdout
    assert "changed train.py" in done.stdout


def test_text_names_only_what_differs_and_a_wrong_baseline_is_usage(home: tuple[Path, list[str]]) -> None:
    done = compare(home)
    assert done.returncode == 0
    assert "changed train.py" in done.stdout
    assert "alike.py" not in done.stdout
    assert "same" not in done.stdout
    assert compare(home, "--format", "xml").returncode == 2
