"""Counting by group: rows, labels, predictions and scores, in one pass over batches, with memory by group alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from backends.contract import Invalid
from backends.entities import Column, ColumnType, Record
from console.data.expression import Expression, parse_expression

MOST_GROUPS: Final = 400
"""Groups, crossed ones included. More are no groups of people but single ones."""
BINS: Final = 10
"""Of scores from 0 to 1, for calibration."""
MISSING: Final = "(missing)"


class Cells(Record, frozen=True, kw_only=True):
    """What was counted in one group."""

    key: tuple[str, ...]
    """The value of each protected column."""
    rows: int = 0
    labelled: int = 0
    positive: int = 0
    """Rows whose label is the positive one."""
    selected: int = 0
    """Rows predicted positive."""
    predicted: int = 0
    """Rows with a prediction."""
    hits: int = 0
    """Predicted positive and labelled so."""
    false_alarms: int = 0
    """Predicted positive, labelled negative."""
    judged: int = 0
    """Rows with a label and a prediction."""
    judged_positive: int = 0
    scored: int = 0
    """Rows with a label and a score."""
    score_sum: float = 0.0
    bin_rows: tuple[int, ...] = ()
    bin_positive: tuple[int, ...] = ()
    bin_scores: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        return " × ".join(self.key)


class Asked(Record, frozen=True, kw_only=True):
    """What to look at. Each is a column or an expression over columns."""

    by: tuple[str, ...]
    """Protected columns; several are crossed."""
    label: str = ""
    """What happened: a condition, a truth column, a 0/1 column, or with `positive` any column."""
    prediction: str = ""
    """What was predicted, as `label`."""
    score: str = ""
    """Probability of the positive class, 0 to 1. Without a prediction, at least `threshold` counts as predicted."""
    positive: str = ""
    """The value of label and prediction that counts as positive."""
    threshold: float = 0.5


class Reading:
    """`Asked`, checked against the columns of a table."""

    def __init__(self, asked: Asked, columns: Sequence[Column]) -> None:
        if not asked.by:
            raise Invalid("which groups? Name at least one protected column.", "by")
        if not (asked.label or asked.prediction or asked.score):
            raise Invalid("nothing is measured by groups alone: give a label, a prediction or a score.", "label")
        if not 0 <= asked.threshold <= 1:
            raise Invalid(f"the threshold is {asked.threshold}, wanted a probability from 0 to 1.", "threshold")
        self.asked = asked
        self.by = [_group(text, columns) for text in asked.by]
        self.label = _truth(asked.label, "label", asked.positive, columns)
        self.prediction = _truth(asked.prediction, "prediction", asked.positive, columns)
        self.score = _parsed(asked.score, "score", columns) if asked.score else None
        if self.score is not None and not self.score.type.numeric:
            raise Invalid(f"the score {asked.score} is {self.score.type}, wanted a probability from 0 to 1.", "score")

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        used = [*self.by, *(each for each in (self.label, self.prediction, self.score) if each is not None)]
        return list(dict.fromkeys(name for each in used for name in each.columns))


def group_columns(asked: Asked, columns: Sequence[Column]) -> list[str]:
    """The columns that tell the groups apart."""
    return list(dict.fromkeys(name for text in asked.by for name in _group(text, columns).columns))


def _parsed(text: str, what: str, columns: Sequence[Column]) -> Expression:
    named = next((column for column in columns if column.name == text), None)
    if named is not None:  # also where the name would read as something else
        text = '"' + text.replace('"', '""') + '"'
    try:
        return parse_expression(text, columns)
    except Invalid as error:
        raise Invalid(f"{what}: {error}", what) from None


def _group(text: str, columns: Sequence[Column]) -> Expression:
    parsed = _parsed(text, "by", columns)
    if parsed.type is ColumnType.FLOAT:
        raise Invalid(
            f"{text} is a measurement, and groups need few values; make some of it, such as --by '{text} < 25'.", "by"
        )
    return parsed


def _truth(text: str, what: str, positive: str, columns: Sequence[Column]) -> Expression | None:
    if not text:
        return None
    parsed = _parsed(text, what, columns)
    if positive and parsed.type is not ColumnType.BOOL:
        quoted = f'"{text}"' if any(column.name == text for column in columns) else f"({text})"
        value = "'" + positive.replace("'", "''") + "'" if parsed.type is ColumnType.STRING else positive
        return _parsed(f"{quoted} = {value}", what, columns)
    if parsed.type is ColumnType.STRING:
        raise Invalid(f"{what} {text} is text; say which value is the positive one, with positive.", "positive")
    if parsed.type not in (ColumnType.BOOL, ColumnType.INT):
        raise Invalid(f"{what} {text} is {parsed.type}; make a condition of it, such as '{text} > 15'.", what)
    return parsed


def count_groups(reading: Reading, batches: Iterable[Any]) -> tuple[Cells, ...]:
    """The cells of every group that occurs, by key. Invalid where a group column has too many values, or a label or
    prediction is neither 0 nor 1."""
    gathered: dict[tuple[str, ...], _Tally] = {}
    for batch in batches:
        if batch.num_rows:
            _count(reading, batch, gathered)
    return tuple(tally.cells(key) for key, tally in sorted(gathered.items()))


class _Tally:
    def __init__(self) -> None:
        import numpy as np

        self.counts = np.zeros(len(_COUNTS), np.int64)
        self.score_sum = 0.0
        self.bins = np.zeros((2, BINS), np.int64)
        self.bin_scores = np.zeros(BINS)

    def cells(self, key: tuple[str, ...]) -> Cells:
        numbers = dict(zip(_COUNTS, map(int, self.counts), strict=True))
        scored = {}
        if numbers["scored"]:
            scored = {
                "score_sum": float(self.score_sum),
                "bin_rows": tuple(map(int, self.bins[0])),
                "bin_positive": tuple(map(int, self.bins[1])),
                "bin_scores": tuple(map(float, self.bin_scores)),
            }
        return msgspec.convert({"key": key, **numbers, **scored}, Cells)


_COUNTS: Final = (
    "rows", "labelled", "positive", "predicted", "selected", "judged", "judged_positive", "hits", "false_alarms",
    "scored",
)  # fmt: skip


def _count(reading: Reading, batch: Any, gathered: dict[tuple[str, ...], _Tally]) -> None:
    import numpy as np

    codes, keys = _codes(reading, batch)
    if len(gathered.keys() | set(keys)) > MOST_GROUPS:
        raise Invalid(
            f"{' × '.join(reading.asked.by)} makes over {MOST_GROUPS} groups; take fewer columns, or put values "
            "together with an expression such as --by 'age < 25'.",
            "by",
        )
    n = batch.num_rows
    labels, known = _flags(reading.label, batch, "label")
    chosen, said = _flags(reading.prediction, batch, "prediction")
    scores, scored = _scores(reading, batch)
    if reading.prediction is None and reading.score is not None:
        chosen, said = scores >= reading.asked.threshold, scored
    judged = said & known if reading.label is not None else np.zeros(n, bool)
    flags = {
        "rows": np.ones(n, bool), "labelled": known, "positive": known & labels, "predicted": said,
        "selected": said & chosen, "judged": judged, "judged_positive": judged & labels,
        "hits": judged & labels & chosen, "false_alarms": judged & ~labels & chosen, "scored": scored & known,
    }  # fmt: skip
    size = len(keys)
    table = np.stack([np.bincount(codes[flags[name]], minlength=size) for name in _COUNTS])
    both = flags["scored"]
    at = np.minimum((scores[both] * BINS).astype(np.int64), BINS - 1)
    cell = codes[both] * BINS + at
    bins = [np.bincount(cell[mask], weights=weights, minlength=size * BINS).reshape(size, BINS)
            for mask, weights in ((slice(None), None), (labels[both], None), (slice(None), scores[both]))]  # fmt: skip
    for row, key in enumerate(keys):
        tally = gathered.setdefault(key, _Tally())
        tally.counts += table[:, row]
        tally.bins += np.stack([bins[0][row], bins[1][row]]).astype(np.int64)
        tally.bin_scores += bins[2][row]
        tally.score_sum += float(bins[2][row].sum())


def _codes(reading: Reading, batch: Any) -> tuple[Any, list[tuple[str, ...]]]:
    """(the group of each row as a number, shape (rows,); the key of each number)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = np.zeros(batch.num_rows, np.int64)
    keys: list[tuple[str, ...]] = [()]
    for expression in reading.by:
        values = pc.fill_null(pc.cast(expression.evaluate(batch), pa.string()), MISSING).dictionary_encode()
        if len(values.dictionary) > MOST_GROUPS:
            raise Invalid(
                f"{expression.text} has over {MOST_GROUPS} values; put them together with an expression such as "
                f"--by '{expression.columns[0]} < 25'.",
                "by",
            )
        words = [str(value) for value in values.dictionary.to_pylist()]
        codes = codes * len(words) + values.indices.to_numpy(zero_copy_only=False)
        keys = [(*key, word) for key in keys for word in words]
        seen, codes = np.unique(codes, return_inverse=True)
        keys = [keys[at] for at in seen]
    return codes, keys


