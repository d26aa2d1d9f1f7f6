"""One row through an ensemble of trees, by plain lists: scikit-learn checks its input and calls each tree by itself,
which for one row takes ten times as long as going down the branches.

Leaves are added in scikit-learn's own order, so that sums agree to the last bit; whoever takes this way has tried that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

Judged = Callable[[Any], Any]
"""From a matrix of one row to probabilities (1, classes), or to a prediction (1,)."""
MOST_NODES: Final = 400_000
"""Of all trees together: they take some 200 bytes each."""


class Branches:
    """All nodes of some trees. A leaf has no feature (-1); `roots` says where each tree begins."""

    def __init__(self) -> None:
        self.roots: list[int] = []
        self.feature: list[int] = []
        self.threshold: list[float] = []
        self.missing_left: list[bool] = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.value: list[Any] = []

    def add(
        self, feature: Any, threshold: Any, missing_left: Any, left: Any, right: Any, leaf: Any, value: list[Any]
    ) -> None:
        """One more tree: arrays of shape (nodes,)."""
        start = len(self.feature)
        self.roots.append(start)
        self.feature += np.where(leaf, -1, feature).tolist()
        self.threshold += threshold.tolist()
        self.missing_left += np.asarray(missing_left, dtype=bool).tolist()
        self.left += (np.asarray(left, dtype=np.int64) + start).tolist()
        self.right += (np.asarray(right, dtype=np.int64) + start).tolist()
        self.value += value

    def leaves(self, row: Sequence[float]) -> list[Any]:
        """The value of the leaf that the row comes to, tree by tree."""
        feature, threshold, left, right = self.feature, self.threshold, self.left, self.right
        out = []
        for node in self.roots:
            while (at := feature[node]) >= 0:
                value = row[at]
                if value <= threshold[node] or (value != value and self.missing_left[node]):
                    node = left[node]
                else:
                    node = right[node]
            out.append(self.value[node])
        return out


def boosted(estimator: Any) -> Judged | None:
    """Of histogram gradient boosting; None where there are too many nodes, or categories of its own."""
    columns = estimator.n_trees_per_iteration_
    nodes = [[each[column].nodes for each in estimator._predictors] for column in range(columns)]
    if estimator.is_categorical_ is not None or sum(len(each) for some in nodes for each in some) > MOST_NODES:
        return None
    made = []
    for some in nodes:
        branches = Branches()
        for each in some:
            branches.add(
                each["feature_idx"], each["num_threshold"], each["missing_go_to_left"], each["left"], each["right"],
                each["is_leaf"].astype(bool), each["value"].tolist(),
            )  # fmt: skip
        made.append(branches)
    base = np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel().tolist()
    loss = estimator._loss

    def judged(matrix: Any) -> Any:
        row = matrix[0].tolist()
        raw = np.zeros((1, columns), order="F")
        for column, branches in enumerate(made):
            total = base[column]
            for value in branches.leaves(row):
                total += value
            raw[0, column] = total
        return loss.predict_proba(raw) if hasattr(estimator, "classes_") else loss.link.inverse(raw.ravel())

    return judged


def grown(estimator: Any, trees: Sequence[Any]) -> Judged | None:
    """Of a forest or a single tree; None where there are too many nodes, or several targets."""
    if estimator.n_outputs_ != 1 or sum(each.tree_.node_count for each in trees) > MOST_NODES:
        return None
    classifies = hasattr(estimator, "classes_")
    branches = Branches()
    for each in trees:
        tree = each.tree_
        values = tree.value[:, 0, :].tolist() if classifies else tree.value[:, 0, 0].tolist()
        branches.add(
            tree.feature, tree.threshold, tree.missing_go_to_left, tree.children_left, tree.children_right,
            tree.children_left == -1, values,
        )  # fmt: skip
    alone = len(trees) == 1 and trees[0] is estimator

    def judged(matrix: Any) -> Any:
        # Trees are grown on, and asked with, single precision.
        found = branches.leaves(np.asarray(matrix, dtype=np.float32)[0].tolist())
        if alone:
            return np.array([found[0]])
        sums = [0.0] * len(found[0]) if classifies else [0.0]
        for value in found:
            for at, part in enumerate(value if classifies else (value,)):
                sums[at] += part
        means = [each / len(found) for each in sums]
        return np.array([means]) if classifies else np.array(means)

    return judged
