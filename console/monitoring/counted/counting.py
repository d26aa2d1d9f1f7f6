"""From scores and labels to counts: numpy and pandas live here, and only a worker process comes here."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from backends.entities import Estimate
from console.monitoring.counted.columns import Vector, as_text, count_numeric, numeric_values
from console.monitoring.counted.counts import Counts, Layout, add_sums
from console.monitoring.counted.profile import (
    LABEL,
    MOST_CLASSES,
    PROBABILITY,
    SCORE_CELLS,
    CategoricalColumn,
    NumericColumn,
    Profile,
    ScoreCells,
    Spread,
    group_starts,
    numeric_column,
)
from console.monitoring.counted.ranked import count_ranked, query_of
from console.monitoring.quality import performance
from console.monitoring.quality.ranking import USUAL, measure_ranked
from console.monitoring.quality.spread import area_variance, row_variance, spread_of

UNLABELLED = 2
DAY_ROWS = 50
FEWEST_DAYS = 10
"""How many rows make a day, and how many days tell what days are like."""
BIASED = ("average_precision", "calibration_error")
"""Of few rows they are larger or smaller than of many, whatever the day: a day's is held against the whole's."""
TINY = float(np.finfo(np.float64).eps)


def task_kind(task: str, positive: Any, classes: Sequence[Any]) -> str:
    """`binary`, `multiclass` or `regression`. Raises ValueError for anything else."""
    if task == "regression":
        return "regression"
    if task in ("classification", "binary", "multiclass"):
        if positive is not None and len(classes) <= 2:
            return "binary"
        if len(classes) > 2:
            return "multiclass"
        raise ValueError("a classification profile needs `positive` for two classes, or `classes` for more")
    raise ValueError(f"task {task!r} is not known: use classification or regression")


def score_values(scores: Any, task: str) -> Vector:
    """The one number a row is drawn by: probability of the positive class, highest probability, or the prediction.
    shape (n,)."""
    array_ = np.asarray(scores, dtype=np.float64)
    return array_.max(axis=1) if task == "multiclass" else array_


def encode_labels(labels: Any, task: str, positive: str, classes: Sequence[str]) -> Vector:
    """Labels as numbers, NaN where there is none yet: 0/1 for binary, class position for multiclass, the value for
    regression."""
    series = pd.Series(labels).reset_index(drop=True)
    if task == "regression":
        return numeric_values(pd.to_numeric(series, errors="coerce"))
    text = _as_levels(series, [*classes, positive] if positive else classes)
    valid = pc.is_valid(text).to_numpy(zero_copy_only=False)
    if task == "binary":
        wanted = _level(positive)
        names = pa.array([_level(value) for value in classes], type=text.type) if classes else None
        coded = pc.equal(text, wanted).fill_null(False).to_numpy(zero_copy_only=False).astype(np.float64)
        if names is not None:
            # A label that is neither class is no label: counting it as negative would invent an answer.
            valid = valid & pc.is_in(text, value_set=names).to_numpy(zero_copy_only=False)
    else:
        known = pa.array([_level(value) for value in classes], type=text.type)
        found = pc.index_in(text, value_set=known)
        valid = valid & pc.is_valid(found).to_numpy(zero_copy_only=False)
        coded = found.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(valid, coded, np.nan)


def _as_levels(labels: pd.Series[Any], classes: Sequence[str]) -> pa.Array:
    """Labels written as the classes are: a CSV's `1.0` or `true` means the class 1 or True."""
    text = as_text(labels)
    if classes and all(_is_number(value) for value in classes):
        plain = pd.Series(text.to_pandas()).astype("str")
        flags = plain.str.lower().map({"true": 1.0, "false": 0.0})
        return as_text(pd.to_numeric(plain, errors="coerce").fillna(flags))
    if classes and set(classes) <= {"True", "False"}:
        names = {"true": "True", "1": "True", "1.0": "True", "false": "False", "0": "False", "0.0": "False"}
        return as_text(pd.Series(text.to_pandas()).astype("str").str.lower().map(names).astype("str"))
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _level(value: Any) -> str:
    return str(as_text(pd.Series([value]))[0])


