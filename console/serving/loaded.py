"""A version in a worker, by scikit-learn: verified, loaded and warm.

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
from console.serving.answering import Answer, Loaded, tried
from console.serving.fetched import VersionFile
from console.serving.frame import frame_of
from console.serving.quick import Quick, Uncompiled, compiled
from console.serving.refusal import Refusal
from console.serving.rows import Rows, Shape, Value
from console.serving.swift import swift

HARMLESS: Final = frozenset({"numpy.dtype", "console.training.columns.ModelColumns"})
"""Types on our list that a crafted file cannot make read beyond its bounds: a file of these alone is loaded although
nobody recorded its sha256."""
ODD_ROWS: Final = 8


class Fitted(Loaded):
    """One version, as scikit-learn loaded it. Frames answer until a way without them was found to give the same."""

    engine = "sklearn"

    def __init__(self, file: VersionFile, model: Any, shape: Shape) -> None:
        super().__init__(file, model, shape)
        self.quick: Quick | None = None
        self.not_quick = ""
        """Why frames do it."""
        self.untried = True

    @property
    def swift(self) -> bool:
        return self.quick is not None

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

    def tune(self) -> None:
        """Take the way without frames, where it gives the very same for rows of every kind. Until then frames do it:
        a version that is wanted need not wait for this."""
        self.untried = False
        try:
            plain = compiled(self.model, self.shape.names)
            odd = odd_rows(self.shape, plain)
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
        plain_row = tried(self.shape)
        self.answer(plain_row)
        began = time.perf_counter()
        self.answer(plain_row)
        self.row_seconds = time.perf_counter() - began


def load(file: VersionFile, *, sticky: str = "", ignore_extra: bool = False, most: int = 50_000) -> Fitted:
    """Verify, load and warm. Refused or NotFound with the reason."""
    path = Path(file.path)
    sha256 = file.sha256 or _vouched(path, file.ref)
    from console.training.model_file import load_model

    with _LOADING:
        model = load_model(path, sha256)
    if not hasattr(model, "predict"):
        raise Refused(f"{file.ref}: {type(model).__name__} is no model: it predicts nothing")
    shape = Shape(file.features, sticky=sticky, ignore_extra=ignore_extra, most=most)
    loaded = Fitted(file, model, shape)
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


def _swift(quick: Quick) -> Quick:
    return msgspec.structs.replace(quick, estimator=swift(quick.estimator))


def _told(answered: Any, model: Any, data: Any) -> Any:
    """An answer as something that can be compared, or the refusal."""
    try:
        answer = answered(model, data, "predict")
    except ValueError as error:
        return type(error).__name__
    return answer.values, None if answer.scores is None else np.asarray(answer.scores).tobytes()


def odd_rows(shape: Shape, quick: Quick) -> list[Rows]:
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
