"""A trained pipeline as an ONNX model.

Trees and linear models are drawn by ourselves, in double precision, so that nothing is rounded on the way; what else
scikit-learn has is converted by skl2onnx. Outputs: `label` and `probabilities` (or `margins`) of a classifier,
`prediction` of a regression; shape [rows], [rows, classes], of two classes' margins [rows].
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from onnx import ModelProto, TensorProto, compose, helper

from console.serving.onnx.columns import draw_columns
from console.serving.onnx.facts import NUMBERS
from console.serving.onnx.nodes import Drawing, Unconvertible
from console.serving.onnx.trees import draw_boosted, draw_graded, draw_grown
from console.serving.quick import Uncompiled, compiled

OPSET: Final = 18
OPSET_ML: Final = 5
IR: Final = 10
CONVERT_S: Final = 120
"""skl2onnx goes round in circles over some models; it is given so long."""

BOOSTED: Final = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})
GRADED: Final = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})
GROWN: Final = frozenset({
    "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor",
    "DecisionTreeClassifier", "DecisionTreeRegressor",
})  # fmt: skip
STRAIGHT: Final = frozenset({
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "HuberRegressor",
    "SGDRegressor", "LinearSVR", "BayesianRidge",
})  # fmt: skip
MARGINS: Final = frozenset({"LinearSVC", "RidgeClassifier", "RidgeClassifierCV", "Perceptron"})


def onnx_model(pipeline: Any, names: Sequence[str], *, said: dict[str, str]) -> ModelProto:
    """`names` are the features in the order in which rows hold them; `said` goes into the model's metadata.

    Raises Unconvertible with the reason.
    """
    try:
        quick = compiled(pipeline, names)
    except Uncompiled as error:
        raise Unconvertible(str(error)) from error
    drawing = Drawing()
    matrix, inputs, numbers = draw_columns(drawing, quick, names)
    estimator = quick.estimator
    opset = OPSET
    name = type(estimator).__name__
    if not type(estimator).__module__.startswith("sklearn."):
        raise Unconvertible(f"{name} is no estimator of scikit-learn")
    if name in BOOSTED:
        _from_raw(drawing, estimator, draw_boosted(drawing, estimator, matrix), estimator._loss)
    elif name in GRADED:
        _from_raw(drawing, estimator, draw_graded(drawing, estimator, matrix), estimator._loss)
    elif name in GROWN:
        means = draw_grown(drawing, estimator, matrix)
        if hasattr(estimator, "classes_"):
            _classes(drawing, estimator, means, "probabilities")
        else:
            _flat(drawing, means, "prediction")
    elif name == "LogisticRegression" or name in MARGINS or name in STRAIGHT:
        _straight(drawing, estimator, matrix)
    else:
        opset = _foreign(drawing, estimator, matrix, quick.width)
    outputs = _outputs(estimator, drawing)
    graph = helper.make_graph(drawing.nodes, "model", inputs, outputs, drawing.constants)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", OPSET_ML)],
        ir_version=IR,
        producer_name="mlops-console",
    )
    helper.set_model_props(model, said | {NUMBERS: json.dumps(numbers)})
    return model


# ------------------------------------------------------------ from what was summed to what is said


def _from_raw(drawing: Drawing, estimator: Any, raw: str, loss: Any) -> None:
    """Of boosting: raw sums [rows, 1] or [rows, classes] through the inverse link of its loss."""
    kind = type(loss).__name__
    if not hasattr(estimator, "classes_"):
        link = type(loss.link).__name__
        if link not in ("IdentityLink", "LogLink"):
            raise Unconvertible(f"its loss {kind} is not known here")
        _flat(drawing, drawing.add("Exp", [raw]) if link == "LogLink" else raw, "prediction")
        return
    if kind == "HalfMultinomialLoss":
        drawing.add("Identity", [raw], to="margins")
        _classes(drawing, estimator, drawing.add("Softmax", [raw], axis=1), "probabilities")
        return
    if kind not in ("HalfBinomialLoss", "ExponentialLoss"):
        raise Unconvertible(f"its loss {kind} is not known here")
    _flat(drawing, raw, "margins")
    twice = raw if kind == "HalfBinomialLoss" else drawing.add("Mul", [raw, drawing.constant([[2.0]])])
    _two(drawing, estimator, twice)


def _straight(drawing: Drawing, estimator: Any, matrix: str) -> None:
    """Weights and intercepts: a prediction, margins, or logistic probabilities."""
    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    if not hasattr(estimator, "classes_") and weights.shape[1] != 1:
        raise Unconvertible("it predicts several targets")
    intercept = np.broadcast_to(
        np.asarray(estimator.intercept_, dtype=np.float64).reshape(1, -1), (1, weights.shape[1])
    )
    raw = drawing.add("Add", [drawing.add("MatMul", [matrix, drawing.constant(weights)]), drawing.constant(intercept)])
    if not hasattr(estimator, "classes_"):
        _flat(drawing, raw, "prediction")
    elif type(estimator).__name__ != "LogisticRegression":
        _margins(drawing, estimator, raw)
    elif len(estimator.classes_) == 2:
        _flat(drawing, raw, "margins")
        _two(drawing, estimator, raw)
    elif getattr(estimator, "solver", "") == "liblinear":
        raise Unconvertible("its classes are told one against the rest (solver = liblinear)")
    else:
        drawing.add("Identity", [raw], to="margins")
        _classes(drawing, estimator, drawing.add("Softmax", [raw], axis=1), "probabilities")


def _two(drawing: Drawing, estimator: Any, raw: str) -> None:
    """Probabilities of two classes from log odds of the second, shape [rows, 1]."""
    positive = drawing.add("Sigmoid", [raw])
    negative = drawing.add("Sub", [drawing.constant([[1.0]]), positive])
    _classes(drawing, estimator, drawing.joined([negative, positive]), "probabilities")


def _margins(drawing: Drawing, estimator: Any, raw: str) -> None:
    if len(estimator.classes_) > 2:
        _classes(drawing, estimator, raw, "margins")
        return
    flat = _flat(drawing, raw, "margins")
    above = drawing.add("Greater", [flat, drawing.constant([0.0])])
    _labels(drawing, estimator, drawing.add("Cast", [above], to_type=TensorProto.INT64))


def _classes(drawing: Drawing, estimator: Any, judged: str, output: str) -> None:
    """The class whose value is the highest, the first of those that are."""
    drawing.add("Identity", [judged], to=output)
    _labels(drawing, estimator, drawing.add("ArgMax", [judged], axis=1, keepdims=0))


def _labels(drawing: Drawing, estimator: Any, number: str) -> None:
    classes = estimator.classes_
    kind = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}.get(classes.dtype.kind, object)
    drawing.add("Gather", [drawing.constant(classes, kind), number], to="label", axis=0)


def _flat(drawing: Drawing, matrix: str, output: str) -> str:
    return drawing.add("Reshape", [matrix, drawing.constant([-1], np.int64)], to=output)


# ------------------------------------------------------------ what others convert


def _foreign(drawing: Drawing, estimator: Any, matrix: str, width: int) -> int:
    """The estimator as skl2onnx has it; gives the opset that it needs."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType

    classifies = hasattr(estimator, "classes_")
    name = type(estimator).__name__
    if classifies and not hasattr(estimator, "predict_proba"):
        raise Unconvertible(f"{name} gives margins and no probabilities, which are not converted for it")
    try:
        with _alarm(CONVERT_S):
            made = convert_sklearn(
                estimator,
                initial_types=[("prepared", DoubleTensorType([None, width]))],
                options={id(estimator): {"zipmap": False}} if classifies else None,
                target_opset={"": OPSET, "ai.onnx.ml": 3},
            )
    except TimeoutError:
        raise Unconvertible(f"skl2onnx did not convert {name} within {CONVERT_S} s") from None
    except Exception as error:  # it raises errors of many kinds for what it does not know
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Unconvertible(f"skl2onnx does not convert {name}: {first[:200]}") from error
    given = [each.name for each in made.graph.output]
    made = compose.add_prefix(made, "skl/", rename_inputs=False)
    for node in made.graph.node:
        for at, each in enumerate(node.input):
            if each == "prepared":
                node.input[at] = matrix
    drawing.nodes += made.graph.node
    drawing.constants += made.graph.initializer
    last = drawing.add("Cast", [f"skl/{given[-1]}"], to_type=TensorProto.DOUBLE)
    if classifies:
        _classes(drawing, estimator, last, "probabilities")
    else:
        _flat(drawing, last, "prediction")
    versions: list[int] = [each.version for each in made.opset_import if each.domain == ""]
    return max([*versions, 13])


@contextlib.contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def rung(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, rung)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _outputs(estimator: Any, drawing: Drawing) -> list[Any]:
    made = {name for node in drawing.nodes for name in node.output}
    out = []
    if "label" in made:
        kind = {"b": TensorProto.BOOL, "i": TensorProto.INT64, "u": TensorProto.INT64, "f": TensorProto.DOUBLE}.get(
            estimator.classes_.dtype.kind, TensorProto.STRING
        )
        out.append(helper.make_tensor_value_info("label", kind, ["rows"]))
    if "probabilities" in made:
        shape = ["rows", len(estimator.classes_)]
        out.append(helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, shape))
    if "margins" in made:
        margins = ["rows"] if len(estimator.classes_) == 2 else ["rows", len(estimator.classes_)]
        out.append(helper.make_tensor_value_info("margins", TensorProto.DOUBLE, margins))
    if "prediction" in made:
        out.append(helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["rows"]))
    return out
