"""A version's ONNX form gives what scikit-learn gives, for every way of asking, and where values are missing or new."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from backends.contract import Refused
from backends.entities import GateStatus
from console.serving.answering import Answer, Loaded
from console.serving.fetched import OnnxFile, VersionFile
from console.serving.invocations import Call
from console.serving.loaded import Fitted, load
from console.serving.onnx.facts import MISSING
from console.serving.onnx.graph import onnx_model
from console.serving.onnx.nodes import Unconvertible
from console.serving.onnx.parity import compared, rows_from
from console.serving.onnx.session import Session, load_onnx
from console.serving.refusal import Refusal
from console.training.model_file import save_model
from tests.serving import columns_of, fitted, json_rows, labels, rows

pytest.importorskip("onnxruntime", reason="onnxruntime comes with the test extra")
pytest.importorskip("skl2onnx", reason="skl2onnx comes with the test extra")

FRAME = rows(400)
HOLED = FRAME.mask(pd.DataFrame(np.random.default_rng(1).random(FRAME.shape) < 0.1, columns=FRAME.columns))
HOLED["stops"], HOLED["express"] = HOLED["stops"].astype("float64"), HOLED["express"].astype("float64")
LATE = labels(FRAME)
KINDS = np.array(["a", "b", "c"])[np.digitize(FRAME["weight"], [4, 6])]
WEIGHT = FRAME["weight"].to_numpy().clip(0.1)

MODELS: dict[str, tuple[Any, Any, pd.DataFrame]] = {
    "logistic": (LogisticRegression(max_iter=200), LATE, HOLED),
    "logistic, three classes": (LogisticRegression(max_iter=200), KINDS, HOLED),
    "boosting": (HistGradientBoostingClassifier(max_iter=8), LATE, HOLED),
    "boosting, true or false": (HistGradientBoostingClassifier(max_iter=8), LATE == "yes", FRAME),
    "boosting, numbered classes": (HistGradientBoostingClassifier(max_iter=5), np.digitize(WEIGHT, [4, 6]), HOLED),
    "boosted regression": (HistGradientBoostingRegressor(max_iter=8), WEIGHT, HOLED),
    "boosted counts": (HistGradientBoostingRegressor(max_iter=8, loss="poisson"), WEIGHT, HOLED),
    "forest": (RandomForestClassifier(n_estimators=8), LATE, HOLED),
    "forest, three classes": (RandomForestClassifier(n_estimators=8), KINDS, HOLED),
    "extra trees": (ExtraTreesClassifier(n_estimators=8), LATE, FRAME),
    "forest of numbers": (RandomForestRegressor(n_estimators=8), WEIGHT, HOLED),
    "tree": (DecisionTreeClassifier(max_depth=3), LATE, HOLED),
    "a stump without a branch": (DecisionTreeRegressor(max_leaf_nodes=2, min_samples_leaf=390), WEIGHT, FRAME),
    "gradient boosting": (GradientBoostingClassifier(n_estimators=8), LATE, FRAME),
    "gradient boosting, three classes": (GradientBoostingClassifier(n_estimators=5), KINDS, FRAME),
    "gradient boosted numbers": (GradientBoostingRegressor(n_estimators=8), WEIGHT, FRAME),
    "linear": (LinearRegression(), WEIGHT, HOLED),
    "margins": (LinearSVC(), LATE, FRAME),
    "margins, three classes": (RidgeClassifier(), KINDS, FRAME),
    "bayes": (GaussianNB(), LATE, FRAME),
    "network": (MLPClassifier((4,), max_iter=30), LATE, FRAME),
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def both(folder: Path, pipeline: Any, frame: pd.DataFrame) -> tuple[Fitted, Session]:
    """The version by scikit-learn, and by onnxruntime."""
    file = save_model(pipeline, folder / "model.skops")
    version = VersionFile(
        model="m", version="1", path=str(folder / "model.skops"), sha256=file.sha256,
        features=columns_of(FRAME[list(frame)]),
    )  # fmt: skip
    one = load(version)
    return one, converted(folder, one)


def converted(folder: Path, one: Fitted) -> Session:
    content = onnx_model(one.model, one.shape.names, said={}).SerializeToString()
    path = folder / "model.onnx"
    path.write_bytes(content)
    classes = tuple(one.class_values) if one.classifies else ()
    onnx = OnnxFile(
        path=str(path), sha256=hashlib.sha256(content).hexdigest(), classes=classes, required=tuple(one.shape.required)
    )
    return load_onnx(msgspec.structs.replace(one.file, onnx=onnx))


def asked(frame: pd.DataFrame) -> list[dict[str, Any]]:
    new = json_rows(rows(12, seed=7))
    for at, row in enumerate(new):
        if at % 3 == 1 and frame is HOLED:
            row[list(row)[at % len(row)]] = None
        if at % 3 == 2:
            row["carrier"] = "pigeon"
            row["weight"] = float(10.0 ** (at - 8))
    new[3]["carrier"] = MISSING
    return new


@pytest.mark.parametrize("name", MODELS)
def test_every_way_of_asking_gets_the_same(tmp_path: Path, name: str) -> None:
    estimator, target, frame = MODELS[name]
    one, other = both(tmp_path, fitted(frame, target, estimator), frame)
    assert compared(one, other, rows_from(frame, one.file.features)).status is GateStatus.PASS
    some = asked(frame)
    batches = [some, *([row] for row in some[:6])]
    for batch in batches:
        for method in ("predict", "predict_proba", "decision_function", "score"):
            told(one, other, batch, method)


def told(one: Loaded, other: Loaded, batch: list[dict[str, Any]], method: str) -> None:
    """Both say the same, or both refuse."""
    first, second = answer_or_status(one, batch, method), answer_or_status(other, batch, method)
    if isinstance(first, int) or isinstance(second, int):
        assert first == second
        return
    if method == "predict" and one.classifies:
        assert second.values == first.values
        assert [type(value) for value in second.values] == [type(value) for value in first.values]
    else:
        np.testing.assert_allclose(second.values, first.values, rtol=1e-9, atol=1e-9)
    assert (first.predictions is None) == (second.predictions is None)
    if first.scores is None:
        assert second.scores is None
    else:
        np.testing.assert_allclose(second.scores, first.scores, rtol=1e-9, atol=1e-9)


def answer_or_status(one: Loaded, batch: list[dict[str, Any]], method: str) -> Answer | int:
    try:
        return one.answer(Call("dataframe_records", batch).rows(one.shape), method)
    except Refusal as error:
        return error.status


def test_a_missing_value_is_refused_where_the_model_has_no_answer(tmp_path: Path) -> None:
    frame = FRAME[["weight", "stops"]]
    pipeline = fitted(frame, LATE, LogisticRegression())
    pipeline.named_steps["preprocess"].transformers_[0][1].steps.pop(0)  # no imputer
    one, other = both(tmp_path, pipeline, frame)
    assert other.shape.required == one.shape.required == {"weight", "stops"}


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (SVC(), "margins"),
        (HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]), "categories of their own"),
        (GradientBoostingClassifier(n_estimators=2, init=GaussianNB()), "first estimate"),
    ],
)
def test_what_has_no_onnx_form_says_why(estimator: Any, why: str) -> None:
    frame = FRAME[["stops", "weight"]]
    with pytest.raises(Unconvertible, match=why):
        onnx_model(fitted(frame, LATE, estimator), list(frame), said={})


def test_a_pipeline_of_another_make_says_why() -> None:
    pipeline = fitted(FRAME, LATE, LogisticRegression())
    pipeline.steps.insert(1, ("odd", "passthrough"))
    with pytest.raises(Unconvertible, match="three steps"):
        onnx_model(pipeline, list(FRAME), said={})


def test_a_form_that_says_something_else_fails(tmp_path: Path) -> None:
    one, other = both(tmp_path, fitted(FRAME, LATE, LogisticRegression()), FRAME)
    another = fitted(FRAME, np.roll(LATE, 1), LogisticRegression())
    (tmp_path / "b").mkdir()
    wrong, _ = both(tmp_path / "b", another, FRAME)
    found = compared(wrong, other, rows_from(FRAME, one.file.features))
    assert found.status is GateStatus.FAIL
    assert found.equal < 1
    assert found.largest > 0.01
    assert [each.status for each in found.results()] == [GateStatus.FAIL, GateStatus.FAIL]


def test_a_file_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    one, other = both(tmp_path, fitted(FRAME, LATE, LogisticRegression()), FRAME)
    path = Path(other.file.onnx.path if other.file.onnx else "")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Refused, match="not the one that was held against the model"):
        load_onnx(other.file)
    path.unlink()
    with pytest.raises(Exception, match="model export m 1 --onnx"):
        load_onnx(other.file)
    assert one.engine == "sklearn"
