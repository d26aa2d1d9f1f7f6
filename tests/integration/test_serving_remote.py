"""Models of an MLflow server, served: fetched, verified and loaded by the same rules; what those forbid is refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from backends.connect import connect
from backends.contract import Backend, BackendError
from backends.entities import ModelFile, Signature
from backends.login import Login
from console.serving.fetched import fetch_version
from console.serving.invocations import Call
from console.serving.loaded import load
from tests.protocol_server import TOKEN, start_own
from tests.serving import WHO, fitted, json_rows, keep_version, labels, point, rows, serving, until

FRAME = rows(300)
NUMBERS = FRAME[["weight", "stops"]]


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Backend]:
    """Our MLflow client on a server of the protocol."""
    server = start_own(tmp_path / "served")
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    backend = connect("team", f"mlflow+{server.url}", sidecar=tmp_path / "sidecar", login=Login(file=str(token)))
    yield backend
    backend.close()
    server.stop()


def logged(backend: Backend, folder: Path, model: Any, *, format: str = "skops", signature: bool = True) -> str:  # noqa: A002
    """As an MLflow client logs and registers a scikit-learn model; nobody records a sha256."""
    folder.mkdir()
    data = folder / ("model.skops" if format == "skops" else "model.pkl")
    if format == "skops":
        skops.io.dump(model, data)
    else:
        data.write_bytes(pickle.dumps(model))
    inputs = json.dumps(
        [{"type": "double", "name": "weight", "required": True}, {"type": "long", "name": "stops", "required": True}]
    )
    outputs = json.dumps([{"type": "string", "required": True}])
    (folder / "MLmodel").write_text(
        f"flavors:\n  sklearn:\n    pickled_model: {data.name}\n    serialization_format: {format}\n"
        + (f"signature:\n  inputs: {json.dumps(inputs)}\n  outputs: {json.dumps(outputs)}\n" if signature else "")
    )
    run = backend.need("runs").create(name="logged", mutation=WHO)
    for name in (data.name, "MLmodel"):
        backend.need("artifacts").put(run.id, f"model/{name}", folder / name)
    version = backend.need("registry").register(
        "parcels", run=run.id, file=ModelFile(), signature=Signature(), mutation=WHO, source=f"runs:/{run.id}/model"
    )
    return str(version.version)


def test_a_version_of_ours_is_served_from_there_and_its_alias_followed(remote: Backend, tmp_path: Path) -> None:
    pipeline = fitted(FRAME, labels(FRAME), LogisticRegression(max_iter=200))
    other = fitted(FRAME, labels(FRAME)[::-1], LogisticRegression(max_iter=200))
    for number, each in enumerate((pipeline, other)):
        keep_version(remote, tmp_path / str(number), each, FRAME)
    point(remote, "champion", "1")
    new = rows(5, seed=4)
    with serving(remote, tmp_path / "server") as served:

        def answers(wanted: Any) -> bool:
            answer = served.http.post("/invocations", json={"instances": json_rows(new)})
            return bool(answer.json()["predictions"] == wanted.predict(new).tolist())

        assert answers(pipeline)
        assert TOKEN not in (tmp_path / "server" / "spec.json").read_text()
        point(remote, "champion", "2")
        until(lambda: served.state().targets[0].version == "2", what="the version that the alias moved to")
        assert answers(other)


def test_a_model_that_mlflow_logged_answers_as_it_does(remote: Backend, tmp_path: Path) -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS, labels(FRAME))
    version = logged(remote, tmp_path / "m", pipeline)
    loaded = load(fetch_version(remote, "parcels", version))
    new = rows(20, seed=5)[["weight", "stops"]]
    answer = loaded.answer(Call("instances", new.to_dict("records")).rows(loaded.shape))
    assert answer.values == pipeline.predict(new).tolist()
    np.testing.assert_array_equal(answer.scores, pipeline.predict_proba(new)[:, 1])
    assert loaded.shape.required == {"weight", "stops"}, "it has no answer where a value is missing"


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    ("model", "said", "words"),
    [
        (Evil(), {"format": "pickle"}, "runs code"),
        (DecisionTreeClassifier(max_depth=2).fit(NUMBERS, labels(FRAME)), {}, "no sha256 was recorded"),
        (LogisticRegression().fit(NUMBERS, labels(FRAME)), {"signature": False}, "no signature"),
    ],
    ids=["a pickle", "a tree that nobody vouches for", "no signature"],
)
def test_what_is_not_served_says_why(
    remote: Backend, tmp_path: Path, model: Any, said: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    version = logged(remote, tmp_path / "m", model, **said)
    with pytest.raises(BackendError, match=words):
        load(fetch_version(remote, "parcels", version))
    assert not (tmp_path / "pwned").exists()


def test_rows_are_typed_as_the_signature_says(remote: Backend, tmp_path: Path) -> None:
    version = logged(remote, tmp_path / "m", LogisticRegression().fit(NUMBERS, labels(FRAME)))
    loaded = load(fetch_version(remote, "parcels", version))
    wanted = pd.DataFrame({"weight": [1.0], "stops": [2]})
    assert loaded.answer(Call("inputs", {"weight": 1, "stops": 2}).rows(loaded.shape)).values == (
        loaded.model.predict(wanted).tolist()
    )