def count_scores(
    scores: Any, targets: Vector, cells: ScoreCells, task: str, scale: str = PROBABILITY
) -> tuple[Vector, tuple[float, ...]]:
    """Score cells by label, shape (SCORE_CELLS * 3,), and the sums of the labelled rows' errors.

    targets: as `encode_labels` gives them, shape (n,). scale: `probability`, or `decision` for margins around 0.
    """
    table = np.asarray(scores, dtype=np.float64)
    value = score_values(table, task)
    width = (cells.high - cells.low) or 1.0
    at = np.clip(((value - cells.low) / width * SCORE_CELLS).astype(np.int64), 0, SCORE_CELLS - 1)
    labelled = ~np.isnan(targets)
    y = targets[labelled]
    group = np.full(len(value), UNLABELLED)
    if task == "regression":
        error = value[labelled] - y
        group[labelled] = 0
        squared = error**2
        known = y != 0
        share = np.abs(error[known] / y[known])
        sums: tuple[Any, ...] = (
            *(len(y), np.abs(error).sum(), squared.sum(), (squared**2).sum(), y.sum(), (y**2).sum()),
            *(error.sum(), share.sum(), (share**2).sum(), known.sum()),
        )
    else:
        if task == "binary":
            p = value[labelled]
            right = (p >= (0.5 if scale == PROBABILITY else 0.0)) == (y == 1)
            likely = np.where(y == 1, p, 1 - p)
            brier = (p - y) ** 2
            group[labelled] = y.astype(np.int64)
        else:
            p = table[labelled]
            position = y.astype(np.int64)
            right = p.argmax(axis=1) == position
            likely = p[np.arange(len(p)), position]
            truth = np.zeros_like(p)
            truth[np.arange(len(p)), position] = 1
            brier = ((p - truth) ** 2).sum(axis=1)
            group[labelled] = right.astype(np.int64)
        if scale != PROBABILITY:
            # A margin has a sign and an order, and no log loss.
            likely, brier = np.ones(len(p)), np.zeros(len(p))
        loss = -np.log(np.clip(likely, TINY, 1.0))
        sums = (len(y), right.sum(), loss.sum(), (loss**2).sum(), brier.sum(), (brier**2).sum())
    counts = np.bincount(group * SCORE_CELLS + at, minlength=3 * SCORE_CELLS)
    return counts, tuple(float(total) for total in sums)


def count_answers(scores: Any, targets: Vector, profile: Profile, layout: Layout) -> tuple[Vector, tuple[float, ...]]:
    """All that scores and labels fill: score cells, label cells and the confusion, in the order of `Layout.answers`,
    and the sums of the labelled rows' errors.

    targets: as `encode_labels` gives them, shape (n,).
    """
    found, sums = count_scores(scores, targets, profile.score, profile.task, profile.scale)
    if profile.label is None:
        return found, sums
    parts = [found, count_labels(targets, profile)]
    if layout.confusion[1] > layout.confusion[0]:
        parts.append(count_confusion(scores, targets, profile))
    return np.concatenate(parts), sums


def count_labels(targets: Vector, profile: Profile) -> Vector:
    """Labels per cell of `profile.label`; rows without a label are in none."""
    column = profile.label
    known = targets[~np.isnan(targets)]
    if isinstance(column, NumericColumn):
        return count_numeric(known, column.edges)
    assert isinstance(column, CategoricalColumn)  # noqa: S101
    counts = np.zeros(len(column.counts), dtype=np.int64)
    names = label_names(profile.task, profile.positive, profile.classes)
    spots = [column.levels.index(name) for name in names]
    np.add.at(counts, np.array(spots, dtype=np.int64)[known.astype(np.int64)], 1)
    return counts


def label_names(task: str, positive: str, classes: Sequence[str]) -> list[str]:
    """What the numbers of `encode_labels` mean: for two classes 0 is the other one and 1 the positive."""
    if task != "binary":
        return list(classes)
    other = next((name for name in classes if name != positive), f"not {positive}")
    return [other, positive]


