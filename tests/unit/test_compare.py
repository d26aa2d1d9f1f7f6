"""Runs side by side."""

from __future__ import annotations

import csv
import io
import json
import math

from backends.entities import DatasetInput, Run, RunStatus, Source
from console.training.changed_code import MOST_FILES, changed_files
from console.training.compare import compare, higher_is_better
from console.training.comparison_text import comparison_text


def run(name: str, params: dict[str, str], metrics: dict[str, float], **more: object) -> Run:
    return Run(
        id=name,
        name=name,
        experiment="e",
        status=RunStatus.FINISHED,
        created_at=0,
        params=params,
        metrics=metrics,
        **more,
    )  # type: ignore[arg-type]


def test_what_differs_comes_first_and_absent_is_none() -> None:
    made = compare([run("a", {"depth": "3", "lr": "0.1", "zeta": "1"}, {}), run("b", {"depth": "3", "lr": "0.3"}, {})])
    assert [(row.key, row.values, row.differs) for row in made.params] == [
        ("lr", ("0.1", "0.3"), True),
        ("zeta", ("1", None), True),
        ("depth", ("3", "3"), False),
    ]


def test_the_best_is_marked_by_the_metrics_own_direction() -> None:
    made = compare(
        [
            run(
                "a",
                {},
                {"auc": 0.7, "log_loss": 0.5, "odd": 1.0, "train.auc": 0.9},
                tags={"console.primary": "log_loss"},
            ),
            run("b", {}, {"auc": 0.8, "log_loss": 0.6, "odd": 2.0, "train.auc": 1.0}),
            run("c", {}, {"auc": 0.8, "log_loss": math.nan}),
        ]
    )
    best = {row.key: row.best for row in made.metrics}
    assert best == {"auc": (1, 2), "log_loss": (0,), "odd": (), "train.auc": ()}
    assert made.metrics[0].key == made.primary == "log_loss"


def test_nothing_is_best_among_equals_or_alone() -> None:
    assert compare([run("a", {}, {"auc": 0.7})]).metrics[0].best == ()
    assert compare([run("a", {}, {"auc": 0.7}), run("b", {}, {"auc": 0.7})]).metrics[0].best == ()


def test_data_and_code_are_compared_too() -> None:
    inputs = (DatasetInput(dataset="d", version="1", digest="x"),)
    made = compare(
        [
            run("a", {}, {}, inputs=inputs, source=Source(commit="a" * 40)),
            run("b", {}, {}, inputs=inputs, source=Source(commit="a" * 40, dirty=True)),
        ]
    )
    facts = {row.key: (row.values, row.differs) for row in made.facts}
    assert facts["data"] == (("d@1", "d@1"), False)
    assert facts["commit"] == (("a" * 12, "a" * 12 + " with changes"), True)


def test_directions() -> None:
    assert higher_is_better("test.accuracy") is True
    assert higher_is_better("val_loss") is False
    assert higher_is_better("rmse") is False
    assert higher_is_better("temperature") is None


def test_differences_are_to_the_baseline_and_none_where_either_is_no_number() -> None:
    runs = [run("a", {}, {"auc": 0.75}), run("b", {}, {"auc": 0.5}), run("c", {}, {"auc": math.nan}), run("d", {}, {})]
    assert compare(runs).metrics[0].differences == (0.0, -0.25, None, None)
    held = compare(runs, baseline=1)
    assert held.baseline == 1
    assert held.metrics[0].differences == (0.25, 0.0, None, None)
    assert compare(runs, baseline=3).metrics[0].differences == (None, None, None, None)


def test_exports_hold_every_row_raw_and_in_one_piece() -> None:
    runs = [
        run("a", {"lr": "1|2", "same": "x"}, {"auc": 0.75}),
        run("b", {"lr": "3\nnext", "same": "x"}, {"auc": 0.5}),
    ]
    found = compare(runs)
    rows = list(csv.reader(io.StringIO(comparison_text(found, "csv"))))
    assert rows[0] == ["kind", "key", "differs", "best", "a a", "b b"]
    assert ["metric", "auc", "yes", "a", "0.75", "0.5"] in rows
    assert ["difference", "auc", "yes", "", "0.0", "-0.25"] in rows
    assert ["parameter", "lr", "yes", "", "1|2", "3\nnext"] in rows
    assert [row[1] for row in rows if row[0] == "parameter"] == ["lr", "same"]
    document = json.loads(comparison_text(found, "json"))
    assert document["metrics"][0]["differences"] == [0.0, -0.25]
    text = comparison_text(found, "md")
    assert "**0.7500** | 0.5000 (-0.25)" in text or "**0.75** | 0.5 (-0.25)" in text
    assert "1\\|2" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") in (3, 4) for line in tables)


DIFF = """diff --git a/train.py b/train.py
index 1..2 100644
--- a/train.py
+++ b/train.py
@@ -1,2 +1,3 @@
 import os
-rate = 1
+rate = 2
+depth = 3
diff --git a/with space.txt b/with space.txt
index 3..4 100644
--- a/with space.txt
+++ b/with space.txt
@@ -1 +1 @@
--- dashes of its own
+++ plus of its own
# not under version control: notes.md
"""


def test_the_files_that_differ_in_the_code_are_named() -> None:
    one, other = changed_files(DIFF), changed_files(DIFF.replace("rate = 2", "rate = 9"))
    assert set(one) == {"train.py", "with space.txt", "notes.md"}
    assert one["train.py"].startswith("+2 -1 lines, ")
    assert one["with space.txt"].startswith("+1 -1 lines, ")
    runs = [run("a", {}, {}), run("b", {}, {}), run("c", {}, {})]
    facts = {row.key: row for row in compare(runs, changes={"a": one, "b": other}).facts}
    assert {key for key, row in facts.items() if row.differs} == {
        "changes", "changed train.py", "changed with space.txt", "changed notes.md",
    }  # fmt: skip
    assert facts["changes"].values == ("3 files", "3 files", None)
    two = {row.key: row.differs for row in compare(runs[:2], changes={"a": one, "b": other}).facts}
    assert [key for key, differs in two.items() if differs] == ["changed train.py"]


def test_a_diff_of_very_many_files_is_cut_and_still_told_apart() -> None:
    diff = "".join(f"diff --git a/f{at} b/f{at}\n@@ -1 +1 @@\n+{at}\n" for at in range(MOST_FILES + 50))
    one, other = changed_files(diff), changed_files(diff.replace("\n+99\n", "\n+98\n"))
    assert len(one) == MOST_FILES + 1
    assert one != other
