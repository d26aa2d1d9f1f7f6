"""A model that the console trained, in the hands of MLflow's own client: unmodified, and without the console."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backends.contract import Mutation
from backends.entities import ModelVersion, Monitor, RunStatus
from backends.mlmodel import describe
from console.monitoring.feeds.champion import load_champion, scores_of
from console.promotion.promote import promote
from console.promotion.register import register_run
from console.training.model_file import load_model
from tests.integration.test_training_worker import FRAME, HGB, Ran, train
from tests.protocol_server import TOKEN, OwnServer, start_own

pytest.importorskip("mlflow", reason="mlflow comes with the test extra")

ANN = Mutation("ann@box")

CLIENT = """
import importlib, json, os, sys

class NoConsole:  # as where the console was never installed
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "backends":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoConsole())
sys.path[:] = [each for each in sys.path if each and not os.path.exists(os.path.join(each, "console", "__init__.py"))]
import pandas as pd
import mlflow

rows = pd.read_parquet(sys.argv[1])
loaded = mlflow.pyfunc.load_model(sys.argv[2])
plain = mlflow.sklearn.load_model(sys.argv[2])
answer = {
    "predicted": loaded.predict(rows).tolist(),
    "by_sklearn": plain.predict(rows).tolist(),
    "inputs": [[each.name, each.type.name] for each in loaded.metadata.signature.inputs],
    "code": sys.modules["console.training.columns"].__file__,
}
if hasattr(plain, "predict_proba"):
    answer["scores"] = plain.predict_proba(rows)[:, list(plain.classes_).index(sys.argv[3])].tolist()
print(json.dumps(answer))
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnServer]:
    server = start_own(tmp_path / "workspace")
    yield server
    server.stop()


def registered(own: OwnServer, ran: Ran, leaving_out: tuple[str, ...] = ()) -> ModelVersion:
    """The worker's artifacts as its supervisor keeps them, registered and made champion."""
    backend = own.backend
    run = backend.need("runs").create(name="trained", mutation=ANN).id
    backend.need("runs").start(run)
    root = ran.folder / "artifacts"
    for file in sorted(root.rglob("*")):
        path = file.relative_to(root).as_posix()
        if file.is_file() and not path.startswith(leaving_out or "\0"):
            backend.need("artifacts").put(run, path, file)
    backend.need("runs").end(run, RunStatus.FINISHED)
    version = register_run(backend, run, "flights", ANN)
    promote(backend, "flights", version.version, "champion", ANN, expected=None)
    return version


def loaded(own: OwnServer, tmp_path: Path, uri: str = "models:/flights@champion") -> dict[str, Any]:
    FRAME.to_parquet(tmp_path / "rows.parquet", index=False)
    # MLflow keeps what its client was last told in the environment, and other tests told it of other servers.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("MLFLOW_")}
    env |= {"MLFLOW_TRACKING_URI": own.url, "MLFLOW_TRACKING_TOKEN": TOKEN, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(tmp_path / "rows.parquet"), uri, "yes"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_mlflow_loads_the_champion_without_the_console_and_predicts_the_same(own: OwnServer, tmp_path: Path) -> None:
    ran = train(tmp_path)
    assert ran.code == 0, ran.log
    registered(own, ran)
    answer = loaded(own, tmp_path)
    champion = load_champion(own.backend, Monitor(name="live", model="flights"))
    np.testing.assert_array_equal(answer["scores"], scores_of(champion, FRAME))
    ours = load_model(ran.folder / "artifacts/model/model.skops", ran.meta.file.sha256)
    assert answer["predicted"] == answer["by_sklearn"] == ours.predict(FRAME).tolist()
    assert not answer["code"].startswith(str(Path(__file__).parents[2]))
    assert answer["inputs"] == [
        ["x", "double"], ["group", "string"], ["site", "string"], ["when", "datetime"], ["three", "string"],
        ["constant", "string"], ["amount", "double"],
    ]  # fmt: skip


def test_mlflow_loads_a_regression_too(own: OwnServer, tmp_path: Path) -> None:
    ran = train(tmp_path, estimator="sklearn.ensemble.RandomForestRegressor", target="amount", task="regression")
    assert ran.code == 0, ran.log
    registered(own, ran)
    ours = load_model(ran.folder / "artifacts/model/model.skops", ran.meta.file.sha256)
    np.testing.assert_array_equal(loaded(own, tmp_path)["predicted"], ours.predict(FRAME))


def test_what_mlflow_needs_changes_nothing_of_what_is_registered(own: OwnServer, tmp_path: Path) -> None:
    """The recorded file is model.skops, with its own sha256; described by MLmodel alone it is the same."""
    ran = train(tmp_path, estimator="sklearn.linear_model.LogisticRegression", tables="[preprocess]\n")
    assert ran.code == 0, ran.log
    version = registered(own, ran)
    assert version.file == ran.meta.file
    said = describe(own.backend, version.run, "model", version.run)
    assert (said.file.sha256, said.file.path, said.file.format) == (version.file.sha256, "model/model.skops", "skops")
    assert said.signature == version.signature


def test_a_run_of_before_registers_and_is_promoted_without_an_mlmodel(own: OwnServer, tmp_path: Path) -> None:
    ran = train(tmp_path, estimator=HGB)
    assert ran.code == 0, ran.log
    left_out = ("model/MLmodel", "model/requirements.txt", "model/python_env.yaml", "model/conda.yaml", "model/code")
    version = registered(own, ran, left_out)
    assert own.backend.need("registry").get("flights").aliases == {"champion": version.version}
    assert own.backend.need("artifacts").list(version.run, prefix="model/MLmodel") == ()


def test_a_column_that_may_be_empty_is_a_double_to_mlflow(tmp_path: Path) -> None:
    """MLflow refuses an empty value in a whole-number column: one that had some in training is no such column."""
    frame = FRAME.assign(
        whole=np.arange(len(FRAME)), holes=pd.array([None, *range(1, len(FRAME))], dtype="Int64"), flag=FRAME.x > 0
    )
    ran = train(tmp_path, frame=frame, columns=["whole", "holes", "flag", "x"])
    assert ran.code == 0, ran.log
    from mlflow.models import Model

    found = Model.load(str(ran.folder / "artifacts/model")).signature.inputs
    assert {each.name: each.type.name for each in found} == {
        "whole": "long", "holes": "double", "flag": "boolean", "x": "double",
    }  # fmt: skip