def label_column(
    labels: Any, *, task: str, positive: Any, classes: Sequence[Any]
) -> NumericColumn | CategoricalColumn | None:
    """The reference's labels as a column; None where no label can be read."""
    targets = encode_labels(labels, task, _text(positive), [_text(value) for value in classes])
    known = targets[~np.isnan(targets)]
    if not len(known):
        return None
    if task == "regression":
        return numeric_column(LABEL, known)
    # Spelled as the profile spells its classes.
    names = label_names(task, "" if positive is None else str(positive), [str(value) for value in classes])
    counts = np.bincount(known.astype(np.int64), minlength=len(names))
    ranked = sorted(zip(names, counts.tolist(), strict=True), key=lambda item: (-item[1], item[0]))
    return CategoricalColumn(
        name=LABEL,
        levels=tuple(name for name, _ in ranked),
        counts=(*(count for _, count in ranked), 0, 0, 0),
        groups=tuple(range(len(names))),
    )


def count_confusion(scores: Any, targets: Vector, profile: Profile) -> Vector:
    """Rows by predicted and true class in the order of `profile.classes`, unlabelled last, flat."""
    spot = profile.classes.index(profile.positive) if profile.task == "binary" else 0
    return confusion_of(scores, targets, len(profile.classes), profile.task, profile.scale, spot)


def confusion_of(scores: Any, targets: Vector, classes: int, task: str, scale: str, spot: int) -> Vector:
    """The same of any scores; spot: position of the positive class of two."""
    table = np.asarray(scores, dtype=np.float64)
    if task == "binary":
        predicted = np.where(table >= (0.5 if scale == PROBABILITY else 0.0), spot, 1 - spot)
        true = np.where(targets == 1, spot, 1 - spot)
    else:
        predicted = table.argmax(axis=1)
        true = np.nan_to_num(targets).astype(np.int64)
    wide = classes + 1
    true = np.where(np.isnan(targets), classes, true)
    counts: Vector = np.bincount(predicted * wide + true, minlength=classes * wide)
    return counts


def add_scores(counts: Counts, layout: Layout, found: Vector, sums: tuple[float, ...]) -> Counts:
    """The counts with what `count_answers` found added."""
    start, _ = layout.score
    cells = np.array(counts.cells, dtype=np.int64)
    cells[start : start + len(found)] += found
    return Counts(
        layout=counts.layout,
        rows=counts.rows,
        cells=array("q", cells.tobytes()),
        sums=add_sums(counts.sums, sums),
        new_levels=counts.new_levels,
        groups=counts.groups,
        ranked=counts.ranked,
        top=counts.top,
    )


def score_cells(
    scores: Any, labels: Any, *, task: str, positive: Any, classes: Sequence[Any], scale: str
) -> ScoreCells:
    """The reference's score cells: over [0, 1] for probabilities, else over the reference's own range."""
    value = score_values(scores, task)
    low, high = 0.0, 1.0
    if task == "regression" or scale != PROBABILITY:
        low, high = (float(value.min()), float(value.max())) if len(value) else (0.0, 1.0)
    bare = ScoreCells(low=low, high=high, counts=(), groups=())
    targets = encode_labels(labels, task, _text(positive), [_text(value) for value in classes])
    counts, _ = count_scores(scores, targets, bare, task, scale)
    whole = counts.reshape(3, SCORE_CELLS).sum(axis=0)
    return ScoreCells(
        low=low,
        high=high,
        counts=tuple(int(count) for count in counts),
        groups=group_starts([int(count) for count in whole], 10),
        costs=_costs(value) if task == "binary" and scale == PROBABILITY else (),
    )


def _costs(scores: Vector) -> tuple[tuple[float, float], ...]:
    """As `ScoreCells.costs`; of a cell without a row, what its middle would cost."""
    at = np.clip((scores * SCORE_CELLS).astype(np.int64), 0, SCORE_CELLS - 1)
    rows = np.bincount(at, minlength=SCORE_CELLS)
    middle = (np.arange(SCORE_CELLS) + 0.5) / SCORE_CELLS
    found = []
    for likely, typical in ((scores, middle), (1 - scores, 1 - middle)):
        total = np.bincount(at, -np.log(np.clip(likely, TINY, 1.0)), minlength=SCORE_CELLS)
        found.append(np.where(rows > 0, total / np.maximum(rows, 1), -np.log(typical)))
    # Six digits: what a window says hangs on none beyond, and the profile stays small.
    return tuple((float(f"{good:.6g}"), float(f"{bad:.6g}")) for good, bad in zip(*found, strict=True))


