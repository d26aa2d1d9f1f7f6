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
from console.serving.quick import Quick, Uncompiled, compiled
from console.serving.refusal import Refusal
from console.serving.rows import Rows, Shape, Value
from console.serving.swift import swift

HARMLESS: Final = frozenset({"numpy.dtype", "console.training.columns.ModelColumns"})
"""Types on our list that a crafted file cannot make read beyond its bounds: a file of these alone is loaded although
nobody recorded its sha256."""


MOST_PROBABLE: Final = frozenset({
    "CalibratedClassifierCV", "DecisionTreeClassifier", "ExtraTreesClassifier", "GaussianNB",
    "GradientBoostingClassifier", "HistGradientBoostingClassifier", "LogisticRegression", "MLPClassifier",
    "RandomForestClassifier",
})  # fmt: skip
"""Estimators whose `predict` is the class of the highest `predict_proba`, so that one question answers both."""
NEARLY: Final = 1e-9
"""Probabilities that lie no further apart are told by `predict` itself: each estimator breaks ties in its own way."""
ODD_ROWS: Final = 8


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

    inline = True
    """A quick answer may be given in the very thread that takes requests: nothing is waited for."""

    def __init__(self, file: VersionFile, model: Any, shape: Shape) -> None:
        self.file = file
        self.model = model
        self.shape = shape
        self.at = int(time.time() * 1000)
        self.row_seconds = 0.01
        """What an answer for one row took when it was tried."""
        self.quick: Quick | None = None
        self.not_quick = ""
        """Why frames do it."""
        self.untried = True
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

    # ------------------------------------------------------------ answers

    def answer(self, rows: Rows, method: str = "predict") -> Answer:
        """Raises Refusal where the model cannot do it for these rows."""
        try:
            if self.quick is not None and rows.count == 1:
                try:
                    return self._answered(self.quick.estimator, self.quick.prepared(rows), method)
                except Uncompiled:
                    pass
            return self._answered(self.model, frame_of(self.file.features, rows), method)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise Refusal(400, f"{self.file.ref} has no answer for these rows: {str(error)[:300]}") from error

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
                found = self.answer(_tried(self.shape))
                self.row_seconds = time.perf_counter() - began
        except Exception as error:  # an estimator may raise anything
            raise Refused(f"{self.file.ref} was loaded and gives no answer for a plain row: {error}") from error
        self.shape.required = frozenset(self._required())
        if found.scores is not None and not np.isfinite(found.scores).all():
            raise Refused(f"{self.file.ref} was loaded and answers a plain row with no number")

    def tune(self) -> None:
        """Take the way without frames, where it gives the very same for rows of every kind. Until then frames do it:
        a version that is wanted need not wait for this."""
        self.untried = False
        try:
            plain = compiled(self.model, self.shape.names)
            odd = _odd_rows(self.shape, plain)
            slow = [_told(self._answered, self.model, frame_of(self.file.features, rows)) for rows in odd]
            for quick in (_swift(plain), plain):
                if [_told(self._answered, quick.estimator, quick.prepared(rows)) for rows in odd] == slow:
                    break
            else:
                raise Uncompiled("the ways differ for a row")
        except Exception as error:  # whatever it is: frames do it
            self.not_quick = str(error) or type(error).__name__
            return
        self.quick, self.not_quick = quick, ""
        tried = _tried(self.shape)
        self.answer(tried)
        began = time.perf_counter()
        self.answer(tried)
        self.row_seconds = time.perf_counter() - began

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


def _last(model: Any) -> Any:
    return model.steps[-1][1] if hasattr(model, "steps") else model


def _swift(quick: Quick) -> Quick:
    return msgspec.structs.replace(quick, estimator=swift(quick.estimator))


def _kind_of(model: Any) -> str:
    """`probability`, `decision`, or `label` where there is neither."""
    if hasattr(model, "predict_proba"):
        return "probability"
    return "decision" if hasattr(model, "decision_function") else "label"


def _told(answered: Any, model: Any, data: Any) -> Any:
    """An answer as something that can be compared, or the refusal."""
    try:
        answer = answered(model, data, "predict")
    except ValueError as error:
        return type(error).__name__
    return answer.values, None if answer.scores is None else np.asarray(answer.scores).tobytes()


def _odd_rows(shape: Shape, quick: Quick) -> list[Rows]:
    """Rows by which two ways are held against each other: common and uncommon values, texts that are known and not."""
    random = np.random.default_rng(0)
    texts = quick.texts()
    made = []
    for number in range(ODD_ROWS):
        columns: list[list[Value]] = []
        for at, column in enumerate(shape.features):
            value: Value
            if column.type in (ColumnType.DATETIME, ColumnType.DATE):
                month, day = random.integers(1, 13), random.integers(1, 29)
                value = f"2024-{month:02d}-{day:02d}T23:30:00+00:00"
            elif column.type in (ColumnType.STRING, ColumnType.OTHER):
                known = texts.get(at) or ["x"]
                value = known[int(random.integers(len(known)))] if number % 3 else "never seen"
            else:
                value = float(random.normal(0, 10.0 ** (number % 6 - 1)))
                value = float(round(value)) if column.type is not ColumnType.FLOAT else value
            # One row with nothing at all, one with something here and there.
            if number % 4 == 3 and column.name not in shape.required and (number == 3 or random.random() < 0.5):
                value = None
            columns.append([value])
        made.append(Rows(1, columns))
    return made


def _tried(shape: Shape, values: dict[str, Value] | None = None) -> Rows:
    plain: dict[ColumnType, Value] = {
        ColumnType.STRING: "",
        ColumnType.OTHER: "",
        ColumnType.DATETIME: "2020-01-01T00:00:00+00:00",
        ColumnType.DATE: "2020-01-01T00:00:00+00:00",
    }
    values = values or {}
    return Rows(1, [[values.get(each.name, plain.get(each.type, 0.0))] for each in shape.features])
