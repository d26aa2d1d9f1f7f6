"""One row without a data frame: the preparing steps of a trained pipeline, compiled to plain arithmetic and tables.

A frame of one row costs milliseconds, the same numbers by hand some microseconds. What is compiled is what training
makes (`console.training.pipeline`): columns picked, numbers imputed and scaled, text encoded, times taken apart. Tables
of text are filled by asking the encoder itself. Whoever loads a version holds both ways against each other, and takes
this one only where they agree to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from console.serving.rows import Rows, Value
from console.training.columns import PARTS, ModelColumns

MOST_LEVELS: Final = 100_000
"""Distinct texts in tables; a model with more is asked with frames."""
_UNKNOWN: Final = "\x00 a text that no training ever saw \x00"

Put = Callable[[Sequence[list[Value]], list[float]], None]


class Uncompiled(Exception):
    """This pipeline, or this row, is for the frame's way; the message says why."""


class Quick(msgspec.Struct, frozen=True):
    """A compiled pipeline."""

    estimator: Any
    puts: tuple[Put, ...]
    width: int
    sparse: bool

    def texts(self) -> dict[int, list[str]]:
        """By feature, some of the texts that its encoder knows."""
        return {put.at: put.some for put in self.puts if isinstance(put, Table)}

    def prepared(self, rows: Rows) -> Any:
        """What the estimator takes for one row: shape (1, width). Uncompiled where this row is not for tables."""
        out: list[float] = []
        for put in self.puts:
            put(rows.columns, out)
        matrix = np.array([out])
        if not self.sparse:
            return matrix
        from scipy.sparse import csr_matrix

        return csr_matrix(matrix)


def compiled(pipeline: Any, names: Sequence[str]) -> Quick:
    """`names` are the features in the order in which rows hold them. Raises Uncompiled with the reason."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    if type(pipeline) is not Pipeline or len(pipeline.steps) != 3:
        raise Uncompiled("it is no pipeline of three steps")
    select, prepare, estimator = (step for _, step in pipeline.steps)
    if type(select) is not ModelColumns or type(prepare) is not ColumnTransformer:
        raise Uncompiled("it does not begin with columns and their preparation")
    if hasattr(estimator, "feature_names_in_"):
        raise Uncompiled("its estimator wants a frame")
    sources = _sources(select, {name: at for at, name in enumerate(names)})
    puts: list[Put] = []
    for _, step, columns in prepare.transformers_:
        if isinstance(step, str) and step == "drop":
            continue
        puts += _step(step, [str(name) for name in columns], sources)
    width = sum(each.stop - each.start for each in prepare.output_indices_.values())
    return Quick(estimator, tuple(puts), width, bool(prepare.sparse_output_))


Source = tuple[str, int]
"""What a prepared column is made of: `number`, `text`, or a part of a time, of which feature."""


def _sources(select: ModelColumns, at: dict[str, int]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    try:
        found |= {name: ("number", at[name]) for name in select.numeric or []}
        found |= {name: ("text", at[name]) for name in select.categorical or []}
        found |= {f"{name}.{part}": (part, at[name]) for name in select.datetimes or [] for part in PARTS}
    except KeyError as error:
        raise Uncompiled(f"column {error} is none of its features") from None
    return found


def _step(step: Any, columns: list[str], sources: dict[str, Source]) -> Sequence[Put]:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

    if any(name not in sources for name in columns):
        raise Uncompiled("a step takes a column of another step")
    if type(step) in (OneHotEncoder, OrdinalEncoder):
        if any(sources[name][0] != "text" for name in columns):
            raise Uncompiled("it encodes what is no text")
        return _encoded(step, columns, [sources[name][1] for name in columns])
    parts = [each for _, each in step.steps] if type(step) is Pipeline else [step]
    if any(sources[name][0] == "text" for name in columns):
        raise Uncompiled("text goes in unencoded")
    if len(parts) == 1 and (
        parts[0] == "passthrough" or (type(parts[0]) is FunctionTransformer and parts[0].func is None)
    ):
        parts = []
    fills, means, scales = _arithmetic(parts, len(columns))
    return [Number(*sources[name], fills[at], means[at], scales[at]) for at, name in enumerate(columns)]


def _arithmetic(parts: list[Any], width: int) -> tuple[list[float], list[float | None], list[float | None]]:
    """By column: what stands for a missing value, what is subtracted, by what is divided."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    fills = [math.nan] * width
    means: list[float | None] = [None] * width
    scales: list[float | None] = [None] * width
    for at, part in enumerate(parts):
        if type(part) is SimpleImputer and at == 0 and not part.add_indicator and part.missing_values is not None:
            fills = [float(value) for value in part.statistics_]
            if any(math.isnan(value) for value in fills) or not math.isnan(part.missing_values):
                raise Uncompiled("its imputer drops columns, or fills what is not missing")
        elif type(part) is StandardScaler and at == len(parts) - 1:
            means = [None] * width if part.mean_ is None or not part.with_mean else [float(each) for each in part.mean_]
            scales = [None] * width if part.scale_ is None else [float(each) for each in part.scale_]
        else:
            raise Uncompiled(f"{type(part).__name__} is not compiled")
    return fills, means, scales


