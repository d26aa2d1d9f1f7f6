"""What a version says of rows: labels, probabilities, margins or numbers, whatever computes them.

`model` is whatever predicts as scikit-learn's estimators do; `data` is whatever it takes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any, Final

import msgspec
import numpy as np

from backends.contract import Refused
from backends.entities import ColumnType
from console.serving.fetched import VersionFile
from console.serving.refusal import Refusal
from console.serving.rows import Rows, Shape, Value

MOST_PROBABLE: Final = frozenset({
    "CalibratedClassifierCV", "DecisionTreeClassifier", "ExtraTreesClassifier", "GaussianNB",
    "GradientBoostingClassifier", "HistGradientBoostingClassifier", "LogisticRegression", "MLPClassifier",
    "RandomForestClassifier",
})  # fmt: skip
"""Estimators whose `predict` is the class of the highest `predict_proba`, so that one question answers both."""
NEARLY: Final = 1e-9
"""Probabilities that lie no further apart are told by `predict` itself: each estimator breaks ties in its own way."""


class Answer(msgspec.Struct):
    """What a version says of rows."""

    values: list[Any]
    """What was asked for."""
    predictions: list[Any] | None
    """Classes or numbers, where those were asked for."""
    scores: Any
    """Shape (n,) or (n, classes), or None."""


class Loaded(ABC):
    """One version. Safe to ask from several threads at once."""

    engine = ""
    """What computes: `sklearn` or `onnx`; empty where another program does."""
    inline = True
    """A quick answer may be given in the very thread that takes requests: nothing is waited for."""

    def __init__(self, file: VersionFile, model: Any, shape: Shape) -> None:
        self.file = file
        self.model = model
        self.shape = shape
        self.at = int(time.time() * 1000)
        self.row_seconds = 0.01
        """What an answer for one row took when it was tried."""
        self.untried = False
        """It may answer sooner, once it has been tuned."""
        classes: Any = getattr(model, "classes_", None)
        self.classifies = classes is not None
        self._classes = classes
        self._at: int | None = None
        """Which column of two the score is."""
        if classes is not None and len(classes) == 2:
            # meta.json spells the class, the model has it in its own type
            self._at = 1 if file.positive is None else [str(value) for value in classes].index(str(file.positive))
        self._kind = _kind_of(model) if self.classifies else "prediction"
        self._argmax = self._kind == "probability" and type(_last(model)).__name__ in MOST_PROBABLE

    @property
    def swift(self) -> bool:
        """One row is answered without a data frame."""
        return False

    @property
    def judges(self) -> str:
        """What its answer is made of: `probability`, `margin` or `prediction`."""
        return {"decision": "margin", "label": "prediction"}.get(self._kind, self._kind)

    @property
    def class_values(self) -> list[Any]:
        """In the model's own type; of a classifier."""
        found: list[Any] = self._classes.tolist()
        return found

    @abstractmethod
    def answer(self, rows: Rows, method: str = "predict") -> Answer:
        """Raises Refusal where the model cannot do it for these rows."""

    def tune(self) -> None:
        """Take a quicker way, where there is one that gives the very same."""
        self.untried = False

    # ------------------------------------------------------------ answers

    def _answered(self, model: Any, data: Any, method: str) -> Answer:
        if method in ("predict_proba", "decision_function"):
            if not hasattr(model, method):
                raise Refusal(400, f"{self.file.ref} has no {method}", "params.predict_method")
            values = np.asarray(getattr(model, method)(data))
            mine = method == ("predict_proba" if self._kind == "probability" else "decision_function")
            return Answer(values.tolist(), None, self._score(values if mine else self._judged(model, data)))
        if not self.classifies:
            numbers = np.asarray(model.predict(data), dtype=np.float64)
            predictions = numbers.tolist()
            return Answer(predictions, predictions if method == "predict" else None, numbers)
        judged = self._judged(model, data)
        score = self._score(judged)
        if method == "score":
            if score is None:
                raise Refusal(400, f"{self.file.ref} has no scores, only predictions", "params.predict_method")
            return Answer(score.tolist(), None, score)
        labels = self._labels(model, data, judged)
        return Answer(labels, labels, score)

    def _judged(self, model: Any, data: Any) -> Any:
        """Probabilities (n, classes) or margins (n,) or (n, classes); None where there are neither."""
        if self._kind == "probability":
            return np.asarray(model.predict_proba(data))
        return np.asarray(model.decision_function(data)) if self._kind == "decision" else None

    def _score(self, judged: Any) -> Any:
        """As training and monitors score: of the positive class (n,), or of every class."""
        if judged is None or self._at is None:
            return judged
        if judged.ndim == 2:
            return judged[:, self._at]
        return judged if self._at == 1 else -judged

    def _labels(self, model: Any, data: Any, probabilities: Any) -> list[Any]:
        """What `predict` says: the most probable class, where it is that and none is nearly as probable; else asked."""
        if self._argmax:
            if len(probabilities) == 1:
                row = probabilities[0].tolist()
                best = max(row)
                clear = sum(best - each < NEARLY for each in row) == 1
                if clear:
                    return [self._classes.item(row.index(best))]
            else:
                two = np.partition(probabilities, -2, axis=1)[:, -2:]
                if bool((two[:, 1] - two[:, 0] >= NEARLY).all()):
                    found: list[Any] = self._classes[probabilities.argmax(axis=1)].tolist()
                    return found
        labels: list[Any] = np.asarray(model.predict(data)).tolist()
        return labels

    def there(self) -> bool:
        """Whether it can answer now. It may take a moment to tell."""
        return True

    # ------------------------------------------------------------ trying it

    def warm(self) -> None:
        """Ask it for a plausible row until it is as quick as it gets, and learn where it takes no missing value.
        Refused where it has no answer."""
        try:
            for _ in range(2):
                began = time.perf_counter()
                found = self.answer(tried(self.shape))
                self.row_seconds = time.perf_counter() - began
        except Exception as error:  # an estimator may raise anything
            raise Refused(f"{self.file.ref} was loaded and gives no answer for a plain row: {error}") from error
        self.shape.required = frozenset(self._required())
        if found.scores is not None and not np.isfinite(found.scores).all():
            raise Refused(f"{self.file.ref} was loaded and answers a plain row with no number")

    def _required(self) -> list[str]:
        names = self.shape.names
        if self._answers(dict.fromkeys(names)):
            return []
        return [name for name in names if not self._answers({name: None})] or names

    def _answers(self, values: dict[str, Value]) -> bool:
        try:
            self.answer(tried(self.shape, values))
        except Exception:
            return False
        return True


def _last(model: Any) -> Any:
    return model.steps[-1][1] if hasattr(model, "steps") else model


def _kind_of(model: Any) -> str:
    """`probability`, `decision`, or `label` where there is neither."""
    if hasattr(model, "predict_proba"):
        return "probability"
    return "decision" if hasattr(model, "decision_function") else "label"


def tried(shape: Shape, values: dict[str, Value] | None = None) -> Rows:
    """A plausible row, with these values in it."""
    plain: dict[ColumnType, Value] = {
        ColumnType.STRING: "",
        ColumnType.OTHER: "",
        ColumnType.DATETIME: "2020-01-01T00:00:00+00:00",
        ColumnType.DATE: "2020-01-01T00:00:00+00:00",
    }
    values = values or {}
    return Rows(1, [[values.get(each.name, plain.get(each.type, 0.0))] for each in shape.features])
