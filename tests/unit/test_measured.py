"""Which metric is shown first, and which run a name means."""

from __future__ import annotations

import pytest

from backends.contract import Invalid, NotFound
from backends.entities import Run, RunStatus
from console.training.find import find_run
from console.training.measured import headline, in_order, shared_order
from tests.unit.registry import ME, workspace


def run(metrics, primary=""):
    tags = {"console.primary": primary} if primary else {}
    return Run(
        id="1" * 32, name="r", experiment="e", status=RunStatus.FINISHED, created_at=0, metrics=metrics, tags=tags
    )


def test_the_primary_metric_of_the_recipe_stands_first_and_side_metrics_last():
    found = run({"train.auc": 0.9, "accuracy": 0.7, "brier": 0.2, "auc": 0.8, "own": 1.0}, "brier")
    assert in_order(found) == ["brier", "auc", "accuracy", "own", "train.auc"]


def test_without_a_primary_metric_auc_comes_before_accuracy():
    assert headline(run({"accuracy": 0.7, "auc": 0.8})) == "auc"


def test_a_run_that_measured_only_its_baseline_has_no_headline():
    assert headline(run({"baseline.auc": 0.5})) == ""


def test_the_columns_of_a_list_begin_with_what_most_of_it_is_judged_by():
    listed = [run({"rmse": 1.0, "auc": 0.5}, "rmse"), run({"rmse": 2.0}, "rmse"), run({"auc": 0.5}, "auc")]
    assert shared_order(listed) == ["rmse", "auc"]


def test_a_primary_metric_that_nobody_measured_makes_no_column():
    assert shared_order([run({"accuracy": 0.7}, "auc")]) == ["accuracy"]


@pytest.fixture
def runs(tmp_path):
    backend = workspace(tmp_path)
    yield backend.runs
    backend.close()


def test_a_name_that_one_run_has_finds_it(runs):
    made = runs.create(name="tumour-lr", mutation=ME)
    assert find_run(runs, "tumour-lr").id == made.id
    assert find_run(runs, made.id[:8]).id == made.id


def test_a_deleted_run_is_found_by_its_name_so_that_it_can_be_restored(runs):
    made = runs.create(name="tumour-lr", mutation=ME)
    runs.end(made.id, RunStatus.FAILED)
    runs.delete(made.id, ME)
    assert find_run(runs, "tumour-lr").id == made.id


def test_a_name_that_two_runs_have_says_which_they_are(runs):
    ids = [runs.create(name="twin", mutation=ME).id for _ in range(2)]
    with pytest.raises(Invalid) as told:
        find_run(runs, "twin")
    assert all(each[:8] in str(told.value) for each in ids)


def test_a_name_that_no_run_has_is_not_found(runs):
    with pytest.raises(NotFound, match="no run has the id or the name nobody"):
        find_run(runs, "nobody")
