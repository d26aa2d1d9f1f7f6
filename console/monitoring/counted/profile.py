"""The profile: what a model's inputs and scores looked like when it was trained, as counts in fixed cells.

It is saved beside the model (about 50 kB of JSON) and is all that monitoring needs of the training data. Edges and
levels are fixed here once, so that the scores of two windows can be compared, counts of two windows can be added, and
one outlier moves nothing.

The records and `load_profile` are plain Python; numpy and pandas are imported by `build_profile` alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from backends.entities import Record
from console.monitoring.quality.ranking import TOP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd

FORMAT = 1
NUMERIC_CELLS = 64
LEVELS = 63
SCORE_CELLS = 256
PROBABILITY = "probability"
PSI_CELLS = 10
"""PSI is taken over about deciles of the reference: the scale that people know (0.1 to look, 0.25 to act)."""
REMEMBERED_LEVELS = 16_384
"""Beyond the levels with a cell of their own, this many are remembered by checksum, to tell rare from new."""
REFERENCE_SAMPLE = "model/reference_sample.parquet"
"""Held-out rows of a version, kept with it for what looks at many columns together."""
REFERENCE_ROWS = 2000
ALPHA = 0.01
"""False alarms per column and window that the limits are sized for."""


class Limits(Record, frozen=True):
    """How large a statistic gets without any drift, by window size.

    `psi` and `ks` hold the (1 - alpha) quantile at each of `sizes`, divided by the statistic's own scale at that
    size, so that sizes in between and beyond interpolate well: PSI by 1/n + 1/N, KS by the root of it.
    """

    sizes: tuple[int, ...] = ()
    psi: tuple[float, ...] = ()
    ks: tuple[float, ...] = ()
    natural_psi: float = 0.0
    """PSI that the reference's own days reach against the whole of it (weather, weekdays); 0 where no times were
    given."""


class NumericColumn(Record, frozen=True, tag="numeric", tag_field="kind"):
    """Cells of a numeric column: between neighbouring edges, then below, above, infinite, missing.

    Cell i is [edges[i], edges[i+1]); the last one includes its upper edge. A constant column has two equal edges and
    one cell.
    """

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    """shape (len(edges) - 1 + 4,)"""
    groups: tuple[int, ...]
    """First cell of each of the coarser groups that PSI is taken over."""
    importance: float = 0.0
    limits: Limits = Limits()

    @property
    def cells(self) -> int:
        return len(self.edges) - 1


class CategoricalColumn(Record, frozen=True, tag="categorical", tag_field="kind"):
    """Cells of a categorical column: one per level by falling count, then other, new, missing.

    *Other* is a level that the reference had, but too rarely for a cell of its own; *new* is one that it never had.
    """

    name: str
    levels: tuple[str, ...]
    counts: tuple[int, ...]
    """shape (len(levels) + 3,)"""
    others: bytes = b""
    """CRC-32 of each remembered rare level, sorted, little-endian, four bytes each."""
    open: bool = False
    """More rare levels than are remembered: an unknown level counts as other, since nobody can say that it is new."""
    singletons: int = 0
    """Levels seen once: their share estimates how often a new level turns up without any drift (Good-Turing)."""
    groups: tuple[int, ...] = ()
    importance: float = 0.0
    limits: Limits = Limits()

    @property
    def cells(self) -> int:
        return len(self.levels)


ReferenceColumn = NumericColumn | CategoricalColumn


class ScoreCells(Record, frozen=True):
    """Cells of the model's score: equal widths over [low, high], by label. Values beyond fall into the end cells."""

    low: float
    high: float
    counts: tuple[int, ...]
    """shape (SCORE_CELLS * 3,): label 0 (or wrong, or labelled), label 1 (or right), unlabelled."""
    groups: tuple[int, ...]
    limits: Limits = Limits()
    costs: tuple[tuple[float, float], ...] = ()
    """Of a probability, by cell: the mean log loss that its held-out rows have if they are positive, and if they are
    negative. Empty in profiles of before, and of other scores."""


LABEL = "label"
"""Name of the column that the labels are counted as."""
MOST_CLASSES = 32
"""With more classes no table of predicted against true ones is counted."""


class Spread(Record, frozen=True, kw_only=True):
    """A metric over single days of the held-out rows."""

    mean: float
    """Over days, each weighted by how surely it is known."""
    between: float
    """Standard deviation of the days themselves, without what few rows add."""
    error: float
    """Standard error of the mean."""
    unit: float = 0.0
    """Sampling variance of one row; 0 for an AUC, whose variance follows from its classes."""
    days: int


