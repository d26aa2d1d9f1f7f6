"""Model files: only the bytes that were recorded, only the types on the console's list, and nothing runs before
that."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from backends.contract import NotFound, Refused
from console.training.columns import ModelColumns
from console.training.frame import Features
from console.training.model_file import file_sha256, load_model, save_model, untrusted_types
from console.training.pipeline import make_pipeline as training_pipeline
from console.training.recipe import parse_recipe

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": RNG.random(200),
        "c": RNG.choice(["x", "y", None], 200),
        "t": pd.date_range("2020-01-01", periods=200, freq="h"),
    }
)
LABEL = (FRAME["a"] + RNG.random(200) > 1).to_numpy()
RECIPE = parse_recipe('dataset = "d"\ntarget = "y"\ntask = "classification"\n[estimator]\nclass = "a.b"\n')


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=5),
        RandomForestClassifier(5),
        LogisticRegression(),
        MLPClassifier((4,), max_iter=300),
        KNeighborsRegressor(),
    ],
)
def test_a_trained_pipeline_comes_back_and_answers_alike(tmp_path: Path, estimator: Any) -> None:
    pipeline = training_pipeline(RECIPE, Features(["a"], ["c"], ["t"], {}), estimator).fit(FRAME, LABEL)
    described = save_model(pipeline, tmp_path / "model" / "model.skops")
    assert described.untrusted == ()
    assert described.path == "model/model.skops"
    assert described.format == "skops"
    assert described.libraries["scikit-learn"]
    loaded = load_model(tmp_path / "model" / "model.skops", described.sha256)
    odd = FRAME.assign(c="never seen", more=1)[::-1]
    np.testing.assert_array_equal(loaded.predict(odd), pipeline.predict(odd))


def test_one_changed_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    described = save_model(LogisticRegression().fit(FRAME[["a"]], LABEL), path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Refused, match="is not the file that was registered"):
        load_model(path, described.sha256)


def test_without_a_recorded_digest_nothing_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    save_model(LogisticRegression().fit(FRAME[["a"]], LABEL), path)
    with pytest.raises(Refused, match="no sha256 was recorded"):
        load_model(path, "")
    with pytest.raises(NotFound):
        load_model(tmp_path / "none.skops", "0" * 64)


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, (f"touch {self.marker}",)


def test_a_file_that_reduces_to_a_shell_command_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "evil.skops"
    skops.io.dump(Evil(marker), path)
    with pytest.raises(Refused, match="Evil"):
        load_model(path, file_sha256(path))
    assert not marker.exists()


def test_a_transformer_around_a_foreign_function_is_refused_with_its_name(tmp_path: Path) -> None:
    import os

    path = tmp_path / "model.skops"
    described = save_model(make_pipeline(FunctionTransformer(os.system), LogisticRegression()), path)
    assert described.untrusted == ("posix.system",)
    with pytest.raises(Refused, match=r"posix\.system"):
        load_model(path, described.sha256)


def test_a_pickle_under_a_models_name_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "model.skops"
    path.write_bytes(pickle.dumps(Evil(marker)))
    with pytest.raises(Refused, match="not a readable skops model file"):
        load_model(path, file_sha256(path))
    assert not marker.exists()


def test_a_crafted_schema_cannot_name_a_function_to_call(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "model.skops"
    save_model(LogisticRegression().fit(FRAME[["a"]], LABEL), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["warm_start"] = {
        "__class__": "system", "__module__": "posix", "__loader__": "ReduceNode", "__id__": 1,
        "content": {"reduce": {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "__id__": 2,
                               "content": json.dumps(f"touch {marker}"), "is_json": True}},
    }  # fmt: skip
    members["schema.json"] = json.dumps(schema).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    path.write_bytes(made.getvalue())
    with pytest.raises(Refused):
        load_model(path, file_sha256(path))
    assert not marker.exists()


def test_untrusted_types_are_told_without_loading(tmp_path: Path) -> None:
    path = tmp_path / "evil.skops"
    skops.io.dump(Evil(tmp_path / "ran"), path)
    assert any("Evil" in name for name in untrusted_types(path))
    assert not (tmp_path / "ran").exists()


def test_columns_are_taken_by_name_and_brought_to_their_kind() -> None:
    step = ModelColumns(["n", "b"], ["c"], ["t"])
    frame = pd.DataFrame(
        {"t": ["2020-01-06 05:00"], "c": [3.0], "n": ["1.5"], "b": [True], "other": [None]}, dtype=object
    )
    made = step.fit(frame).transform(frame)
    assert made.columns.tolist() == ["n", "b", "c", "t.month", "t.day", "t.weekday", "t.hour"]
    assert made.iloc[0].tolist() == [1.5, 1.0, "3", 1.0, 6.0, 0.0, 5.0]
    with pytest.raises(ValueError, match="the model needs the columns n, c, which the data does not have"):
        step.transform(frame[["b", "t"]])
