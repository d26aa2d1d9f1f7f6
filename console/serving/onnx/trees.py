"""Ensembles of trees as ONNX, in double precision: thresholds and leaves are scikit-learn's own, so that a value at a
threshold goes the same way.

Source: onnx.ai, operator `TreeEnsemble` of `ai.onnx.ml`, version 5 (that of version 3 rounds to single precision).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from onnx import TensorProto, numpy_helper

from console.serving.onnx.nodes import Drawing, Unconvertible

MOST_NODES: Final = 2_000_000
SUM: Final = 1
LESS_OR_EQUAL: Final = 0


class Forest:
    """Trees whose leaves add up, each onto one output."""

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs
        self._count = 0
        self._leaves = 0
        self._roots: list[int] = []
        self._parts: dict[str, list[Any]] = {
            name: [] for name in ("feature", "split", "missing", "true", "false", "true_leaf", "false_leaf")
        }
        self._targets: list[Any] = []
        self._weights: list[Any] = []

    def add(
        self, feature: Any, threshold: Any, missing_left: Any, left: Any, right: Any, leaf: Any, value: Any, at: int = 0
    ) -> None:
        """One more tree: arrays of shape (nodes,); its leaves go onto output `at`.

        ONNX counts inner nodes and leaves apart, so a child's number depends on which of both it is.
        """
        leaf = np.asarray(leaf, dtype=bool)
        inner = np.flatnonzero(~leaf)
        ends = np.flatnonzero(leaf)
        place = np.empty(len(leaf), dtype=np.int64)
        place[inner] = np.arange(len(inner)) + self._count
        place[ends] = np.arange(len(ends)) + self._leaves
        self._roots.append(self._count)
        if len(inner):
            left, right = np.asarray(left, dtype=np.int64)[inner], np.asarray(right, dtype=np.int64)[inner]
            self._nodes(
                np.asarray(feature)[inner], np.asarray(threshold)[inner], np.asarray(missing_left)[inner],
                place[left], place[right], leaf[left], leaf[right],
            )  # fmt: skip
        else:  # it says the same of every row: both branches of one node end in its leaf
            self._nodes([0], [0.0], [0], [self._leaves], [self._leaves], [1], [1])
        self._leaves += len(ends)
        self._targets.append(np.full(len(ends), at))
        self._weights.append(np.asarray(value, dtype=np.float64)[ends])

    def _nodes(self, *columns: Any) -> None:
        self._count += len(columns[0])
        if self._count > MOST_NODES:
            raise Unconvertible(f"its trees have more than {MOST_NODES:,} nodes")
        for part, values in zip(self._parts.values(), columns, strict=True):
            part.append(np.asarray(values))

    def draw(self, drawing: Drawing, matrix: str, base: Sequence[float] = ()) -> str:
        """Sums of shape [rows, outputs]."""
        parts = {name: np.concatenate(values) for name, values in self._parts.items()}

        def whole(name: str) -> list[int]:
            found: list[int] = parts[name].astype(np.int64).tolist()
            return found

        sums = drawing.add(
            "TreeEnsemble",
            [matrix],
            domain="ai.onnx.ml",
            n_targets=self.outputs,
            aggregate_function=SUM,
            post_transform=0,
            tree_roots=self._roots,
            nodes_featureids=whole("feature"),
            nodes_modes=numpy_helper.from_array(np.full(self._count, LESS_OR_EQUAL, dtype=np.uint8)),
            nodes_splits=numpy_helper.from_array(parts["split"].astype(np.float64)),
            nodes_truenodeids=whole("true"),
            nodes_trueleafs=whole("true_leaf"),
            nodes_falsenodeids=whole("false"),
            nodes_falseleafs=whole("false_leaf"),
            nodes_missing_value_tracks_true=whole("missing"),
            leaf_targetids=np.concatenate(self._targets).astype(np.int64).tolist(),
            leaf_weights=numpy_helper.from_array(np.concatenate(self._weights)),
        )
        return drawing.add("Add", [sums, drawing.constant([list(base)])]) if base else sums


def draw_boosted(drawing: Drawing, estimator: Any, matrix: str) -> str:
    """Raw sums of histogram gradient boosting, shape [rows, outputs]."""
    if estimator.is_categorical_ is not None:
        raise Unconvertible("its trees split by categories of their own; encode them before (categorical = ordinal)")
    outputs = estimator.n_trees_per_iteration_
    forest = Forest(outputs)
    for some in estimator._predictors:
        for at in range(outputs):
            nodes = some[at].nodes
            forest.add(
                nodes["feature_idx"], nodes["num_threshold"], nodes["missing_go_to_left"], nodes["left"],
                nodes["right"], nodes["is_leaf"], nodes["value"], at,
            )  # fmt: skip
    return forest.draw(drawing, matrix, np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel().tolist())


def draw_graded(drawing: Drawing, estimator: Any, matrix: str) -> str:
    """Raw sums of gradient boosting, shape [rows, outputs]."""
    width = estimator.n_features_in_
    first, second = (estimator._raw_predict_init(np.full((1, width), value, np.float32)) for value in (0.0, 1e6))
    if not np.array_equal(first, second):
        raise Unconvertible("its first estimate is a model of its own")
    outputs = first.shape[1]
    forest = Forest(outputs)
    for row in estimator.estimators_:
        for at, each in enumerate(row):
            _grow(forest, each.tree_, each.tree_.value[:, 0, 0] * estimator.learning_rate, at)
    return forest.draw(drawing, _single(drawing, matrix), first.ravel().tolist())


def draw_grown(drawing: Drawing, estimator: Any, matrix: str) -> str:
    """Means over the trees of a forest (or of one tree), shape [rows, classes], or [rows, 1]."""
    if estimator.n_outputs_ != 1:
        raise Unconvertible("it predicts several targets")
    trees = getattr(estimator, "estimators_", [estimator])
    outputs = len(estimator.classes_) if hasattr(estimator, "classes_") else 1
    forest = Forest(outputs)
    for at in range(outputs):  # a leaf of ONNX has one value: the trees stand there once for each class
        for each in trees:
            _grow(forest, each.tree_, each.tree_.value[:, 0, at], at)
    sums = forest.draw(drawing, _single(drawing, matrix))
    return sums if len(trees) == 1 else drawing.add("Div", [sums, drawing.constant([[float(len(trees))]])])


def _grow(forest: Forest, tree: Any, value: Any, at: int) -> None:
    forest.add(
        tree.feature, tree.threshold, tree.missing_go_to_left, tree.children_left, tree.children_right,
        tree.children_left == -1, value, at,
    )  # fmt: skip


def _single(drawing: Drawing, matrix: str) -> str:
    """The matrix as these trees see it: rounded to single precision."""
    single = drawing.add("Cast", [matrix], to_type=TensorProto.FLOAT)
    return drawing.add("Cast", [single], to_type=TensorProto.DOUBLE)