def losses_by_score(scores: Any, labels: Any, cells: ScoreCells) -> tuple[tuple[float, float, float, float], ...]:
    """Held-out rows of a regression by group of its score cells: rows, sums of |error|, error² and error⁴."""
    targets = encode_labels(labels, "regression", "", ())
    value = np.asarray(scores, dtype=np.float64)
    known = ~np.isnan(targets)
    width = (cells.high - cells.low) or 1.0
    at = np.clip(((value[known] - cells.low) / width * SCORE_CELLS).astype(np.int64), 0, SCORE_CELLS - 1)
    group = np.searchsorted(np.array(cells.groups), at, side="right") - 1
    error = np.abs(value[known] - targets[known])
    sums = [np.bincount(group, error**power, minlength=len(cells.groups)) for power in (0, 1, 2, 4)]
    return tuple((float(n), float(a), float(b), float(c)) for n, a, b, c in zip(*sums, strict=True))


def reference_metrics(
    scores: Any,
    labels: Any,
    cells: ScoreCells,
    *,
    task: str,
    positive: Any,
    classes: Sequence[Any],
    scale: str,
    times: pd.Series[Any] | None,
) -> tuple[dict[str, float], dict[str, Spread]]:
    """Metrics of the held-out rows, measured as windows are; and per metric what single days of them are like."""
    targets = encode_labels(labels, task, _text(positive), [_text(value) for value in classes])
    table = np.asarray(scores, dtype=np.float64)

    names = [str(value) for value in classes]
    size = len(names) if task != "regression" and 2 <= len(names) <= MOST_CLASSES else 0
    spot = names.index(str(positive)) if task == "binary" and size else 0

    def measured(rows: Any) -> tuple[dict[str, Estimate], list[list[int]]]:
        counts, sums = count_scores(table[rows], targets[rows], cells, task, scale)
        by_label = counts.reshape(3, SCORE_CELLS).tolist()
        crossed = confusion_of(table[rows], targets[rows], size, task, scale, spot) if size else np.zeros(0)
        pairs = crossed.reshape(size, size + 1).astype(int).tolist() if size else []
        return performance.measure(by_label, sums, task, scale, table=pairs, positive=spot), by_label

    whole, _ = measured(slice(None))
    metrics = {name: estimate.value for name, estimate in whole.items()}
    if times is None:
        return metrics, {}
    days = day_of(times)
    each = [measured(days == day) for day in np.unique(days) if (days == day).sum() >= DAY_ROWS]
    within: dict[str, Spread] = {}
    for name, estimate in whole.items():
        if name in BIASED:
            continue
        unit = 0.0 if name == "auc" else row_variance(estimate)
        if name != "auc" and not unit:
            continue
        known = [(found[name], table_) for found, table_ in each if name in found]
        if len(known) < FEWEST_DAYS:
            continue
        values = [found.value for found, _ in known]
        if name == "auc":
            typical = float(np.median(values))
            variances = [area_variance(typical, sum(table_[1]), sum(table_[0])) for _, table_ in known]
        else:
            variances = [unit / found.n for found, _ in known]
        within[name] = spread_of(values, variances, unit)
    return metrics, within


def reference_ranking(
    scores: Any, labels: Any, queries: pd.Series[Any], task: str, positive: Any, classes: Sequence[Any]
) -> dict[int, dict[str, float]]:
    """Ranking metrics of the held-out rows, measured as windows are, by how many ranks they look at (`USUAL`). queries:
    shape (m,). Empty for many classes, whose scores have no one order."""
    if task == "multiclass":
        return {}
    targets = encode_labels(labels, task, _text(positive), [_text(value) for value in classes])
    values, named = score_values(scores, task), query_of(queries, None)
    found = {top: measure_ranked(count_ranked(named, values, targets, top)) for top in USUAL}
    return {top: {name: each.value for name, each in metrics.items()} for top, metrics in found.items() if metrics}


def day_of(times: pd.Series[Any]) -> Vector:
    """The day (UTC) of each time, shape (n,), NaT where there is none."""
    stamps = pd.to_datetime(pd.Series(times).reset_index(drop=True), utc=True, errors="coerce")
    days: Vector = stamps.dt.tz_convert(None).dt.floor("D").to_numpy()
    return days


def _text(value: Any) -> str:
    return "" if value is None else _level(value)