class Profile(Record, frozen=True, kw_only=True):
    """The reference that windows are held against."""

    format: int = FORMAT
    task: str
    """`binary`, `multiclass` or `regression`."""
    scale: str = PROBABILITY
    """What a classifier's score is: `probability`, or `decision` for a margin around 0 (no log loss, no Brier)."""
    positive: str = ""
    classes: tuple[str, ...] = ()
    rows: int
    """Rows that the columns were counted from."""
    score_rows: int
    """Held-out rows that scores, labels and metrics come from."""
    columns: tuple[ReferenceColumn, ...]
    score: ScoreCells
    metrics: dict[str, float]
    """On the held-out rows."""
    label: ReferenceColumn | None = None
    """The labels of the held-out rows as a column: levels are the classes as text, numbers for a regression. None in
    profiles that were made before labels were counted."""
    within: dict[str, Spread] = msgspec.field(default_factory=dict)
    """metric → what single days of the held-out rows are like, where their times were given: a day is harder than the
    whole, which also tells calm days from bad ones."""
    query: str = ""
    """Column of whose groups the held-out rows have all or none, so that they can be ranked as windows are; else
    empty."""
    ranking: dict[str, float] = msgspec.field(default_factory=dict)
    """Ranking metrics of the held-out rows within those groups, as `quality.ranking` has them."""
    rankings: dict[int, dict[str, float]] = msgspec.field(default_factory=dict)
    """The same by how many ranks they look at; profiles of before have only `ranking`."""
    top: int = TOP
    """Ranks that `ranking` looks at, and whatever is counted against this reference."""
    losses: tuple[tuple[float, float, float, float], ...] = ()
    """Of a regression, by group of score cells: held-out rows, and their sums of |error|, error², error⁴. Empty in
    profiles of before."""
    alpha: float = ALPHA
    min_psi: float = 0.1
    strong_psi: float = 0.25

    def column(self, name: str) -> ReferenceColumn | None:
        return next((column for column in self.columns if column.name == name), None)

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)


def load_profile(source: Path | bytes) -> Profile:
    """A profile from its JSON. Raises ValueError naming the part that is wrong."""
    data = source.read_bytes() if isinstance(source, Path) else source
    try:
        profile = msgspec.json.decode(data, type=Profile)
    except msgspec.DecodeError as error:
        raise ValueError(f"this is not a reference profile: {error}; train the version again to make one") from error
    if profile.format > FORMAT:
        raise ValueError(
            f"the reference profile has format {profile.format} and this console reads up to {FORMAT}: "
            "update mlops-console"
        )
    return profile


def build_profile(
    features: pd.DataFrame,
    scores: Any,
    labels: Any,
    *,
    task: str,
    positive: Any = None,
    classes: Sequence[Any] = (),
    importances: Mapping[str, float] | None = None,
    times: pd.Series[Any] | None = None,
    score_times: pd.Series[Any] | None = None,
    queries: pd.Series[Any] | None = None,
    scale: str = PROBABILITY,
    seed: int = 0,
) -> Profile:
    """The reference profile of a trained model.

    features: shape (n, columns), the rows as the model takes them, before preprocessing: training rows, or training and
    held-out. scores, labels: of m held-out rows, which need not be the rows of `features`. Binary classification:
    scores (m,) is the probability of `positive`. Multiclass: scores (m, len(classes)). Regression: scores (m,) is the
    prediction. task: `classification` or `regression`.
    times: when each row of `features` happened; with it the profile also knows how far one day of the reference is from
    the whole of it, so that weather is no drift. score_times: the same for the held-out rows. queries: of each held-out
    row the group that it is ranked in, named as its column, of whose groups no row was trained on. scale:
    `probability`, or `decision` where a classifier gives margins.
    """
    import numpy as np

    from console.monitoring.counted import counting, thresholds

    kind = counting.task_kind(task, positive, classes)
    rng = np.random.default_rng(seed)
    weights = dict(importances or {})
    columns: list[ReferenceColumn] = []
    for position, name in enumerate(features.columns):
        column = _column(str(name), features.iloc[:, position])
        limits = thresholds.resample(column.counts, column, rng)
        if times is not None:
            limits = msgspec.structs.replace(
                limits, natural_psi=thresholds.natural_psi(column, features.iloc[:, position], times, ALPHA)
            )
        importance = max(0.0, float(weights.get(str(name), 0.0)))
        columns.append(msgspec.structs.replace(column, limits=limits, importance=importance))
    score = counting.score_cells(scores, labels, task=kind, positive=positive, classes=classes, scale=scale)
    metrics, within = counting.reference_metrics(
        scores, labels, score, task=kind, positive=positive, classes=classes, scale=scale, times=score_times
    )
    score = msgspec.structs.replace(score, limits=thresholds.resample_score(score, rng))
    label = counting.label_column(labels, task=kind, positive=positive, classes=classes)
    if label is not None:
        label = msgspec.structs.replace(label, limits=thresholds.resample(label.counts, label, rng))
    rankings = {} if queries is None else counting.reference_ranking(scores, labels, queries, kind, positive, classes)
    return Profile(
        task=kind,
        scale=scale,
        positive="" if positive is None else str(positive),
        classes=tuple(str(value) for value in classes),
        rows=len(features),
        score_rows=len(labels),
        columns=tuple(columns),
        score=score,
        metrics=metrics,
        label=label,
        within=within,
        query="" if queries is None else str(queries.name),
        ranking=rankings.get(TOP, {}),
        rankings=rankings,
        losses=counting.losses_by_score(scores, labels, score) if kind == "regression" else (),
    )


