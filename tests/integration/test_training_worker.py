"""The worker as its supervisor runs it: a process in a folder, with a descriptor to speak on."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from backends.system_metrics import own
from console.model_meta import ModelMeta
from console.monitoring.counted.profile import load_profile
from console.training.model_file import load_model

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(3)
ROWS = 600


def table() -> pd.DataFrame:
    x = RNG.normal(size=ROWS)
    group = RNG.choice(["north", "south", "west"], ROWS)
    label = x + (group == "north") + RNG.normal(scale=0.7, size=ROWS) > 0.3
    return pd.DataFrame(
        {
            "row": [f"id-{i}" for i in range(ROWS)],
            "x": np.where(RNG.random(ROWS) < 0.05, np.nan, x),
            "group": group,
            "site": RNG.choice(["a", "b", "c", "d", "e"], ROWS),
            "when": pd.date_range("2024-01-01", periods=ROWS, freq="h"),
            "nothing": np.full(ROWS, np.nan),
            "label": np.where(label, "yes", "no"),
            "three": np.where(x > 1, "high", np.where(x < -1, "low", "mid")),
            "constant": "same",
            "amount": 3 * x + RNG.normal(scale=0.1, size=ROWS),
        }
    )


FRAME = table()
BASE = {"dataset": "things", "target": "label", "task": "classification", "seed": 5}
RIDGE = "sklearn.linear_model.Ridge"
FOREST_HINT = "did you mean 'sklearn.ensemble.RandomForestClassifier'?"
HGB = "sklearn.ensemble.HistGradientBoostingClassifier"


class Ran:
    def __init__(self, folder: Path, code: int, lines: list[dict[str, Any]], log: str) -> None:
        self.folder, self.code, self.lines, self.log = folder, code, lines, log

    @property
    def failure(self) -> str:
        return next((line["fail"] for line in self.lines if "fail" in line), "")

    @property
    def metrics(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for line in self.lines:
            found |= line.get("metrics", {})
        return found

    def course(self, key: str) -> list[tuple[int, float]]:
        return [(line["step"], line["metrics"][key]) for line in self.lines if key in line.get("metrics", {})]

    @property
    def meta(self) -> ModelMeta:
        return msgspec.json.decode((self.folder / "artifacts/model/meta.json").read_bytes(), type=ModelMeta)


def train(tmp_path: Path, frame: pd.DataFrame = FRAME, estimator: str = HGB, tables: str = "", **keys: Any) -> Ran:
    folder = tmp_path / "run"
    folder.mkdir()
    frame.to_parquet(tmp_path / "data.parquet", index=False)
    given = {**BASE, **keys}
    top = "".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items())
    (folder / "recipe.toml").write_text(
        f'{top}{tables}\n[estimator]\nclass = "{estimator}"\n' if "[estimator" not in tables else top + tables
    )
    job = {"dataset": "things", "version": "1", "digest": "d" * 64, "path": str(tmp_path / "data.parquet")}
    (folder / "job.json").write_text(json.dumps(job))
    reading, writing = os.pipe()
    env = {
        **os.environ,
        "MLOPS_PROGRESS_FD": str(writing),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    with (
        (tmp_path / "out.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "console.training.worker"],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=log,
            pass_fds=[writing],
        ) as process,
    ):
        os.close(writing)
        with os.fdopen(reading) as said:
            lines = [json.loads(line) for line in said]
        code = process.wait(120)
    return Ran(folder, code, lines, (tmp_path / "out.log").read_text())


def test_a_training_leaves_a_model_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    ran = train(tmp_path)
    assert ran.code == 0, ran.log
    meta = ran.meta
    assert meta.classes == ("no", "yes")
    assert meta.positive == "yes"
    assert [column.name for column in meta.features] == ["x", "group", "site", "when", "three", "constant", "amount"]
    assert meta.dropped["nothing"] == "all values are missing"
    assert "names rows" in meta.dropped["row"]
    assert meta.libraries["scikit-learn"]
    assert meta.file.untrusted == ()
    assert (meta.train_rows, meta.test.rows) == (450, 150)
    assert meta.test.metrics["auc"] == ran.metrics["auc"]
    assert set(meta.importance) == {column.name for column in meta.features}
    assert max(meta.importance, key=meta.importance.__getitem__) in ("x", "amount", "group", "three")
    for name in ("model/reference.json", "model/reference_sample.parquet", "model/importance.json", "environment.txt"):
        assert (ran.folder / "artifacts" / name).stat().st_size
    assert "scikit-learn==" in (ran.folder / "artifacts/environment.txt").read_text()
    kept = [line["artifact"] for line in ran.lines if "artifact" in line]
    assert "model/model.skops" in kept
    profile = load_profile(ran.folder / "artifacts/model/reference.json")
    assert {column.name for column in profile.columns} == set(meta.importance)
    assert profile.metrics["auc"] == pytest.approx(ran.metrics["auc"], abs=0.01)


def test_the_reported_metrics_are_those_of_the_saved_model_on_the_held_out_rows(tmp_path: Path) -> None:
    ran = train(tmp_path, tables='[split]\nby = "time"\ncolumn = "when"\ntest = 0.25\n')
    model = load_model(ran.folder / "artifacts/model/model.skops", ran.meta.file.sha256)
    held_out = FRAME.iloc[450:]
    scores = model.predict_proba(held_out)[:, list(model.classes_).index("yes")]
    assert ran.metrics["auc"] == pytest.approx(roc_auc_score(held_out["label"] == "yes", scores))
    assert ran.metrics["brier"] == pytest.approx(np.mean((scores - (held_out["label"] == "yes")) ** 2))
    assert "when" not in [column.name for column in ran.meta.features]
    kept = pd.read_parquet(ran.folder / "artifacts/held_out.parquet")
    assert kept["row"].tolist() == list(range(450, 600))
    assert kept["target"].tolist() == held_out["label"].tolist()
    assert kept["score"].to_numpy() == pytest.approx(scores)


def test_the_course_of_a_metric_is_seen_while_it_fits_and_ends_at_the_result(tmp_path: Path) -> None:
    ran = train(tmp_path)
    course = ran.course("auc")
    assert len(course) >= 8
    assert [step for step, _ in course] == sorted({step for step, _ in course})
    assert course[-1] == (100, ran.metrics["auc"])
    assert ran.course("train.auc")[-1][1] > ran.course("train.auc")[0][1]
    assert ran.metrics["baseline.auc"] == 0.5
    fractions = [line["progress"] for line in ran.lines if "progress" in line]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_fitting_in_stages_gives_the_model_of_one_go() -> None:
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.pipeline import Pipeline
    from threadpoolctl import threadpool_limits

    from console.training.fitting import fit_in_stages

    rows, labels = FRAME[["amount"]].to_numpy(), (FRAME["label"] == "yes").to_numpy()
    for made in (
        HistGradientBoostingClassifier(max_iter=60, random_state=1),
        HistGradientBoostingClassifier(max_iter=300, early_stopping=True, random_state=1),
        RandomForestClassifier(40, random_state=1),
        GradientBoostingClassifier(n_estimators=40, random_state=1),
    ):
        with threadpool_limits(1):
            staged = Pipeline([("model", made)])
            steps = list(fit_in_stages(staged, rows, labels))
            assert len(steps) > 1
            assert steps[-1][2]
            whole = type(made)(**made.get_params()).fit(rows, labels)
            np.testing.assert_allclose(staged.predict_proba(rows), whole.predict_proba(rows))


def test_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = (
        train(tmp_path / name, estimator="sklearn.ensemble.RandomForestClassifier") for name in ("one", "two")
    )
    assert own(first.metrics) == own(second.metrics)
    assert first.meta.test.rows_sha256 == second.meta.test.rows_sha256


def test_folds_report_each_and_their_mean(tmp_path: Path) -> None:
    ran = train(
        tmp_path,
        estimator="sklearn.linear_model.LogisticRegression",
        tables='[split]\nby="group"\ncolumn="site"\nfolds=3\n',
    )
    assert ran.code == 0, ran.log
    folds = ran.course("fold.auc")
    assert [step for step, _ in folds] == [1, 2, 3]
    assert ran.metrics["cv.auc"] == pytest.approx(np.mean([value for _, value in folds]))
    reference = load_profile(ran.folder / "artifacts/model/reference.json")
    assert reference.query == "site"
    assert 0 < reference.ranking["ndcg"] <= 1, "what was held out by whole groups is ranked within them"


def test_a_regression_reports_its_own_metrics(tmp_path: Path) -> None:
    ran = train(tmp_path, target="amount", task="regression", estimator=RIDGE)
    assert ran.code == 0, ran.log
    assert ran.metrics["r2"] > 0.5 > ran.metrics["baseline.r2"]
    assert ran.metrics["rmse"] < ran.metrics["baseline.rmse"]


def test_more_than_two_classes_are_measured_one_against_the_rest(tmp_path: Path) -> None:
    ran = train(
        tmp_path, target="three", columns=["amount", "group"], estimator="sklearn.linear_model.LogisticRegression"
    )
    assert ran.code == 0, ran.log
    assert ran.metrics["auc"] > 0.9
    assert ran.meta.classes == ("high", "low", "mid")
    assert "brier" not in ran.metrics


def test_an_estimator_within_an_estimator_can_be_trained_and_loaded(tmp_path: Path) -> None:
    ran = train(
        tmp_path,
        tables='[estimator]\nclass = "sklearn.calibration.CalibratedClassifierCV"\n[estimator.params]\ncv = 2\n'
        '[estimator.params.estimator]\nclass = "sklearn.naive_bayes.GaussianNB"\n',
    )
    assert ran.code == 0, ran.log
    assert ran.meta.file.untrusted == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "lable"}, "target 'lable' is not a column of things@1; did you mean 'label'?"),
        ({"target": "constant"}, "has one class only (\"same\" in all 600 rows)"),
        ({"target": "nothing", "task": "regression", "estimator": RIDGE}, "has no value in any row"),
        ({"columns": ["nothing"]}, "no column of things@1 is left to learn from (nothing: all values are missing)"),
        ({"estimator": "sklearn.ensemble.RandomForestClasifier"}, FOREST_HINT),
        ({"estimator": "sklearn.tree.RandomForestClassifier"}, FOREST_HINT),
        ({"estimator": RIDGE}, "is a regressor, but the task is classification; sklearn.linear_model.RidgeC"),
        ({"estimator": "os.system"}, "is not a scikit-learn estimator"),
        ({"estimator": "nowhere.Model"}, "the package 'nowhere' is not installed here"),
        ({"target": "label", "task": "regression", "estimator": RIDGE}, "text, regression wants numbers"),
        ({"target": "row"}, "has 600 distinct values, more than 100 classes"),
        ({"positive": "maybe"}, "positive class 'maybe' is not among the classes of 'label': no, yes"),
        (
            {"tables": f'[estimator]\nclass="{HGB}"\nparams={{max_itr=5}}\n'},
            "'max_itr' is not a parameter of HistGradientBoostingClassifier; did you mean 'max_iter'?",
        ),
        ({"tables": f'[estimator]\nclass="{HGB}"\nparams={{max_iter=-5}}\n'}, "The 'max_iter' parameter of"),
        ({"estimator": "sklearn.naive_bayes.MultinomialNB"}, "failed while fitting: ValueError: Negative values"),
        (
            {"estimator": "sklearn.svm.LinearSVC", "tables": '[metrics]\nprimary="log_loss"\n'},
            "that gives probabilities",
        ),
        ({"tables": '[split]\nby="time"\ncolumn="site"\n'}, "a split by time wants times"),
        ({"tables": '[split]\nby="group"\ncolumn="constant"\n'}, "has one group only"),
        ({"frame": FRAME.head(15)}, "has 15 usable rows, wanted at least 20"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_told_in_plain_words(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    ran = train(tmp_path, **changes)
    assert ran.code == 1
    assert words in ran.failure
    assert "\n" not in ran.failure
    assert not (ran.folder / "artifacts/model/model.skops").exists()


def test_an_estimators_own_error_is_the_reason_and_its_traceback_is_in_the_log(tmp_path: Path) -> None:
    ran = train(tmp_path, estimator="sklearn.naive_bayes.MultinomialNB")
    assert "Traceback (most recent call last)" in ran.log
    assert "Traceback" not in ran.failure


def test_a_high_cardinality_column_is_cut_to_its_frequent_levels(tmp_path: Path) -> None:
    frame = FRAME.assign(many=[f"m{i % 400}" for i in range(ROWS)])
    ran = train(tmp_path, frame, columns=["x", "many"], estimator="sklearn.linear_model.LogisticRegression")
    assert ran.code == 0, ran.log
    model = load_model(ran.folder / "artifacts/model/model.skops", ran.meta.file.sha256)
    assert model[:-1].transform(frame.head(3)).shape[1] <= 1 + 64
    assert not math.isnan(model.predict_proba(frame.head(1).assign(many="unseen"))[0, 0])


def test_a_worker_whose_data_is_gone_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.toml").write_text('dataset="d"\ntarget="y"\ntask="regression"\n[estimator]\nclass="a.b"\n')
    (folder / "job.json").write_text('{"dataset":"d","version":"2","digest":"","path":"/nowhere"}')
    done = subprocess.run(
        [sys.executable, "-m", "console.training.worker"], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "the file of d@2 is gone from the store" in done.stdout
