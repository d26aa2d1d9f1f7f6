"""What a loaded version answers to logged rows, each row for itself: one that fails spoils no other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from console.serving.answering import Loaded
from console.serving.fetched import VersionFile
from console.serving.refusal import Refusal
from console.serving.rows import Rows

CHUNK: Final = 2_000


class Answered(msgspec.Struct, frozen=True):
    """One answer: a class as text, or a number."""

    value: str | float
    score: float | tuple[float, ...] | None = None
    """Of two classes that of the positive one, of more one for each; of a number the number itself."""


class Failed(msgspec.Struct, frozen=True):
    """No answer. `why` holds no value of the row where the server's own words hold none."""

    why: str


class Meaning(msgspec.Struct, frozen=True):
    """What a score is the score of. Scores of the same meaning can be subtracted."""

    kind: str
    """`probability`, `decision` or `prediction`."""
    classes: tuple[str, ...] = ()
    positive: str = ""


def meaning_of(file: VersionFile) -> Meaning:
    classes = tuple(str(each) for each in file.classes)
    return Meaning(file.score, classes, "" if file.positive is None else str(file.positive))


def answers(
    loaded: Loaded, records: Sequence[dict[str, Any]], told: Callable[[int], None] = lambda _: None
) -> list[Answered | Failed]:
    """One for each record, in their order. `told` hears how many are done."""
    out: list[Answered | Failed | None] = [None] * len(records)
    good: list[tuple[int, Rows]] = []
    for at, record in enumerate(records):
        try:
            good.append((at, loaded.shape.of_records([record], of="row")))
        except Refusal as error:
            out[at] = Failed(str(error).removeprefix("row 0: "))
    for start in range(0, len(good), CHUNK):
        chunk = good[start : start + CHUNK]
        for (at, _), found in zip(chunk, _of_some(loaded, [rows for _, rows in chunk]), strict=True):
            out[at] = found
        told(len(records) - len(good) + start + len(chunk))
    return [each if each is not None else Failed("it was not asked") for each in out]


def _of_some(loaded: Loaded, rows: list[Rows]) -> list[Answered | Failed]:
    """Together; where that fails, in halves, until those that fail stand alone."""
    try:
        answer = loaded.answer(_together(rows))
    except Exception as error:  # an estimator may raise anything
        if len(rows) == 1:
            return [Failed(str(error)[:300] or type(error).__name__)]
        half = len(rows) // 2
        return _of_some(loaded, rows[:half]) + _of_some(loaded, rows[half:])
    scores = None if answer.scores is None else np.asarray(answer.scores, float).tolist()
    return [
        _answered(str(value) if loaded.classifies else value, None if scores is None else scores[at])
        for at, value in enumerate(answer.predictions or [])
    ]


def _answered(value: Any, score: Any) -> Answered | Failed:
    given = tuple(score) if isinstance(score, list) else score
    numbers = given if isinstance(given, tuple) else () if given is None else (given,)
    if not all(math.isfinite(each) for each in numbers):
        return Failed("its answer is no finite number")
    return Answered(float(value) if isinstance(value, float) else str(value), given)


def _together(rows: list[Rows]) -> Rows:
    if len(rows) == 1:
        return rows[0]
    return Rows(len(rows), [[each.columns[at][0] for each in rows] for at in range(len(rows[0].columns))])
