"""One row by tables and arithmetic gives what scikit-learn gives for a frame, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from console.serving.fetched import VersionFile
from console.serving.invocations import Call
from console.serving.loaded import Fitted, load
from console.serving.quick import Uncompiled, compiled
from console.serving.swift import Swift
from console.training.model_file import save_model
from tests.serving import columns_of, fitted, json_rows, labels, rows

FRAME = rows(600)
HOLED = FRAME.mask(pd.DataFrame(np.random.default_rng(1).random(FRAME.shape) < 0.1, columns=FRAME.columns))
HOLED["stops"], HOLED["express"] = HOLED["stops"].astype("float64"), HOLED["express"].astype("float64")
KINDS = np.array(["a", "b", "c"])[np.digitize(FRAME["weight"], [4, 6])]

MODELS: dict[str, tuple[Any, Any, pd.DataFrame]] = {
    "logistic": (LogisticRegression(max_iter=100), labels(FRAME), FRAME),
    "logistic with holes": (LogisticRegression(max_iter=100), labels(FRAME), HOLED),
    "three classes": (LogisticRegression(max_iter=100), KINDS, HOLED),
    "boosting": (HistGradientBoostingClassifier(max_iter=8), labels(FRAME), HOLED),
    "boosting, true or false": (HistGradientBoostingClassifier(max_iter=8), labels(FRAME) == "yes", FRAME),
    "boosting, three classes": (HistGradientBoostingClassifier(max_iter=5), KINDS, HOLED),
    "forest": (RandomForestClassifier(n_estimators=8), labels(FRAME), HOLED),
    "forest, three classes": (RandomForestClassifier(n_estimators=8), KINDS, HOLED),
    "grown forest of numbers": (RandomForestRegressor(n_estimators=8), FRAME["weight"].to_numpy(), HOLED),
    "decision tree": (DecisionTreeClassifier(max_depth=3), labels(FRAME), HOLED),
    "bayes": (GaussianNB(), labels(FRAME), FRAME),
    "margin": (LinearSVC(), labels(FRAME), FRAME),
    "regression": (Ridge(), FRAME["weight"].to_numpy() * 2 + FRAME["stops"].to_numpy(), FRAME),
    "boosted regression": (HistGradientBoostingRegressor(max_iter=8), FRAME["weight"].to_numpy(), HOLED),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in a server: on a busy machine, threads that wait for each other take seconds."""
    with threadpool_limits(1):
        yield


