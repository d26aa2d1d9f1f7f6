"""A version in a worker, by onnxruntime: the file verified, loaded and warm. Nothing of scikit-learn or pandas is
imported, so that the process starts in a moment and stays small."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from backends.contract import NotFound, Refused
from backends.entities import ColumnType
from console.serving.answering import Answer, Loaded
from console.serving.fetched import OnnxFile, VersionFile
from console.serving.onnx.facts import MISSING, NUMBERS, command
from console.serving.refusal import Refusal
from console.serving.rows import Rows, Shape, Value

TAKE: Final[dict[str, Callable[[datetime], int]]] = {
    "month": lambda time: time.month,
    "day": lambda time: time.day,
    "weekday": lambda time: time.weekday(),
    "hour": lambda time: time.hour,
}
_UNKNOWN: Final = "\ue000 unknown"
Feeds = dict[str, Any]
"""Input → numbers of shape (rows, numbers), or texts of shape (rows, 1)."""


class OnnxModel:
    """A session that predicts as an estimator does. It has only those methods of one that its outputs allow."""

    def __init__(self, session: Any, classes: tuple[Any, ...]) -> None:
        outputs = {each.name for each in session.get_outputs()}
        self._session = session
        if "label" in outputs:
            self.classes_ = np.array(classes)
            self.predict = lambda feeds: self._run("label", feeds)
        else:
            self.predict = lambda feeds: self._run("prediction", feeds)
        if "probabilities" in outputs:
            self.predict_proba = lambda feeds: self._run("probabilities", feeds)
        if "margins" in outputs:
            self.decision_function = lambda feeds: self._run("margins", feeds)

    def _run(self, output: str, feeds: Feeds) -> Any:
        return self._session.run([output], feeds)[0]


class Session(Loaded):
    """One version, as onnxruntime loaded it."""

    engine = "onnx"

    def __init__(self, file: VersionFile, model: OnnxModel, shape: Shape, feeds: _Feeds) -> None:
        super().__init__(file, model, shape)
        self._argmax = self._kind == "probability"
        self._feeds = feeds

    @property
    def swift(self) -> bool:
        return True

    def answer(self, rows: Rows, method: str = "predict") -> Answer:
        try:
            return self._answered(self.model, self._feeds(rows), method)
        except (ValueError, TypeError, ArithmeticError, RuntimeError) as error:
            raise Refusal(400, f"{self.file.ref} has no answer for these rows: {str(error)[:300]}") from error


def load_onnx(file: VersionFile, *, sticky: str = "", ignore_extra: bool = False, most: int = 50_000) -> Session:
    """Verify, load and warm. Refused or NotFound with the reason."""
    kept = file.onnx
    if kept is None:
        raise Refused(f"{file.ref} has no ONNX file; make one: {command(file.model, file.version)}")
    session = open_session(_verified(file, kept), file.ref)
    shape = Shape(file.features, sticky=sticky, ignore_extra=ignore_extra, most=most)
    loaded = Session(file, OnnxModel(session, kept.classes), shape, _Feeds(shape, session, file.ref))
    loaded.warm()
    shape.required = frozenset(kept.required)
    return loaded


def open_session(content: bytes, ref: str) -> Any:
    """An onnxruntime session of one thread. Refused where the file is none, or onnxruntime is not there."""
    try:
        import onnxruntime
    except ImportError:
        raise Refused(
            f"{ref}: its ONNX file needs onnxruntime, which is not installed; pip install 'mlops-console[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # it keeps what the largest request took
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common family
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Refused(f"{ref}: onnxruntime does not load its ONNX file: {first[:300]}") from error


def _verified(file: VersionFile, kept: OnnxFile) -> bytes:
    """The file's bytes, which are those that were held against the model."""
    try:
        content = Path(kept.path).read_bytes()
    except OSError as error:
        raise NotFound(
            f"{file.ref}: its ONNX file cannot be read ({error.strerror}); make it again: "
            f"{command(file.model, file.version)}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != kept.sha256:
        raise Refused(
            f"{file.ref}: its ONNX file is not the one that was held against the model: its sha256 is {found[:12]}…, "
            f"recorded was {kept.sha256[:12]}…; not loaded. Make it again: {command(file.model, file.version)}"
        )
    return content


Reader = tuple[int, Callable[[datetime], int] | None]
"""The number of a feature, and which part of a time it is."""


class _Feeds:
    """From rows to what the session takes."""

    def __init__(self, shape: Shape, session: Any, ref: str) -> None:
        known: dict[str, Reader] = {}
        for at, column in enumerate(shape.features):
            if column.type in (ColumnType.DATETIME, ColumnType.DATE):
                known |= {f"{column.name}.{part}": (at, take) for part, take in TAKE.items()}
            known.setdefault(column.name, (at, None))
        said = session.get_modelmeta().custom_metadata_map.get(NUMBERS, "[]")
        names = msgspec.json.decode(said, type=list[str])
        inputs = [each.name for each in session.get_inputs()]
        strange = [name for name in [*names, *inputs] if name not in known and name != NUMBERS]
        if strange or (NUMBERS in inputs) != bool(names):
            what = repr(strange[0]) if strange else f"numbers ({len(names)})"
            raise Refused(f"{ref}: its ONNX file wants an input {what}, which is none of the version's features")
        self._numbers = [known[name] for name in names]
        self._texts = [(name, known[name][0]) for name in inputs if name != NUMBERS or not names]

    def __call__(self, rows: Rows) -> Feeds:
        columns, feeds = rows.columns, {}
        if self._numbers:
            if rows.count == 1:
                row = [columns[at][0] if take is None else _part(columns[at][0], take) for at, take in self._numbers]
                feeds[NUMBERS] = np.array([row], dtype=np.float64)  # None becomes NaN
            else:
                feeds[NUMBERS] = np.array(
                    [
                        columns[at] if take is None else [_part(value, take) for value in columns[at]]
                        for at, take in self._numbers
                    ],
                    dtype=np.float64,
                ).T.copy()
        for name, at in self._texts:
            made = [MISSING if value is None else _text(value) for value in columns[at]]
            feeds[name] = np.array(made, dtype=object).reshape(rows.count, 1)
        return feeds


def _part(value: Value, take: Callable[[datetime], int]) -> float | None:
    return None if value is None else float(take(datetime.fromisoformat(str(value))))


def _text(value: float | str) -> str:
    """As `console.training.columns` spells a level; what stands for a missing value is no text of a caller's."""
    if isinstance(value, str):
        return value if value != MISSING else _UNKNOWN
    return str(int(value)) if value.is_integer() else str(value)
