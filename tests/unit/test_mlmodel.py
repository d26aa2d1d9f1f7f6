"""What an MLmodel file says, and where a version's files lie."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from backends import mlmodel
from backends.contract import Mutation
from backends.entities import Column, ColumnType, ModelFile, ModelVersion, Signature
from backends.local import open_local
from backends.mlmodel import Place, place_of, signature_of, with_package
from console.promotion.gates import gates_against

ME = Mutation("ann@box")

MLMODEL = """artifact_path: mlflow-artifacts:/0/models/m-1/artifacts
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    python_version: 3.11.7
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.7.0
mlflow_version: 3.17.2
model_size_bytes: 1234
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}, {"type": "long",
    "name": "it''s", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
"""


def version(**more: Any) -> ModelVersion:
    return ModelVersion(model="churn", version="1", created_at=1, **more)


@pytest.mark.parametrize(
    ("found", "place"),
    [
        (version(run="r1", file=ModelFile(path="model/model.skops")), Place("r1", "model")),
        (version(run="r1", file=ModelFile(path="model.pkl", owner="m-1")), Place("m-1", "")),
        (version(run="r1", source="runs:/r1/some/model"), Place("r1", "some/model")),
        (version(run="r1", source="models:/m-1"), Place("m-1", "")),
        (version(run="r1", source="mlflow-artifacts:/7/r1/artifacts/model"), Place("r1", "model")),
        (version(run="r1", source="s3://bucket/7/r1/artifacts/model"), Place("r1", "model")),
        (version(logged_model="m-1", source="mlflow-artifacts:/7/models/m-1/artifacts"), Place("m-1", "")),
        (version(logged_model="m-1", source="dbfs:/elsewhere"), Place("m-1", "")),
        (version(run="r1", source="s3://bucket/7/r2/artifacts/model"), None),
        (version(run="r1", source="models:/other/3"), None),
        (version(source="console:/nowhere"), None),
        (version(), None),
    ],
)
def test_where_files_lie_follows_from_the_record(found: ModelVersion, place: Place | None) -> None:
    assert place_of(found) == place


def test_a_signature_has_columns_optional_ones_and_tensors() -> None:
    assert signature_of(MLMODEL) == Signature(
        inputs=(
            Column(name="x", type=ColumnType.FLOAT),
            Column(name="it's", type=ColumnType.INT, note="optional"),
        ),
        outputs=(Column(name="0", type=ColumnType.OTHER, note="tensor int64 (-1)"),),
    )


@pytest.mark.parametrize("inputs", ["'{\"a\": 1}'", "null", "'[1, 2]'", "'[{\"tensor-spec\": 3}]'", "'[[[['", "&a *a"])
def test_an_odd_signature_is_none_and_no_error(inputs: str) -> None:
    assert all(column.type is ColumnType.OTHER for column in signature_of(f"\nsignature:\n  inputs: {inputs}\n").inputs)


@pytest.fixture
def backend(tmp_path):
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


def logged(backend, tmp_path, text=MLMODEL, requirements="# pinned\nmlflow==3.17.2\n\nscikit-learn==1.7.0\n"):
    run = backend.runs.create(name="r", mutation=ME).id
    for name, content in (("MLmodel", text), ("requirements.txt", requirements)):
        if content is not None:
            (tmp_path / "file").write_text(content)
            backend.artifacts.put(run, f"model/{name}", tmp_path / "file")
    return backend.registry.register(
        "churn", run=run, file=ModelFile(), signature=Signature(), mutation=ME, source=f"runs:/{run}/model"
    )


def test_a_version_tells_how_it_is_packed_and_is_read_once(backend, tmp_path, monkeypatch):
    found = logged(backend, tmp_path)
    told = with_package(backend, found)
    assert told.package is not None
    assert told.package.flavors == ("python_function", "sklearn")
    assert (told.package.mlflow, told.package.python, told.package.bytes) == ("3.17.2", "3.11.7", 1234)
    assert told.package.requirements == ("mlflow==3.17.2", "scikit-learn==1.7.0")
    assert told.file == ModelFile(format="pickle", bytes=1234, path="model/model.pkl")
    assert told.signature == signature_of(MLMODEL)
    monkeypatch.setattr(type(backend.artifacts), "open", None)  # nothing is asked again
    assert with_package(backend, found) == told
    assert msgspec.json.decode(msgspec.json.encode(told), type=ModelVersion) == told


def test_what_was_recorded_at_registration_stands(backend, tmp_path):
    found = logged(backend, tmp_path)
    own = Signature(inputs=(Column(name="y", type=ColumnType.INT),))
    recorded = msgspec.structs.replace(found, signature=own, file=ModelFile(path="model/x.skops", format="skops"))
    told = with_package(backend, recorded)
    assert (told.signature, told.file) == (recorded.signature, recorded.file)
    assert told.package is not None


def test_a_version_without_an_mlmodel_is_as_it_was(backend, tmp_path):
    found = logged(backend, tmp_path, text=None)
    assert with_package(backend, found) is found


def test_the_gate_compares_what_mlmodel_files_say(backend, tmp_path):
    holder = logged(backend, tmp_path)
    other = MLMODEL.replace('"name": "x"', '"name": "z"')
    for text, value, status in (
        (MLMODEL, "same", "pass"),
        (other, "adds z; removes x", "fail"),
        (MLMODEL.replace('"type": "double"', '"type": "string"'), "other type of x", "fail"),
        (MLMODEL.replace('"type": "long"', '"type": "double"'), "same", "pass"),
    ):
        gate = next(g for g in gates_against(backend, logged(backend, tmp_path, text), holder) if g.gate == "signature")
        assert (gate.value, gate.status) == (value, status)


def test_no_more_is_kept_than_some_hundred(backend, tmp_path, monkeypatch):
    monkeypatch.setattr(mlmodel, "_MOST_KEPT", 2)
    monkeypatch.setattr(mlmodel, "_KEPT", {})
    for _ in range(4):
        with_package(backend, logged(backend, tmp_path))
    assert len(mlmodel._KEPT) == 2