def _flags(expression: Expression | None, batch: Any, what: str) -> tuple[Any, Any]:
    """(truth, whether it is known), each shape (rows,)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if expression is None:
        return np.zeros(batch.num_rows, bool), np.zeros(batch.num_rows, bool)
    values = expression.evaluate(batch)
    known = pc.is_valid(values).to_numpy(zero_copy_only=False)
    if not pa.types.is_boolean(values.type):
        odd = pc.unique(values.drop_null())
        strange = [value for value in odd.to_pylist() if value not in (0, 1)]
        if strange:
            raise Invalid(
                f"{what} {expression.text} has the value {strange[0]}, wanted 0 or 1; say which value is the positive "
                f"one with positive, or make a condition of it.",
                what,
            )
    truth = pc.fill_null(pc.cast(values, pa.bool_()), False).to_numpy(zero_copy_only=False)
    return truth, known


def _scores(reading: Reading, batch: Any) -> tuple[Any, Any]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if reading.score is None:
        return np.zeros(batch.num_rows), np.zeros(batch.num_rows, bool)
    values = pc.cast(reading.score.evaluate(batch), pa.float64())
    known = pc.is_valid(values).to_numpy(zero_copy_only=False)
    scores = pc.fill_null(values, 0.0).to_numpy(zero_copy_only=False)
    if len(scores) and (scores.min() < 0 or scores.max() > 1):
        wrong = scores[(scores < 0) | (scores > 1)][0]
        raise Invalid(
            f"the score {reading.score.text} has the value {wrong:g}, wanted probabilities from 0 to 1.", "score"
        )
    return scores, known
