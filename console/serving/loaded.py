"""A version in a worker: verified, loaded and warm, and what it says of rows.

Only a worker comes here: loading a model runs code. The file's bytes must be the registered ones and its types on the
console's list; else nothing of it is imported or executed.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from backends.contract import Refused
from backends.entities import ColumnType
from console.serving.fetched import VersionFile
from console.serving.frame import frame_of
from console.serving.refusal import Refusal
from console.serving.rows import Rows, Shape, Value
from console.training.scoring import score_kind
from console.training.scoring import scores_of as scores_of_model

HARMLESS: Final = frozenset({"numpy.dtype", "console.training.columns.ModelColumns"})
"""Types on our list that a crafted file cannot make read beyond its bounds: a file of these alone is loaded although
nobody recorded its sha256."""


class Answer(msgspec.Struct):
    """What a version says of rows."""

    values: list[Any]
    """What was asked for."""
    predictions: list[Any] | None
    """Classes or numbers, where those were asked for."""
    scores: Any
    """Shape (n,) or (n, classes), or None."""


class Loaded:
    """One version. Safe to ask from several threads at once."""

    def __init__(self, file: VersionFile, model: Any, shape: Shape) -> None:
        self.file = file
        self.model = model
        self.shape = shape
        self.at = int(time.time() * 1000)
        self.row_seconds = 0.01
        """What an answer for one row took when it was tried."""
        self._kind = file.score
        self._positive: Any = None
        classes = getattr(model, "classes_", None)
        self.classifies = classes is not None
        if classes is not None and len(classes) == 2:
            named = {str(value): value for value in classes}
            # meta.json spells the class, the model has it in its own type
            self._positive = classes[1] if file.positive is None else named[str(file.positive)]
        self._task = "classification" if self.classifies else "regression"
        if self.classifies:
            self._kind = score_kind(model, self._task) if hasattr(model, "predict_proba") or hasattr(
                model, "decision_function"
            ) else "label"  # fmt: skip

    # ------------------------------------------------------------ answers

    def answer(self, rows: Rows, method: str = "predict") -> Answer:
        """Raises Refusal where the model cannot do it for these rows."""
        frame = frame_of(self.file.features, rows)
        try:
            return self._answered(frame, method)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise Refusal(400, f"{self.file.ref} has no answer for these rows: {str(error)[:300]}") from error

    def _answered(self, data: Any, method: str) -> Answer:
        if method in ("predict_proba", "decision_function"):
            if not hasattr(self.model, method):
                raise Refusal(400, f"{self.file.ref} has no {method}", "params.predict_method")
            return Answer(np.asarray(getattr(self.model, method)(data)).tolist(), None, self._scores(data))
        scores = self._scores(data)
        if method == "score":
            if scores is None:
                raise Refusal(400, f"{self.file.ref} has no scores, only predictions", "params.predict_method")
            return Answer(scores.tolist(), None, scores)
        predictions = np.asarray(self.model.predict(data)).tolist()
        return Answer(predictions, predictions, scores)

    def _scores(self, data: Any) -> Any:
        if self._kind == "label":
            return None
        return np.asarray(scores_of_model(self.model, data, task=self._task, positive=self._positive), dtype=np.float64)

    # ------------------------------------------------------------ trying it

    def warm(self) -> None:
        """Ask it for a plausible row until it is as quick as it gets, and learn where it takes no missing value.
        Refused where it has no answer."""
        try:
            for _ in range(3):
                began = time.perf_counter()
                found = self.answer(_tried(self.shape))
                self.row_seconds = time.perf_counter() - began
        except Exception as error:  # an estimator may raise anything
            raise Refused(f"{self.file.ref} was loaded and gives no answer for a plain row: {error}") from error
        if found.scores is not None and not np.isfinite(found.scores).all():
            raise Refused(f"{self.file.ref} was loaded and answers a plain row with no number")
        self.shape.required = frozenset(self._required())

    def _required(self) -> list[str]:
        names = self.shape.names
        if self._answers(dict.fromkeys(names)):
            return []
        return [name for name in names if not self._answers({name: None})] or names

    def _answers(self, values: dict[str, Value]) -> bool:
        try:
            self.answer(_tried(self.shape, values))
        except Exception:
            return False
        return True


def load(file: VersionFile, *, sticky: str = "", ignore_extra: bool = False, most: int = 50_000) -> Loaded:
    """Verify, load and warm. Refused or NotFound with the reason."""
    path = Path(file.path)
    sha256 = file.sha256 or _vouched(path, file.ref)
    from console.training.model_file import load_model

    with _LOADING:
        model = load_model(path, sha256)
    if not hasattr(model, "predict"):
        raise Refused(f"{file.ref}: {type(model).__name__} is no model: it predicts nothing")
    shape = Shape(file.features, sticky=sticky, ignore_extra=ignore_extra, most=most)
    loaded = Loaded(file, model, shape)
    loaded.warm()
    return loaded


_LOADING: Final = threading.Lock()


def _vouched(path: Path, ref: str) -> str:
    """The file's own sha256, where what it holds cannot harm whoever made it; Refused else."""
    from console.training.model_file import allowed_types, file_sha256, untrusted_types

    strange = untrusted_types(path)
    risky = sorted(set(allowed_types(path)) - HARMLESS)
    if strange or risky:
        raise Refused(
            f"{ref}: no sha256 was recorded when it was registered, and its file holds "
            f"{', '.join((strange or risky)[:3])}, which a changed file could use to harm this machine; not loaded. "
            "Register it with this console from its run."
        )
    return file_sha256(path)


def _tried(shape: Shape, values: dict[str, Value] | None = None) -> Rows:
    plain: dict[ColumnType, Value] = {
        ColumnType.STRING: "",
        ColumnType.OTHER: "",
        ColumnType.DATETIME: "2020-01-01T00:00:00+00:00",
        ColumnType.DATE: "2020-01-01T00:00:00+00:00",
    }
    values = values or {}
    return Rows(1, [[values.get(each.name, plain.get(each.type, 0.0))] for each in shape.features])