def _column(name: str, values: pd.Series[Any]) -> ReferenceColumn:
    from console.monitoring.counted.columns import is_numeric, numeric_values

    if is_numeric(values):
        return numeric_column(name, numeric_values(values))
    return categorical_column(name, values)


def numeric_column(name: str, values: np.ndarray[Any, Any]) -> NumericColumn:
    import numpy as np

    return numeric_column_in_order(name, np.sort(values))


def numeric_column_in_order(name: str, ordered: np.ndarray[Any, Any]) -> NumericColumn:
    """A column from values in the order of `np.sort`: NaN last."""
    import numpy as np

    from console.monitoring.counted.columns import count_in_order

    finite = finite_part(ordered)
    # np.quantile(…, method="inverted_cdf"), which would order them once more.
    ranks = np.ceil(np.linspace(0, 1, NUMERIC_CELLS + 1) * len(finite) - 1)
    edges = np.unique(finite[np.clip(ranks, 0, len(finite) - 1).astype(np.int64)]) if len(finite) else np.zeros(2)
    if len(finite) and len(edges) <= NUMERIC_CELLS:
        fresh = np.concatenate([[True], finite[1:] != finite[:-1]])
        if int(fresh.sum()) <= NUMERIC_CELLS:
            # One cell per value, cut half-way between neighbours.
            distinct = finite[fresh]
            edges = np.concatenate([distinct[:1], (distinct[1:] + distinct[:-1]) / 2, distinct[-1:]])
    counts = count_in_order(ordered, edges)
    return NumericColumn(
        name=name,
        edges=tuple(float(edge) for edge in edges),
        counts=tuple(int(count) for count in counts),
        groups=group_starts([int(count) for count in counts[: len(edges) - 1]], PSI_CELLS),
    )


def finite_part(ordered: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The finite ones of values in the order of `np.sort`, as a view."""
    import numpy as np

    first, last = ordered.searchsorted([-np.finfo(np.float64).max, np.inf])
    part: np.ndarray[Any, Any] = ordered[first:last]
    return part


def categorical_column(name: str, values: pd.Series[Any]) -> CategoricalColumn:
    from console.monitoring.counted.columns import as_text, tally

    text = as_text(values)
    return tallied_column(name, tally(text), int(text.null_count))


def tallied_column(name: str, found: Mapping[str, int], missing: int) -> CategoricalColumn:
    """A column from rows that are already counted by level."""
    import zlib

    import numpy as np

    # Equal counts stand in the order of their names, so that the same data gives the same profile.
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    kept, rare = ranked[:LEVELS], ranked[LEVELS:]
    sums = np.array(sorted({zlib.crc32(level.encode()) for level, _ in rare[:REMEMBERED_LEVELS]}), dtype="<u4")
    counts = (
        *(count for _, count in kept),
        sum(count for _, count in rare),
        0,
        missing,
    )
    return CategoricalColumn(
        name=name,
        levels=tuple(level for level, _ in kept),
        counts=counts,
        others=sums.tobytes(),
        open=len(rare) > REMEMBERED_LEVELS,
        singletons=sum(1 for _, count in ranked if count == 1),
        groups=tuple(range(min(len(kept), 2 * PSI_CELLS))),
    )


def group_starts(counts: Sequence[int], wanted: int) -> tuple[int, ...]:
    """First cell of each of at most `wanted` runs of neighbouring cells with about the same share of the reference."""
    share = sum(counts) / wanted
    starts = [0]
    held = 0
    for cell, count in enumerate(counts):
        if held and held >= share:
            starts.append(cell)
            held = 0
        held += count
    return tuple(starts)