class Number:
    """A prepared number: of one feature, or a part of a time, with what stands for a missing value and its scale."""

    def __init__(self, kind: str, at: int, fill: float, mean: float | None, scale: float | None) -> None:
        self.kind = kind
        """`number`, or a part of a time."""
        self.at = at
        self.fill = fill
        self.mean = mean
        self.scale = scale
        self._take = None if kind == "number" else TAKE[kind]

    def __call__(self, columns: Sequence[list[Value]], out: list[float]) -> None:
        given = columns[self.at][0]
        if given is None:
            value = self.fill
        else:
            value = float(given) if self._take is None else float(self._take(datetime.fromisoformat(str(given))))
            if value != value:
                value = self.fill
        if self.mean is not None:
            value -= self.mean
        if self.scale is not None:
            value /= self.scale
        out.append(value)


TAKE: Final[dict[str, Callable[[datetime], int]]] = {
    "month": lambda time: time.month,
    "day": lambda time: time.day,
    "weekday": lambda time: time.weekday(),
    "hour": lambda time: time.hour,
}
"""The parts that a time becomes, as `console.training.columns.PARTS` names them."""


def _encoded(encoder: Any, names: list[str], at: list[int]) -> Sequence[Put]:
    """One table a column, from each text that the encoder knows (and one that it does not, and none) to what it makes
    of it."""
    known = [[value for value in found if isinstance(value, str)] for found in encoder.categories_]
    if sum(map(len, known)) > MOST_LEVELS:
        raise Uncompiled("it knows too many texts")
    count = max(map(len, known), default=0)
    plain: list[str | None] = [found[0] if found else None for found in known]
    asked = pd.DataFrame(
        {
            name: np.array([*(found + [first] * (count - len(found))), *([first] * 2)], dtype=object)
            for name, found, first in zip(names, known, plain, strict=True)
        },
        columns=names,
    )
    widths = _widths(encoder, len(names))
    said = _dense(encoder.transform(asked))
    puts = []
    start = 0
    for number, (name, width) in enumerate(zip(names, widths, strict=True)):
        table: dict[Value, list[float]] = {
            value: said[row, start : start + width].tolist() for row, value in enumerate(known[number])
        }
        other = _asked(encoder, asked, name, _UNKNOWN, start, width)
        none = _asked(encoder, asked, name, None, start, width)
        if none is not None:
            table[None] = none
        puts.append(Table(table, other, at[number]))
        start += width
    return puts


def _asked(encoder: Any, frame: pd.DataFrame, name: str, value: str | None, start: int, width: int) -> Any:
    """What the encoder makes of one value of one column; None where it refuses it."""
    row = frame.tail(1).copy()
    row[name] = pd.array([value], dtype="str")
    try:
        found: list[float] = _dense(encoder.transform(row))[0, start : start + width].tolist()
    except ValueError:
        return None
    return found


def _widths(encoder: Any, columns: int) -> list[int]:
    found = getattr(encoder, "_n_features_outs", None)
    widths = [1] * columns if found is None else [int(each) for each in found]
    if len(widths) != columns:
        raise Uncompiled("its encoder does not say how wide its columns are")
    return widths


class Table:
    """What an encoder makes of the text of one feature."""

    def __init__(self, table: dict[Value, list[float]], other: list[float] | None, at: int) -> None:
        self.table = table
        self.other = other
        """Of a text that is not in the table; None where the encoder refuses it."""
        self.at = at
        self.some = [value for value in table if isinstance(value, str)][:100]

    def __call__(self, columns: Sequence[list[Value]], out: list[float]) -> None:
        value = columns[self.at][0]
        found = self.table.get(value, self.other) if value is not None else self.table.get(None)
        if found is None:
            raise Uncompiled("the encoder refuses this text")
        out += found


def _dense(values: Any) -> Any:
    return np.asarray(values.todense() if hasattr(values, "todense") else values)