def asked(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows to be asked for: known ones, with nothing in some places, and with texts that nobody saw."""
    new = json_rows(rows(12, seed=7))
    rng = np.random.default_rng(3)
    for at, row in enumerate(new):
        if at % 3 == 1 and frame is HOLED:
            row[str(rng.choice(list(row)))] = None
        if at % 3 == 2:
            row["carrier"] = "pigeon"
            row["weight"] = float(10.0 ** rng.integers(-8, 9))
    return new


def loaded(folder: Path, pipeline: Any, frame: pd.DataFrame) -> Fitted:
    file = save_model(pipeline, folder / "model.skops")
    version = VersionFile(
        model="m",
        version="1",
        path=str(folder / "model.skops"),
        sha256=file.sha256,
        features=columns_of(FRAME[list(frame)]),
    )
    return tuned(load(version))


def tuned(one: Fitted) -> Fitted:
    one.tune()
    return one


def frame_of(row: dict[str, Any]) -> pd.DataFrame:
    """As pandas would read it: the way that is compared against."""
    frame = pd.DataFrame([row])
    for name in ("weight", "stops", "express"):
        frame[name] = frame[name].astype("float64")
    frame["sent"] = pd.to_datetime(frame["sent"], utc=True)
    return frame


@pytest.mark.parametrize("name", MODELS)
def test_a_row_gets_the_same_answer_without_a_frame(tmp_path: Path, name: str) -> None:
    estimator, target, frame = MODELS[name]
    pipeline = fitted(frame, target, estimator)
    one = loaded(tmp_path, pipeline, frame)
    assert one.quick is not None, one.not_quick
    assert isinstance(one.quick.estimator, Swift) == any(
        word in name for word in ("boost", "forest", "decision tree", "logistic")
    ), name
    for row in asked(frame):
        answer = one.answer(Call("dataframe_records", [row]).rows(one.shape))
        plain = frame_of(row)
        assert answer.values == pipeline.predict(plain).tolist(), row
        wanted = (
            pipeline.predict_proba(plain)
            if hasattr(pipeline, "predict_proba")
            else pipeline.decision_function(plain)
            if hasattr(pipeline, "decision_function")
            else pipeline.predict(plain)
        )
        wanted = wanted[:, 1] if wanted.ndim == 2 and wanted.shape[1] == 2 else wanted
        assert np.asarray(answer.scores).tobytes() == wanted.tobytes(), row


@pytest.mark.parametrize("name", ["logistic with holes", "boosting", "three classes"])
def test_a_row_alone_is_answered_as_among_others(tmp_path: Path, name: str) -> None:
    estimator, target, frame = MODELS[name]
    one = loaded(tmp_path, fitted(frame, target, estimator), frame)
    some = asked(frame)
    some[4]["carrier"] = None
    batch = one.answer(Call("dataframe_records", some).rows(one.shape))
    for at, row in enumerate(some):
        alone = one.answer(Call("dataframe_records", [row]).rows(one.shape))
        assert alone.scores[0] == pytest.approx(batch.scores[at], abs=1e-12), row


def test_a_pipeline_of_another_make_is_asked_with_frames(tmp_path: Path) -> None:
    pipeline = fitted(FRAME, labels(FRAME), LogisticRegression())
    pipeline.steps.insert(1, ("odd", "passthrough"))
    with pytest.raises(Uncompiled):
        compiled(pipeline, list(FRAME))
    one = loaded(tmp_path, pipeline, FRAME)
    assert one.quick is None
    row = json_rows(rows(1, seed=7))[0]
    assert one.answer(Call("instances", [row]).rows(one.shape)).values == pipeline.predict(frame_of(row)).tolist()


def test_a_way_that_differs_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from console.serving import loaded as room

    def wrong(pipeline: Any, names: Any) -> Any:
        made = compiled(pipeline, names)
        made.puts[0].fill = 1.0  # what stands for a missing value
        return made

    monkeypatch.setattr(room, "compiled", wrong)
    one = loaded(tmp_path, fitted(HOLED, labels(HOLED), LogisticRegression()), HOLED)
    assert one.quick is None
    assert "differ" in one.not_quick


def test_ties_are_broken_as_the_estimator_does(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [0.0, 0.0, 1.0, 1.0] * 20})
    target = np.array(["no", "yes", "yes", "yes"] * 20)
    pipeline = fitted(frame, target, DecisionTreeClassifier(max_depth=1))
    path = tmp_path / "model.skops"
    one = load(
        VersionFile(
            model="m", version="1", path=str(path), sha256=save_model(pipeline, path).sha256, features=columns_of(frame)
        )
    )
    shape = one.shape
    for x in (0.0, 1.0):
        row = pd.DataFrame({"x": [x]})
        assert one.answer(Call("instances", [{"x": x}]).rows(shape)).values == pipeline.predict(row).tolist()


def test_a_missing_value_is_refused_by_name_where_the_model_has_no_answer(tmp_path: Path) -> None:
    frame = FRAME[["weight", "stops"]]
    pipeline = fitted(frame, labels(FRAME), LogisticRegression())
    pipeline.named_steps["preprocess"].transformers_[0][1].steps.pop(0)  # no imputer
    one = loaded(tmp_path, pipeline, frame)
    assert one.shape.required == {"weight", "stops"}
